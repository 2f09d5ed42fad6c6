"""The upstreams of an application, and what this process knows of each: connections, breakers, answers.

What asks them is loaded where there are any: most installations have none, and most processes ask none.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from core.platform.cache.memory import MemoryCache
from core.platform.config.upstreams import UpstreamSettings
from core.upstreams.breaker import Breaker, BreakerState

if TYPE_CHECKING:
    import httpx

# How much memory of a process the answers of all upstreams may take.
MAX_CACHED_BYTES = 8 * 1024 * 1024
# Characters of a path below the address of an upstream.
MAX_PATH = 1024


@dataclass(frozen=True, slots=True)
class Upstream:
    """One configured service as this process sees it."""

    name: str
    settings: UpstreamSettings
    base: "httpx.URL"
    breaker: Breaker
    # A slow upstream may hold so many threads and no more; the others go on serving.
    places: threading.BoundedSemaphore


class Registry:
    """The upstreams by name, their cached answers, and the client that asks them, made at first use."""

    def __init__(self, configured: Mapping[str, UpstreamSettings]) -> None:
        self.cache = MemoryCache(max_total_bytes=MAX_CACHED_BYTES)
        self._upstreams = {name: _upstream(name, settings) for name, settings in configured.items()}
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None

    def all(self) -> list[Upstream]:
        return list(self._upstreams.values())

    def states(self) -> dict[str, BreakerState]:
        """Return the state of every upstream's breaker by name."""
        return {name: upstream.breaker.state for name, upstream in self._upstreams.items()}

    def find(self, name: str) -> Upstream | None:
        return self._upstreams.get(name)

    @property
    def client(self) -> "httpx.Client":
        with self._lock:
            if self._client is None:
                self._client = import_module("core.upstreams.client").make_client()
            return self._client

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None


def _upstream(name: str, settings: UpstreamSettings) -> Upstream:
    breaker = Breaker(name, failures=settings.breaker_failures, seconds=settings.breaker_seconds)
    base = import_module("core.upstreams.address").base_of(settings.base_url)
    return Upstream(name, settings, base, breaker, threading.BoundedSemaphore(settings.parallel))
