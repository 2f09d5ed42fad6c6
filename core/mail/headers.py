"""Headers that are written here, because several released versions of Python fold them wrongly.

`email` loses spaces between encoded words, takes the quotes from long names, which makes other
recipients of them, and takes text for an encoded word that only looks like one. So subjects and
mailboxes bring their own lines; nothing parses what people wrote, and nothing folds it again.
"""

import re
from base64 import b64encode
from collections.abc import Iterator
from email.headerregistry import Address, BaseHeader, HeaderRegistry
from email.policy import SMTP, Policy
from itertools import groupby
from typing import Any

# A line with an encoded word has at most 76 characters (RFC 2047, section 2). We keep to that in all headers.
LINE = 76
# The octets in an encoded word, so that it has 64 characters and fits behind the name of its header.
ENCODED_OCTETS = 39
# A word that is longer than this is encoded, because only encoded words can be broken.
LONGEST_WORD = 60

_PRINTABLE = re.compile(r"[!-~]+")
_ATOM = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+")
# What goes into a quoted string without a backslash, which not every reader takes away again.
_QUOTABLE = re.compile(r"[ !#-\[\]-~]+")


def written_text(text: str) -> list[str]:
    """Return what stands for any text in a header such as Subject: words that may go on different lines."""
    return _written(text, _PRINTABLE)


def written_name(name: str) -> list[str]:
    """Return what stands for a display name: atoms, one quoted string, or encoded words, which need no quotes."""
    if not name:
        return []
    if _is_plain(name, _ATOM) or not _is_literal(name) or not _QUOTABLE.fullmatch(name) or len(name) > LONGEST_WORD:
        return _written(name, _ATOM)
    return [f'"{name}"']


def _written(text: str, plain: re.Pattern[str]) -> list[str]:
    if not _is_literal(text):
        return list(_encoded(text))
    pieces: list[str] = []
    # As few words as possible are encoded. What stands between two others keeps its spaces in any reader.
    for is_plain, words in groupby(text.split(" "), lambda word: _is_plain_word(word, plain)):
        run = list(words)
        pieces += run if is_plain else _encoded(" ".join(run))
    return pieces


def _is_literal(text: str) -> bool:
    """Return whether no reader takes a part of the text for an encoded word, or counts its spaces otherwise."""
    return "=?" not in text and "  " not in text and text == text.strip(" ")


def _is_plain(text: str, plain: re.Pattern[str]) -> bool:
    return _is_literal(text) and all(_is_plain_word(word, plain) for word in text.split(" "))


def _is_plain_word(word: str, plain: re.Pattern[str]) -> bool:
    return len(word) <= LONGEST_WORD and plain.fullmatch(word) is not None


def _encoded(text: str) -> Iterator[str]:
    """Yield encoded words that are, without what separates them, the text (RFC 2047, 6.2)."""
    taken = b""
    # A word ends with its space. Some readers show a space between two encoded words,
    # which does the least harm between words.
    for word in re.findall(r"[^ ]* ?", text):
        whole = word.encode(errors="replace")
        if taken and len(whole) <= ENCODED_OCTETS < len(taken) + len(whole):
            yield _encoded_word(taken)
            taken = b""
        for character in word:
            # Each holds whole characters (RFC 2047, section 5).
            octets = character.encode(errors="replace")
            if len(taken) + len(octets) > ENCODED_OCTETS:
                yield _encoded_word(taken)
                taken = b""
            taken += octets
    if taken:
        yield _encoded_word(taken)


def _encoded_word(octets: bytes) -> str:
    return f"=?utf-8?B?{b64encode(octets).decode()}?="


def _folded(name: str, pieces: list[str], linesep: str) -> str:
    """Return a header in lines that are as short as its pieces let them be."""
    lines = [f"{name}:"]
    for piece in pieces:
        fits = len(lines[-1]) + 1 + len(piece) <= LINE
        # A piece that is too long for every line gains nothing from a line of its own behind the name.
        if fits or (len(lines) == 1 and lines[0] == f"{name}:" and 1 + len(piece) > LINE):
            lines[-1] += f" {piece}"
        else:
            lines.append(f" {piece}")
    return linesep.join(lines) + linesep


class _Header(BaseHeader):
    """A header whose value is never parsed: it is what it says."""

    max_count = 1

    @classmethod
    def parse(cls, value: Any, kwds: dict[str, Any]) -> None:
        kwds["parse_tree"] = None
        kwds["decoded"] = str(value)

    def fold(self, *, policy: "Policy[Any]") -> str:
        return _folded(self.name, self.pieces(), policy.linesep)

    def pieces(self) -> list[str]:
        """Return what may go on different lines, each of which stays whole."""
        return [str(self)]


class TextHeader(_Header):
    """A header for people, such as Subject."""

    def pieces(self) -> list[str]:
        return written_text(str(self))


class MailboxHeader(_Header):
    """One mailbox, given as an Address: exactly one, whatever the name is."""

    @classmethod
    def parse(cls, value: Address, kwds: dict[str, Any]) -> None:
        super().parse(value, kwds)
        kwds["address"] = value

    def init(self, name: str, **kwds: Any) -> None:
        self.address: Address = kwds.pop("address")
        super().init(name, **kwds)

    @property
    def addresses(self) -> tuple[Address]:
        """The mailbox, as the headers of `email` have it."""
        return (self.address,)

    def pieces(self) -> list[str]:
        name = written_name(self.address.display_name)
        return [*name, f"<{self.address.addr_spec}>"] if name else [self.address.addr_spec]


def mailbox(address: str, name: str = "") -> Address:
    """Return a mailbox; nothing in the address is taken for more than it says."""
    username, _, domain = address.rpartition("@")
    return Address(display_name=name, username=username, domain=domain)


class _KeptHeaders(HeaderRegistry):
    """Registry that makes the class of a header once: to make it for every header is a third of a message's cost."""

    def __init__(self) -> None:
        super().__init__()
        self._classes: dict[str, type[BaseHeader]] = {}

    def __getitem__(self, name: str) -> type[BaseHeader]:
        # Only headers that are set here come by, so there is an end of names.
        key = name.lower()
        if key not in self._classes:
            self._classes[key] = super().__getitem__(name)
        return self._classes[key]


_headers = _KeptHeaders()
_headers.map_to_type("subject", TextHeader)
for _name in ("from", "to", "reply-to"):
    _headers.map_to_type(_name, MailboxHeader)
# Other programs read these, which do not decode; nothing in them has to be parsed or folded.
for _name in ("message-id", "list-unsubscribe", "list-unsubscribe-post", "date", "auto-submitted"):
    _headers.map_to_type(_name, _Header)

# Quoted-printable or base64: a server need not take bytes beyond ASCII (RFC 5321, 2.4).
POLICY = SMTP.clone(cte_type="7bit", header_factory=_headers)
