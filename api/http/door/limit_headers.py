"""Limits in the headers of an answer: how much is left, and when to come back."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from flask import Response, g
from flask_limiter import Limiter
from limits import RateLimitItem, WindowStats

from api.http.door.counting import windows_of
from api.http.door.limiters import PREFIX
from api.http.door.windows import whole_seconds_until

Windows = Sequence[tuple[RateLimitItem, WindowStats]]


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit that the library enforces, by what it is enforced with."""

    limiter: Limiter
    value: Callable[[], str]
    scope: str
    key: Callable[[], str]

    def windows(self) -> Windows:
        """Return each of its windows as it is now for who asks."""
        if not self.limiter.enabled:
            return ()
        ask = self.limiter.limiter.get_window_stats
        return [(item, ask(item, PREFIX, self.key(), self.scope)) for item in windows_of(self.value())]


def concerns(*limits: Callable[[], Windows]) -> None:
    """Note limits, by what tells their windows, for the headers of the answer to this request."""
    g.limits_asked = dict.fromkeys((*g.get("limits_asked", ()), *limits))


def add_limits(response: Response) -> Response:
    """Add the limit that leaves least, and when to come back if it leaves nothing."""
    windows = [window for limit in g.get("limits_asked", ()) for window in limit()]
    if windows:
        said = response.headers.get("Retry-After", type=int)
        for name, value in told(windows, response.status_code, said):
            response.headers[name] = value
    return response


def told(windows: Windows, status: int, said: int | None) -> Iterator[tuple[str, str]]:
    """Yield the headers of an answer whose caller is limited by these windows, and which may have said when to come.

    Whoever waits for `Retry-After` is let in by all limits. It means "come back
    later" (RFC 9110, section 10.2.3), never "you may stay"; and whoever has said
    a later time, such as a job, a lock or an upstream, knows better than a limit.
    """
    item, stats = min(windows, key=_tightness)
    resets_at = stats.reset_time
    if status == 429 or said:
        after = max(1 if stats.remaining else whole_seconds_until(stats.reset_time), said or 0)
        yield "Retry-After", str(after)
        if status >= 400:
            # Two times in one answer must not contradict each other.
            resets_at = max(resets_at, time.time() + after)
    yield "X-RateLimit-Limit", str(item.amount)
    yield "X-RateLimit-Remaining", str(stats.remaining)
    yield "X-RateLimit-Reset", str(math.ceil(resets_at))


def _tightness(window: tuple[RateLimitItem, WindowStats]) -> tuple[int, float]:
    """Order windows by what they leave; of those that leave nothing, the one that does so longest comes first."""
    _, stats = window
    return stats.remaining, 0 if stats.remaining else -stats.reset_time
