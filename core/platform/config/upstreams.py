"""Settings of one upstream: the table [default.upstreams.<name>]."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx

_HEADER_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,100}")  # RFC 9110, section 5.1, in lower case
_HEADER_VALUE = re.compile(r"[\x20-\x7e]{0,4096}")
# These describe the connection or the framing, which the client decides.
_CLIENT_OWNED = frozenset(
    {"accept-encoding", "connection", "content-length", "expect", "host", "keep-alive", "te", "trailer"}
    | {"transfer-encoding", "upgrade", "proxy-authorization", "proxy-connection"}
)
_BOUNDS = {
    "timeout_seconds": (0.01, 300),
    "connect_timeout_seconds": (0.01, 300),
    "read_timeout_seconds": (0.01, 300),
    "max_bytes": (1, 100_000_000),
    "retries": (0, 10),
    "retry_pause_seconds": (0, 60),
    "cache_seconds": (0, 86_400),
    "parallel": (1, 1000),
    "breaker_failures": (1, 1000),
    "breaker_seconds": (0.01, 3600),
}


@dataclass(frozen=True, slots=True)
class UpstreamSettings:
    """Address, limits and credentials of one upstream. Only base_url has no default."""

    base_url: str = field(repr=False, metadata={"url": True})
    headers: dict[str, str] = field(default_factory=dict, repr=False, metadata={"secret": True})
    allow_post: bool = False
    allow_private: bool = False
    # What an upstream may take in all is meant by `timeout` too, the word that most clients have for it.
    timeout_seconds: float = field(default=10.0, metadata={"also": "timeout"})
    connect_timeout_seconds: float = 2.0
    read_timeout_seconds: float = 5.0
    max_bytes: int = 1_048_576
    retries: int = 2
    retry_pause_seconds: float = 0.2
    cache_seconds: float = 30.0
    parallel: int = 4
    breaker_failures: int = 5
    breaker_seconds: float = 30.0


def problems(prefix: str, settings: UpstreamSettings) -> Iterator[str]:
    """Yield what makes the settings unusable, never with a value that may be secret."""
    reason = _url_problem(settings.base_url)
    if reason:
        yield f"{prefix}.base_url {reason}"
    for name, value in settings.headers.items():
        if name in _CLIENT_OWNED:
            yield f"{prefix}.headers.{name} cannot be configured"
        elif not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            yield f"{prefix}.headers.{name} is not a header of printable ASCII characters"
    for key, (lowest, highest) in _BOUNDS.items():
        if not lowest <= getattr(settings, key) <= highest:
            yield f"{prefix}.{key} must be {lowest} to {highest}"


def _url_problem(url: str) -> str:
    """Return why no path can be appended to `url`, or an empty string."""
    if not url:
        return "is not set"
    if not re.fullmatch(r"[\x21-\x7e]+", url) or "\\" in url or re.search(r"/(\.|%2e){1,2}(/|$)", url, re.IGNORECASE):
        return "must be printable ASCII without '\\' and without '.' and '..' in its path"
    try:
        parsed = httpx.URL(url)
        # The resolver would refuse such a name much later, in a request.
        parsed.host.encode("idna")
    except (httpx.InvalidURL, ValueError):
        return "is not a URL"
    # httpx leaves out the port that the scheme has anyway.
    port = 80 if parsed.port is None else parsed.port
    if parsed.scheme not in ("http", "https") or not parsed.host or not 1 <= port <= 65535:
        return "must start with http:// or https:// and a host"
    return "must have neither a query nor a fragment" if "?" in url or "#" in url else ""
