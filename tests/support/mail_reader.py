"""A reader of headers that takes what RFC 5322 and RFC 2047 allow and nothing else, and shares no code with `email`."""

import re
from base64 import b64decode

_ENCODED = re.compile(r"=\?utf-8\?B\?([A-Za-z0-9+/]+={0,2})\?=")
_ATOM = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+")
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\[ -~])*)"')
_ADDRESS = re.compile(r"<([A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9.-]+)>")


def headers(raw: bytes) -> dict[str, str]:
    """Return the headers of a message by their lower-case names, unfolded. Raises ValueError for what must not be."""
    found: dict[str, str] = {}
    for field in re.split(r"\r\n(?![ \t])", raw.partition(b"\r\n\r\n")[0].decode("ascii")):
        for line in field.split("\r\n"):
            if not line.strip() or "\r" in line or "\n" in line:
                raise ValueError(f"a line that ends a message: {field!r}")
            if len(line) > (76 if "=?" in line else 998):
                raise ValueError(f"too long: {line!r}")
        name, colon, value = field.partition(":")
        if not colon or name.lower() in found:
            raise ValueError(f"no header of its own: {field!r}")
        found[name.lower()] = value.replace("\r\n", "").removeprefix(" ")
    return found


def text(value: str) -> str:
    """Return what a header such as Subject says."""
    shown, was_encoded = "", False
    for space, word in re.findall(r"([ \t]*)([^ \t]+)", value):
        encoded = _ENCODED.fullmatch(word)
        if encoded is None and "=?" in word:
            raise ValueError(f"a reader may take it for an encoded word: {word!r}")
        # Space between two encoded words is for the folding only (RFC 2047, 6.2).
        shown += "" if encoded and was_encoded else space
        shown += _decoded(word) if encoded else word
        was_encoded = encoded is not None
    return shown


def mailbox(value: str) -> tuple[str, str]:
    """Return the name and the address of a header that has exactly one mailbox."""
    shown, was_encoded, position = "", False, 0
    while not (address := _ADDRESS.fullmatch(value, position)):
        for pattern in (_ENCODED, _ATOM, _QUOTED):
            word = pattern.match(value, position)
            if word and value[word.end() : word.end() + 1] == " ":
                break
        else:
            raise ValueError(f"not one mailbox: {value!r}")
        encoded = word.re is _ENCODED
        if not encoded and "=?" in word[0]:
            raise ValueError(f"a reader may take it for an encoded word: {word[0]!r}")
        shown += "" if position == 0 or (encoded and was_encoded) else " "
        shown += _decoded(word[0]) if encoded else re.sub(r"\\(.)", r"\1", word[0].strip('"'))
        was_encoded, position = encoded, word.end() + 1
    return shown, address[1]


def _decoded(word: str) -> str:
    encoded = _ENCODED.fullmatch(word)
    if encoded is None or len(word) > 75:
        raise ValueError(f"no encoded word: {word!r}")
    return b64decode(encoded[1], validate=True).decode()
