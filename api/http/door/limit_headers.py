"""Limits in the headers of an answer: how much is left, and when to come back."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from flask import Response, g
from flask_limiter import Limiter
from limits import RateLimitItem, WindowStats, parse_many

from api.http.door.limiters import PREFIX
from api.http.door.windows import whole_seconds_until


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit that the library enforces, by what it is enforced with."""

    limiter: Limiter
    value: Callable[[], str]
    scope: str
    key: Callable[[], str]

    def windows(self) -> list[tuple[RateLimitItem, WindowStats]]:
        """Return each of its windows as it is now for who asks."""
        ask = self.limiter.limiter.get_window_stats
        return [(item, ask(item, PREFIX, self.key(), self.scope)) for item in sorted(parse_many(self.value()))]


def concerns(*limits: Limit) -> None:
    """Note these limits for the headers of the answer to this request."""
    g.limits_asked = (*g.get("limits_asked", ()), *limits)


def add_limits(response: Response) -> Response:
    """Add the limit that leaves least, and when to come back if it leaves nothing.

    Whoever waits for `Retry-After` is let in by all limits. It means "come back
    later" (RFC 9110, section 10.2.3), never "you may stay"; and whoever has said
    a later time, such as a job, a lock or an upstream, knows better than a limit.
    """
    windows = [window for limit in g.get("limits_asked", ()) if limit.limiter.enabled for window in limit.windows()]
    if not windows:
        return response
    item, stats = min(windows, key=_tightness)
    wait = 1 if stats.remaining else whole_seconds_until(stats.reset_time)
    said = response.headers.get("Retry-After", type=int)
    resets_at = stats.reset_time
    if response.status_code == 429 or said:
        after = max(wait, said or 0)
        response.headers["Retry-After"] = str(after)
        if response.status_code >= 400:
            # Two times in one answer must not contradict each other.
            resets_at = max(resets_at, time.time() + after)
    response.headers["X-RateLimit-Limit"] = str(item.amount)
    response.headers["X-RateLimit-Remaining"] = str(stats.remaining)
    response.headers["X-RateLimit-Reset"] = str(math.ceil(resets_at))
    return response


def _tightness(window: tuple[RateLimitItem, WindowStats]) -> tuple[int, float]:
    """Order windows by what they leave; of those that leave nothing, the one that does so longest comes first."""
    _, stats = window
    return stats.remaining, 0 if stats.remaining else -stats.reset_time
