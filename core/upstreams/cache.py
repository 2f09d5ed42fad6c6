"""Answers of upstreams, kept for a short time where the upstream allows it (RFC 9111).

All callers are one to an upstream, because nothing of their credentials is sent
there; so an answer for one is an answer for all.
"""

import re
import threading
from collections import OrderedDict
from collections.abc import Mapping

from core.platform import clock

MAX_TOTAL_BYTES = 8 * 1024 * 1024
_ENTRY_BYTES = 500
# An answer that varies by anything else may differ although it was asked for in the same words.
_SENT_ALIKE = frozenset({"accept", "accept-encoding", "accept-language", "authorization", "origin", "user-agent"})
_FORBIDDING = frozenset({"no-store", "no-cache", "private", "must-understand"})


class AnswerCache:
    """The answers that were asked for last, up to a number of bytes, in one process."""

    def __init__(self, *, max_total_bytes: int = MAX_TOTAL_BYTES) -> None:
        self._max = max_total_bytes
        self._size = 0
        self._lock = threading.Lock()
        self._entries: OrderedDict[tuple[str, ...], tuple[float, bytes]] = OrderedDict()

    def find(self, key: tuple[str, ...]) -> bytes | None:
        """Return an answer that is still fresh."""
        with self._lock:
            ends_at, body = self._entries.get(key, (0.0, b""))
            if ends_at <= clock.monotonic():
                self._drop(key)
                return None
            self._entries.move_to_end(key)
            return body

    def keep(self, key: tuple[str, ...], body: bytes, *, seconds: float) -> None:
        """Keep an answer; what was not asked for the longest makes room."""
        if seconds <= 0 or _cost(key, body) > self._max // 4:
            return
        with self._lock:
            self._drop(key)
            self._entries[key] = (clock.monotonic() + seconds, body)
            self._size += _cost(key, body)
            while self._size > self._max:
                self._drop(next(iter(self._entries)))

    def forget(self, name: str) -> None:
        """Drop all answers whose key begins with `name`."""
        with self._lock:
            for key in [key for key in self._entries if key[0] == name]:
                self._drop(key)

    def drop(self, key: tuple[str, ...]) -> None:
        """Drop one answer."""
        with self._lock:
            self._drop(key)

    def _drop(self, key: tuple[str, ...]) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._size -= _cost(key, entry[1])


def _cost(key: tuple[str, ...], body: bytes) -> int:
    # Many short answers to long questions need memory too.
    return len(body) + sum(len(part) for part in key) + _ENTRY_BYTES


def fresh_seconds(headers: Mapping[str, str], *, longest: float) -> float:
    """Return how long an answer with these headers may be kept, at most `longest`."""
    directives: dict[str, list[str]] = {}
    for part in headers.get("cache-control", "").lower().split(","):
        name, _, value = part.strip().partition("=")
        directives.setdefault(name, []).append(value.strip('" '))
    varies = {name.strip().lower() for name in headers.get("vary", "").split(",") if name.strip()}
    if directives.keys() & _FORBIDDING or "set-cookie" in headers or not varies <= _SENT_ALIKE:
        return 0.0
    ages = directives.get("s-maxage") or directives.get("max-age") or ["0"]
    spent = headers.get("age", "0")
    if not all(re.fullmatch("[0-9]{1,9}", age) for age in [*ages, spent]):
        return 0.0
    return max(0.0, min(longest, min(map(int, ages)) - int(spent)))
