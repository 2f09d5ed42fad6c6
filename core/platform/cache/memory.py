"""Values kept in the memory of this process, within bounds."""

import threading
from collections import OrderedDict

from core.platform import clock

_ENTRY_BYTES = 500


class MemoryCache:
    """Bytes that were asked for last, up to a number of them, in one process."""

    def __init__(self, *, max_total_bytes: int) -> None:
        self._max = max_total_bytes
        self._size = 0
        self._lock = threading.Lock()
        self._entries: OrderedDict[tuple[str, ...], tuple[float, bytes]] = OrderedDict()

    def find(self, key: tuple[str, ...]) -> bytes | None:
        """Return what is kept under the key and still fresh."""
        with self._lock:
            ends_at, body = self._entries.get(key, (0.0, b""))
            if ends_at <= clock.monotonic():
                self._drop(key)
                return None
            self._entries.move_to_end(key)
            return body

    def keep(self, key: tuple[str, ...], body: bytes, *, seconds: float) -> None:
        """Keep a value for so long; what was not asked for the longest makes room."""
        if seconds <= 0 or _cost(key, body) > self._max // 4:
            return
        with self._lock:
            self._drop(key)
            self._entries[key] = (clock.monotonic() + seconds, body)
            self._size += _cost(key, body)
            while self._size > self._max:
                self._drop(next(iter(self._entries)))

    def forget(self, name: str) -> None:
        """Drop all entries whose key begins with `name`."""
        with self._lock:
            for key in [key for key in self._entries if key[0] == name]:
                self._drop(key)

    def drop(self, key: tuple[str, ...]) -> None:
        """Drop one entry."""
        with self._lock:
            self._drop(key)

    def _drop(self, key: tuple[str, ...]) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._size -= _cost(key, entry[1])


def _cost(key: tuple[str, ...], body: bytes) -> int:
    # Many short answers to long questions need memory too.
    return len(body) + sum(len(part) for part in key) + _ENTRY_BYTES
