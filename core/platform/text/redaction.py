"""Taking secrets out of what is about to be written down: logs, and reports of errors.

Three things together find them: the names that stand before them, the shapes that
they have, and the values that this process knows, because they are configured or
because the request in work contains them.
"""

import re
from collections.abc import Collection, Mapping
from contextvars import ContextVar
from functools import lru_cache
from typing import Any
from urllib.parse import quote

REDACTED = "[redacted]"
# What is shorter would also be found within words that are no secret.
SHORTEST_VALUE = 6
# No credential is longer, nor has a request so many of them. Every line is searched for each.
LONGEST_VALUE = 4_096
MOST_VALUES = 50
LONGEST_NAME = 200

# Values of the request in work that no reader of the log may see, such as the password of a login.
confided: ContextVar[tuple[str, ...]] = ContextVar("confided", default=())

# Every repetition that something has to follow is bounded, so that no text of a caller can take long to search.
_WORD = (
    r"(?:passw(?:or)?d|passwd|pwd|passphrase|secret|token|credential|authori[sz]ation|cookie|csrf|jwt|dsn"
    r"|(?:api|access|private|signing|secret|encryption)[-_ ]?key)"
)
_SECRET_NAME = re.compile(rf"[\w.-]{{0,80}}{_WORD}[\w-]{{0,40}}|key", re.IGNORECASE)

# Quoted, quoted and cut off, or up to where it can end.
_VALUE = r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|["'][^\n]*|[^\s,;&)\]}"'][^\s,;&)\]}]*)"""
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), REDACTED),
    # The user part of a URL may be a secret as well, so everything before the host goes.
    (re.compile(r"\b([a-z][a-z0-9+.-]{0,20}://)[^\s/'\"]{1,500}@", re.IGNORECASE), rf"\1{REDACTED}@"),
    # A header that holds nothing else, to the end of its line or its quotation marks.
    (
        re.compile(
            r"""\b((?:proxy-)?authorization|(?:set-)?cookie|x-api-key|x-csrf-token)(["']?\s{0,5}[:=]\s{0,5}|["'],\s?)"""
            r"""(?:b?"[^"\n]*"|b?'[^'\n]*'|[^\n"']+)""",
            re.IGNORECASE,
        ),
        rf"\1\2{REDACTED}",
    ),
    # What is only letters after such a word is the sentence going on.
    (
        re.compile(r"\b(Bearer|Basic|Digest|ApiKey)\s{1,5}(?=[A-Za-z]{0,99}[^A-Za-z\s])[\w.~+/=:-]{6,}", re.IGNORECASE),
        rf"\1 {REDACTED}",
    ),
    (
        # Of a key, its number is no secret.
        re.compile(
            rf"""({_WORD}[\w-]{{0,40}}|(?<![\w.-])key(?!=\d{{1,9}}\b))(["']?\s{{0,5}}[:=]\s{{0,5}}b?){_VALUE}""",
            re.IGNORECASE,
        ),
        rf"\1\2{REDACTED}",
    ),
    # JSON Web Tokens, API keys and links of ours, hashes of passwords.
    (re.compile(r"\beyJ[\w-]{4,}\.[\w-]*(?:\.[\w-]*)?"), REDACTED),
    (re.compile(r"\btlr?_[0-9a-f]{9,}", re.IGNORECASE), REDACTED),
    (re.compile(r"\$argon2[a-z]*\$[\w$=,+/.-]+"), REDACTED),
)
# No pattern can match without one of these in small letters, which is much faster to see.
_HINTS = (
    *("://", "eyj", "tl_", "tlr_", "$argon2", "private key", "bearer", "basic", "digest", "apikey", "passw", "pwd"),
    *("passphrase", "secret", "token", "credential", "authori", "cookie", "csrf", "jwt", "dsn", "key"),
)

_PLAIN = (str, int, float, type(None))


def _has_hint(text: str) -> bool:
    lowered = text.lower()
    for hint in _HINTS:  # noqa: SIM110 - `any` takes twice as long
        if hint in lowered:
            return True
    return False


