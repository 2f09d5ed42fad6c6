"""Address of a call: always below the upstream's base_url, whatever the caller writes.

A path is refused unless each of its segments is plain; what is left is encoded
afresh. So no spelling of `..`, of a host or of a query survives that the
upstream, or a proxy before it, could read in another way.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from urllib.parse import quote, urlencode

import httpx

from core.platform.errors import Malformed
from core.upstreams.registry import MAX_PATH

MAX_QUERY = 4096
_PLAIN = frozenset(" !$&'()*+,-.:=_~")
_RULE = (
    f"Must be at most {MAX_PATH} characters: segments of letters, digits, spaces and "
    f"{''.join(sorted(_PLAIN)).strip()}, none of them empty, only dots, or with ':' at its end."
)


def base_of(base_url: str) -> httpx.URL:
    """Return the base without its credentials; they travel in a header, and appear in no log."""
    return httpx.URL(base_url).copy_with(userinfo=b"")


def below(base: httpx.URL, path: str, parameters: Mapping[str, Sequence[str]]) -> httpx.URL:
    """Return the address of `path` below `base`. Raises Malformed, naming `path` or the query."""
    query = urlencode(parameters, doseq=True)
    if len(query) > MAX_QUERY:
        raise Malformed(f"The query is longer than {MAX_QUERY} characters.")
    target = base.raw_path.rstrip(b"/") + b"/" + _encoded(path) + (b"?" + query.encode() if query else b"")
    address = base.copy_with(raw_path=target)
    # The checks above already ensure this; it holds even if they are wrong one day.
    if (address.scheme, address.host, address.port, address.raw_path) != (base.scheme, base.host, base.port, target):
        raise _refusal()
    return address


def _encoded(path: str) -> bytes:
    # A slash at the end means something to many services, so it is kept.
    segments = path.removesuffix("/").split("/")
    if len(path) > MAX_PATH or not all(_is_plain(segment) for segment in segments):
        raise _refusal()
    encoded = "/".join(quote(segment, safe="!$&'()*+,:=~") for segment in segments)
    return (encoded + ("/" if path.endswith("/") else "")).encode()


def _is_plain(segment: str) -> bool:
    # Letters, marks and numbers of every script, and punctuation that has no meaning in a path. A proxy
    # before us may have made http:/host of http://host, so no segment looks like a scheme.
    return (
        bool(segment.strip(" ."))
        and not segment.endswith(":")
        and all(character in _PLAIN or unicodedata.category(character)[0] in "LMN" for character in segment)
    )


def _refusal() -> Malformed:
    return Malformed("This path cannot be relayed.", details={"path": [_RULE]})
