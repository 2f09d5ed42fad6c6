"""Values kept in the memory of this process, within bounds."""

import threading
from dataclasses import dataclass

from cachetools import TLRUCache

from core.platform import clock

_ENTRY_BYTES = 500


@dataclass(frozen=True, slots=True)
class _Entry:
    body: bytes
    seconds: float
    cost: int


def _now() -> float:
    # Looked up at each call, because tests move the clock.
    return clock.monotonic()


class MemoryCache:
    """Bytes that were asked for last, up to a number of them, in one process."""

    def __init__(self, *, max_total_bytes: int) -> None:
        self._lock = threading.Lock()
        self._entries: TLRUCache[tuple[str, ...], _Entry] = TLRUCache(
            max_total_bytes,
            ttu=lambda key, entry, now: now + entry.seconds,
            timer=_now,
            getsizeof=lambda entry: entry.cost,
        )

    def find(self, key: tuple[str, ...]) -> bytes | None:
        """Return what is kept under the key and still fresh."""
        with self._lock:
            entry = self._entries.get(key)
        return None if entry is None else entry.body

    def keep(self, key: tuple[str, ...], body: bytes, *, seconds: float) -> None:
        """Keep a value for so long; what was not asked for the longest makes room."""
        # Many short answers to long questions need memory too.
        cost = len(body) + sum(len(part) for part in key) + _ENTRY_BYTES
        if seconds > 0 and cost <= self._entries.maxsize // 4:
            with self._lock:
                self._entries[key] = _Entry(body, seconds, cost)

    def forget(self, name: str) -> None:
        """Drop all entries whose key begins with `name`."""
        with self._lock:
            for key in [key for key in self._entries if key[0] == name]:
                self._entries.pop(key, None)
