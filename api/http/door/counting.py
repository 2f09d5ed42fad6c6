"""Counting of a caller's requests: every window of their limit is asked, counted and told in one round trip.

A library that counts one window at a time asks several times for each, and again for the headers
of the answer. The windows are those of the library `limits`, under the same names, and while Redis
is away it counts here.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from limits import RateLimitItem, WindowStats, parse_many
from limits.storage import MemoryStorage
from redis import Redis

from api.http.door.windows import Endurance, SlidingWindow, sliding_stats
from core.platform.redis_scripts import Script

# Under the names of the library, so that processes of different versions count together.
_STORED = "LIMITS:{%s}"
_BEFORE = "/-1"
# Milliseconds are enough: the counters end by the clock of the server, which knows no less.
_SCRIPT = """
-- KEYS: of each window, the counter of the period before, and that of this one.
-- ARGV: 1 to count, or 0 to ask only; then of each window its limit, and its length in milliseconds.
local told, refusing = {}, 0
for i = 1, #KEYS / 2 do
    local before, now = KEYS[2 * i - 1], KEYS[2 * i]
    local limit, length = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
    local left = redis.call('PTTL', now)
    if left > 0 and left < length then
        -- This period is over, and becomes the one before.
        redis.call('RENAME', now, before)
        left = left + length
        redis.call('SET', now, 0, 'PX', left)
    end
    local count = left == -2 and 0 or tonumber(redis.call('GET', now) or 0)
    local earlier = tonumber(redis.call('GET', before) or 0)
    local earlier_left = earlier == 0 and 0 or math.max(redis.call('PTTL', before), 0)
    if refusing == 0 and math.floor(earlier * earlier_left / length) + count >= limit then
        refusing = i
    end
    told[i] = {earlier, earlier_left, count, left}
end
local answer = {refusing}
for i = 1, #KEYS / 2 do
    local window = told[i]
    if refusing == 0 and ARGV[1] == '1' then
        window[3] = window[3] + 1
        if window[4] == -2 then
            -- A counter lives for its own period, and for that in which it is the one before.
            window[4] = 2 * tonumber(ARGV[2 * i + 1])
            redis.call('SET', KEYS[2 * i], 1, 'PX', window[4])
        else
            redis.call('INCR', KEYS[2 * i])
        end
    end
    answer[#answer + 1] = string.format('%d %d %d %d', window[1], window[2], window[3], math.max(window[4], 0))
end
return table.concat(answer, ' ')
"""


# The windows of a limit, which is remembered by them.
Items = tuple[RateLimitItem, ...]


@dataclass(frozen=True, slots=True)
class Count:
    """State of each window of a limit after a request was counted, and the window that refuses it."""

    windows: Sequence[tuple[RateLimitItem, WindowStats]]
    refused_by: RateLimitItem | None


class Windows(Protocol):
    """A place in which windows are counted."""

    def count(self, items: Items, *identifiers: str, counts: bool) -> Count:
        """Count in all windows, or in none if one of them is full; `counts=False` only asks whether one is."""


class MemoryWindows:
    """Windows in this process."""

    def __init__(self) -> None:
        self._window = SlidingWindow(MemoryStorage())
        self._lock = threading.Lock()

    def count(self, items: Items, *identifiers: str, counts: bool) -> Count:
        window = self._window
        with self._lock:
            refusing = next((item for item in items if not window.test(item, *identifiers)), None)
            if counts and refusing is None:
                for item in items:
                    window.hit(item, *identifiers)
            return Count([(item, window.get_window_stats(item, *identifiers)) for item in items], refusing)


class RedisWindows:
    """Windows on a server, for all processes. Raises RedisError."""

    def __init__(self, client: "Redis") -> None:
        self._script = Script(client, _SCRIPT)
        self._call = lru_cache(maxsize=4096)(self._make_call)

    def count(self, items: Items, *identifiers: str, counts: bool) -> Count:
        numbers = [int(number) for number in self._script.ask(self._call(items, identifiers, counts)).split()]
        windows = []
        for at, item in enumerate(items):
            before, before_left, current, current_left = numbers[4 * at + 1 : 4 * at + 5]
            windows.append((item, sliding_stats(item, before, before_left / 1000, current, current_left / 1000)))
        return Count(windows, items[numbers[0] - 1] if numbers[0] else None)

    def close(self) -> None:
        """Close the connections."""
        self._script.close()

    def _make_call(self, items: Items, identifiers: tuple[str, ...], counts: bool) -> bytes:
        stored = [_STORED % item.key_for(*identifiers) for item in items]
        names = [name for current in stored for name in (current + _BEFORE, current)]
        lengths = [text for item in items for text in (str(item.amount), str(item.get_expiry() * 1000))]
        return self._script.call(names, ("1" if counts else "0", *lengths))


class RequestCounter:
    """Counts requests in Redis, and in memory while that is away, or where there is none."""

    def __init__(self, client: "Redis | None", *, prefix: str, is_enabled: bool = True) -> None:
        self.is_enabled = is_enabled
        self.memory: Windows = MemoryWindows()
        self.first: Windows = self.memory if client is None else RedisWindows(client)
        self.endurance = Endurance()
        self._prefix = prefix

    def count(self, limit: str, key: str, scope: str, *, counts: bool) -> Count:
        """Count a request under `key`, unless that is refused; `counts=False` only asks whether it would be."""
        items = windows_of(limit)
        return self.endurance.ask(
            lambda: self.first.count(items, self._prefix, key, scope, counts=counts),
            lambda: self.memory.count(items, self._prefix, key, scope, counts=counts),
        )


@lru_cache(maxsize=256)
def windows_of(limit: str) -> Items:
    """Return the windows of a limit such as `600 per minute; 10000 per hour`, the shortest first."""
    return tuple(sorted(parse_many(limit)))
