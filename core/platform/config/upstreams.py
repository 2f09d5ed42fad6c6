"""Settings of one upstream: the table [default.upstreams.<name>]."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Annotated, Any

from core.platform.config.declaration import Rule, Setting, between

_HEADER_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,100}")  # RFC 9110, section 5.1, in lower case
_HEADER_VALUE = re.compile(r"[\x20-\x7e]{0,4096}")
# These describe the connection or the framing, which the client decides.
_CLIENT_OWNED = frozenset(
    {"accept-encoding", "connection", "content-length", "expect", "host", "keep-alive", "te", "trailer"}
    | {"transfer-encoding", "upgrade", "proxy-authorization", "proxy-connection"}
)


def is_base_url(url: str) -> bool:
    """Return whether paths can be appended to a URL."""
    is_plain = re.fullmatch(r"[\x21-\x7e]+", url) and not re.search(r"[\\?#]|/(\.|%2e){1,2}(/|$)", url, re.IGNORECASE)
    if not is_plain:
        return False
    # The client itself says what it takes; it is loaded only where there is an upstream.
    httpx: Any = import_module("httpx")
    try:
        parsed = httpx.URL(url)
        # The resolver would refuse such a name much later, in a request.
        parsed.host.encode("idna")
    except (httpx.InvalidURL, ValueError):
        return False
    # httpx leaves out the port that the scheme has anyway.
    port = 80 if parsed.port is None else parsed.port
    return parsed.scheme in ("http", "https") and bool(parsed.host) and 1 <= port <= 65535


_BASE_URL = Rule(
    is_base_url,
    "{key} is not set, or not like https://weather.example/api:"
    " printable ASCII, with a host, and without query, fragment, '\\', '.' and '..'",
)
_SECONDS = between(0.01, 300)


@dataclass(frozen=True, slots=True, repr=False)
class UpstreamSettings:
    """Address, limits and credentials of one upstream. Only base_url has no default."""

    base_url: Annotated[str, Setting(_BASE_URL, is_url=True)]
    headers: Annotated[dict[str, str], Setting(is_secret=True)] = field(default_factory=dict)
    allow_post: bool = False
    allow_private: bool = False
    # What an upstream may take in all is meant by `timeout` too, the word that most clients have for it.
    timeout_seconds: Annotated[float, Setting(_SECONDS, also="timeout")] = 10.0
    connect_timeout_seconds: Annotated[float, Setting(_SECONDS)] = 2.0
    read_timeout_seconds: Annotated[float, Setting(_SECONDS)] = 5.0
    max_bytes: Annotated[int, Setting(between(1, 100_000_000))] = 1_048_576
    retries: Annotated[int, Setting(between(0, 10))] = 2
    retry_pause_seconds: Annotated[float, Setting(between(0, 60))] = 0.2
    cache_seconds: Annotated[float, Setting(between(0, 86_400))] = 30.0
    parallel: Annotated[int, Setting(between(1, 1000))] = 4
    breaker_failures: Annotated[int, Setting(between(1, 1000))] = 5
    breaker_seconds: Annotated[float, Setting(between(0.01, 3600))] = 30.0


def header_faults(prefix: str, headers: Mapping[str, str]) -> Iterator[str]:
    """Yield which headers cannot be sent, never with a value, which may be secret."""
    for name, value in headers.items():
        if name in _CLIENT_OWNED:
            yield f"{prefix}.{name} cannot be configured"
        elif not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            yield f"{prefix}.{name} is not a header of printable ASCII characters"