def confide(*values: object) -> None:
    """Note values of the request in work, so that they are written down nowhere."""
    found = [value for value in values if isinstance(value, str) and SHORTEST_VALUE <= len(value) <= LONGEST_VALUE]
    if found:
        confided.set((*confided.get(), *found[:MOST_VALUES]))


def forget_confided() -> None:
    """Begin a request or a job without noted values."""
    if confided.get():
        confided.set(())


def is_secret_name(name: object) -> bool:
    """Return whether what has this name is to be kept secret."""
    # What callers make up must not fill the memory, as names that are remembered.
    text = str(name)
    return len(text) <= LONGEST_NAME and _is_secret_name(text)


@lru_cache(maxsize=4096)
def _is_secret_name(name: str) -> bool:
    return _has_hint(name) and _SECRET_NAME.fullmatch(name) is not None


# Names of mappings that are those of fields of ours, and none to be kept secret.
_plain_names: set[tuple[Any, ...]] = set()
_MOST_PLAIN_NAMES = 256


def _has_plain_names(names: tuple[Any, ...]) -> bool:
    """Return whether the names of a mapping are those of fields of ours, and none is to be kept secret."""
    if names in _plain_names:
        return True
    are_plain = all(isinstance(name, str) and name.isidentifier() and not is_secret_name(name) for name in names)
    if are_plain and sum(map(len, names)) <= 1_000:
        if len(_plain_names) >= _MOST_PLAIN_NAMES:
            _plain_names.clear()  # What callers make up must not fill the memory.
        _plain_names.add(names)
    return are_plain


class Redactor:
    """Replaces secrets in texts and structures. `known` are values that must never appear, whatever is around them."""

    def __init__(self, known: Collection[str] = ()) -> None:
        self._known = _forms(frozenset(known))

    def text(self, text: str) -> str:
        """Return the text without secrets."""
        for form in (*self._known, *_forms(confided.get())):
            if form in text:
                text = text.replace(form, REDACTED)
        if _has_hint(text):
            for pattern, replacement in _PATTERNS:
                text = pattern.sub(replacement, text)
        return text

    def _is_clean(self, mapping: Mapping[str, Any]) -> bool:
        """Return whether a flat mapping has nothing to hide: the quickest way to know, and true for most lines."""
        names = tuple(mapping)
        has_plain_names = _has_plain_names(names)
        if not has_plain_names and any(map(is_secret_name, names)):
            return False
        texts = [] if has_plain_names else [str(name) for name in names]
        for value in mapping.values():
            if isinstance(value, str):
                texts.append(value)
            elif not isinstance(value, _PLAIN):
                return False
        text = "\n".join(texts)
        if _has_hint(text):
            return False
        for form in (*self._known, *_forms(confided.get())):  # noqa: SIM110 - `any` takes twice as long
            if form in text:
                return False
        return True

    def structure(self, value: Any, name: str = "") -> Any:
        """Return a copy of nested mappings and lists without secrets; what has a secret's name goes as a whole."""
        if name and value is not None and not isinstance(value, bool | int | float) and is_secret_name(name):
            return REDACTED
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            if self._is_clean(value):
                return dict(value)
            return {self.text(str(key)): self.structure(item, str(key)) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.structure(item) for item in value]
        if value is None or isinstance(value, bool | int | float):
            return value
        return self.text(value.decode(errors="replace") if isinstance(value, bytes) else str(value))


@lru_cache(maxsize=64)
def _forms(values: tuple[str, ...] | frozenset[str]) -> tuple[str, ...]:
    """Return values as they are written, plain, in a URL, in quotation marks.

    The longest come first, so that no rest of one that begins like another remains.
    """
    found: set[str] = set()
    for value in values:
        if len(value) >= SHORTEST_VALUE:
            found |= {value, quote(value, safe=""), repr(value)[1:-1]}
    return tuple(sorted(found, key=len, reverse=True))
