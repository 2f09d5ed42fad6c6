"""Windows in which requests are counted: exact as to when one more is let in, and there while Redis is away, too.

The library's own forecasts are guesses: whoever comes back when they say is
refused again. The counting stays the library's.
"""

import logging
import math
import time
from collections.abc import Callable
from typing import TypeVar

from limits import RateLimitItem, WindowStats
from limits.strategies import MovingWindowRateLimiter, RateLimiter, SlidingWindowCounterRateLimiter
from redis.exceptions import RedisError

from core.platform import redis

# Seconds until the next request tries a Redis that was away.
PAUSE = 2.0
# Redis rounds the times of a window to fractions of this.
ROUNDING_SECONDS = 0.001

log = logging.getLogger("tasklane.limits")

Value = TypeVar("Value")


class MovingWindow(MovingWindowRateLimiter):
    """Remembers the moment of each request of a period."""

    def get_window_stats(self, item: RateLimitItem, *identifiers: str) -> WindowStats:
        """Return when the oldest request leaves the window, which lets one more in, and how many may come now."""
        length = item.get_expiry()
        # Both storages have it, but there is no type for that.
        oldest, count = self.storage.get_moving_window(item.key_for(*identifiers), item.amount, length)  # type: ignore[attr-defined]
        return WindowStats(oldest + length if count else time.time(), max(item.amount - count, 0))


class SlidingWindow(SlidingWindowCounterRateLimiter):
    """Counts this period and the one before, which weighs less the longer it is over."""

    def get_window_stats(self, item: RateLimitItem, *identifiers: str) -> WindowStats:
        """Return when the weight has sunk so far that one more is let in, and how many may come now."""
        # Both storages have it, but there is no type for that.
        window = self.storage.get_sliding_window(item.key_for(*identifiers), item.get_expiry())  # type: ignore[attr-defined]
        return sliding_stats(item, *window)


def sliding_stats(
    item: RateLimitItem, before: int, before_left: float, current: int, current_left: float
) -> WindowStats:
    """Return what the counters of two periods, and the seconds that they have left, say of a window."""
    length = item.get_expiry()
    # A counter lives for two periods, its own and that in which it is the one before.
    period_left = max(current_left - length, 0.0)
    weight = math.floor(before * before_left / length) + current
    target = min(weight, item.amount) - 1
    wait = 0.0 if weight == 0 else _sinks_in(target, length, before, before_left, current, period_left)
    return WindowStats(time.time() + wait, max(item.amount - weight, 0))


def _sinks_in(target: int, length: int, before: int, before_left: float, current: int, period_left: float) -> float:
    """Return in how many seconds the whole part of the weight is at most `target`."""
    if current <= target:
        # The weight of the period before sinks evenly, down to nothing.
        return max(before_left - (target + 1 - current) * length / before, 0.0)
    # Only when this period is the one before, it begins to weigh less.
    return period_left + length - (target + 1) * length / current


def whole_seconds_until(moment: float) -> int:
    """Return how many whole seconds to wait to be past a moment for sure, at least one."""
    return max(math.floor(moment - time.time() + ROUNDING_SECONDS) + 1, 1)


class Endurance:
    """Asks in one place, and while that is away in another.

    Flask-Limiter has a fallback of its own, which only the first thread to notice
    takes: the requests of the others, on their way to Redis at that moment, fail,
    and those whose headers are written then fail although their work is done.
    """

    def __init__(self) -> None:
        self.absence = redis.Absence(PAUSE)

    def ask(self, first: Callable[[], Value], second: Callable[[], Value]) -> Value:
        """Return the answer of the first that may be asked, and of the second if it does not answer."""
        if self.absence.may_try():
            try:
                answer = first()
            except (RedisError, OSError) as error:
                if self.absence.note_failure():
                    log.warning("Redis does not answer (%s); requests are counted here.", type(error).__name__)
            else:
                self.absence.note_answer()
                return answer
        return second()


class Enduring(RateLimiter):
    """A strategy of the library that goes on while Redis is away."""

    def __init__(self, first: RateLimiter, second: RateLimiter) -> None:
        self.storage = first.storage
        self.first = first
        self._second = second
        self.endurance = Endurance()

    def hit(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> bool:
        return self._ask(lambda limiter: limiter.hit(item, *identifiers, cost=cost))

    def test(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> bool:
        return self._ask(lambda limiter: limiter.test(item, *identifiers, cost=cost))

    def get_window_stats(self, item: RateLimitItem, *identifiers: str) -> WindowStats:
        return self._ask(lambda limiter: limiter.get_window_stats(item, *identifiers))

    def _ask(self, question: Callable[[RateLimiter], Value]) -> Value:
        return self.endurance.ask(lambda: question(self.first), lambda: question(self._second))
