"""Taking secrets out of what is about to be written down: logs, and reports of errors.

Three things together find them: the names that stand before them, the shapes that
they have, and the values that this process knows, because they are configured or
because the request in work has told them.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from contextvars import ContextVar
from typing import Any
from urllib.parse import quote

REDACTED = "[redacted]"
# What is shorter would also be found within words that are no secret.
SHORTEST_VALUE = 6

# What the request in work has told that nobody else may read, such as the password of a login.
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
    # JSON Web Tokens, API keys of ours, hashes of passwords.
    (re.compile(r"\beyJ[\w-]{4,}\.[\w-]*(?:\.[\w-]*)?"), REDACTED),
    (re.compile(r"\btl_[0-9a-f]{9,}", re.IGNORECASE), REDACTED),
    (re.compile(r"\$argon2[a-z]*\$[\w$=,+/.-]+"), REDACTED),
)
# No pattern can match without one of these, which is much faster to see.
_HINT = re.compile(
    r"://|eyJ|tl_|\$argon2|PRIVATE KEY|passw|pwd|passphrase|secret|token|credential|authori|cookie|csrf|jwt|dsn|key"
    r"|bearer|basic|digest",
    re.IGNORECASE,
)


def confide(*values: object) -> None:
    """Note values that the request in work has told, so that they are written down nowhere."""
    found = [value for value in values if isinstance(value, str) and len(value) >= SHORTEST_VALUE]
    if found:
        confided.set((*confided.get(), *found))


def forget_confided() -> None:
    """Begin a request or a job that has told nothing yet."""
    if confided.get():
        confided.set(())


def is_secret_name(name: str) -> bool:
    """Return whether what has this name is to be kept secret."""
    return _SECRET_NAME.fullmatch(name) is not None


class Redactor:
    """Replaces secrets in texts and structures. `known` are values that must never appear, whatever is around them."""

    def __init__(self, known: Collection[str] = ()) -> None:
        self._known = _values_pattern(known)

    def text(self, text: str) -> str:
        """Return the text without secrets."""
        if self._known is not None:
            text = self._known.sub(REDACTED, text)
        told = confided.get()
        if told and any(value in text for value in _forms(told)):
            pattern = _values_pattern(told)
            text = pattern.sub(REDACTED, text) if pattern else text
        if _HINT.search(text):
            for pattern, replacement in _PATTERNS:
                text = pattern.sub(replacement, text)
        return text

    def structure(self, value: Any, name: str = "") -> Any:
        """Return a copy of nested mappings and lists without secrets; what has a secret's name goes as a whole."""
        if name and value is not None and not isinstance(value, bool | int | float) and is_secret_name(name):
            return REDACTED
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.structure(item, str(key)) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.structure(item) for item in value]
        if value is None or isinstance(value, bool | int | float):
            return value
        return self.text(value.decode(errors="replace") if isinstance(value, bytes) else str(value))


def _forms(values: Iterable[str]) -> set[str]:
    """Return values as they are written: plain, in a URL, in quotation marks."""
    found = set()
    for value in values:
        if len(value) >= SHORTEST_VALUE:
            found |= {value, quote(value, safe=""), repr(value)[1:-1]}
    return found


def _values_pattern(values: Iterable[str]) -> re.Pattern[str] | None:
    # The longest first, so that no rest of one that begins like another remains.
    forms = sorted(_forms(values), key=len, reverse=True)
    return re.compile("|".join(re.escape(form) for form in forms)) if forms else None
