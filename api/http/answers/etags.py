"""Entity tags (RFC 9110, section 8.8.3): names of representations, and headers that name several."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from flask import request

from core.platform.errors import Malformed

IF_MATCH, IF_NONE_MATCH = "If-Match", "If-None-Match"

_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
# What may follow a tag.
_END = re.compile(r"[ \t]*(?:,|\Z)")
_WEAK = "W/"
# What may be sent, for the document.
PATTERN = r'^(\*|(W/)?"[!#-~]*"(, ?(W/)?"[!#-~]*")*)$'


def strong(content: bytes) -> str:
    """Return the tag of exactly these bytes."""
    return f'"{hashlib.blake2b(content, digest_size=16).hexdigest()}"'


def weak(*parts: bytes) -> str:
    """Return the tag of what these parts decide together."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return f'{_WEAK}"{digest.hexdigest()}"'


@dataclass(frozen=True, slots=True)
class Tags:
    """Tags that a header names: any at all, or one of these."""

    tags: frozenset[str]
    is_any: bool = False

    def match_strongly(self, tag: str) -> bool:
        """Return whether the tag is named. A weak one never is: it does not vouch for every byte."""
        return self.is_any or (not tag.startswith(_WEAK) and tag in self.tags)

    def match_weakly(self, tag: str) -> bool:
        """Return whether the tag is named, whether either is weak or not."""
        return self.is_any or tag.removeprefix(_WEAK) in {named.removeprefix(_WEAK) for named in self.tags}


def named_by(header: str) -> Tags | None:
    """Return what this header of the request names, None without it. Raises Malformed."""
    value = request.headers.get(header)
    return None if value is None else named_in(header, value)


def named_in(header: str, value: str) -> Tags:
    """Return what this value of a header names. Raises Malformed."""
    if value.strip(" \t") == "*":
        return Tags(frozenset(), is_any=True)
    tags = frozenset(_split(header, value))
    if not tags:
        raise _malformed(header)
    return Tags(tags)


def _split(header: str, value: str) -> Iterator[str]:
    """Yield the tags of a list, whose empty elements count for nothing (RFC 9110, section 5.6.1)."""
    position = 0
    while position < len(value):
        if value[position] in " \t,":
            position += 1
            continue
        found = _TAG.match(value, position)
        if found is None:
            raise _malformed(header)
        yield found.group()
        position = found.end()
        if not _END.match(value, position):
            raise _malformed(header)


def _malformed(header: str) -> Malformed:
    return Malformed(
        f"The header {header} cannot be understood.",
        details={header: ["Must be * or tags in double quotes, comma-separated, as ETag has given them."]},
    )
