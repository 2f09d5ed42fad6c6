"""The upstreams of an application, and what one process knows of each: connections, breakers, answers."""

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from core.platform.cache.memory import MemoryCache
from core.platform.config.upstreams import UpstreamSettings
from core.upstreams.address import base_of
from core.upstreams.breaker import Breaker
from core.upstreams.client import make_client

# How much memory of a process the answers of all upstreams may take.
MAX_CACHED_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Upstream:
    """One configured service as this process sees it."""

    name: str
    settings: UpstreamSettings
    base: httpx.URL
    breaker: Breaker
    # A slow upstream may hold so many threads and no more; the others go on serving.
    places: threading.BoundedSemaphore


class Registry:
    """Clients of the upstreams, made at first use in the process that uses them."""

    def __init__(self, configured: Mapping[str, UpstreamSettings]) -> None:
        self._configured = configured
        # A fork copies connections, which two processes must not share, and locks, which
        # may be held. So each process has its own, and leaves its parent's alone.
        self._by_process: dict[int, _Process] = {}

    def all(self) -> list[Upstream]:
        return list(self._here().upstreams.values())

    def find(self, name: str) -> Upstream | None:
        return self._here().upstreams.get(name)

    @property
    def cache(self) -> MemoryCache:
        return self._here().cache

    @property
    def client(self) -> httpx.Client:
        return self._here().client()

    def close(self) -> None:
        """Close the connections of this process."""
        here = self._by_process.pop(os.getpid(), None)
        if here is not None:
            here.close()

    def _here(self) -> "_Process":
        # One step, so that two threads that come first get the same.
        return self._by_process.get(os.getpid()) or self._by_process.setdefault(os.getpid(), _Process(self._configured))


class _Process:
    def __init__(self, configured: Mapping[str, UpstreamSettings]) -> None:
        self.cache = MemoryCache(max_total_bytes=MAX_CACHED_BYTES)
        self.upstreams = {name: _upstream(name, settings) for name, settings in configured.items()}
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None

    def client(self) -> httpx.Client:
        with self._lock:
            if self._client is None:
                self._client = make_client()
            return self._client

    def close(self) -> None:
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None


def _upstream(name: str, settings: UpstreamSettings) -> Upstream:
    breaker = Breaker(name, failures=settings.breaker_failures, seconds=settings.breaker_seconds)
    return Upstream(name, settings, base_of(settings.base_url), breaker, threading.BoundedSemaphore(settings.parallel))
