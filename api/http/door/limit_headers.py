"""Limits in the headers of an answer: how much is left, and when to come back."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from flask import Response, g
from flask_limiter import Limiter
from limits import RateLimitItem, WindowStats

from api.http.door.counting import windows_of
from api.http.door.limiters import PREFIX
from api.http.door.windows import whole_seconds_until

NAMES = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "RateLimit-Policy", "RateLimit")

Window = tuple[RateLimitItem, WindowStats]


@dataclass(frozen=True, slots=True)
class Quota:
    """A limit by the name that callers know it by, with each of its windows as it is now for who asks."""

    policy: str
    windows: Sequence[Window]


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit that the library enforces, by what it is enforced with."""

    limiter: Limiter
    value: Callable[[], str]
    scope: str
    key: Callable[[], str]

    def quota(self) -> Quota:
        """Return the limit as it is now for who asks, without windows if nothing is counted."""
        if not self.limiter.enabled:
            return Quota(self.scope, ())
        ask = self.limiter.limiter.get_window_stats
        return Quota(
            self.scope, [(item, ask(item, PREFIX, self.key(), self.scope)) for item in windows_of(self.value())]
        )


def concerns(*quotas: Callable[[], Quota]) -> None:
    """Note limits, by what tells their state, for the headers of the answer to this request."""
    g.limits_asked = dict.fromkeys((*g.get("limits_asked", ()), *quotas))


def add_limits(response: Response) -> Response:
    """Add the limits that the request was counted in, and when to come back if one of them leaves nothing."""
    quotas = [quota for ask in g.get("limits_asked", ()) if (quota := ask()).windows]
    if quotas:
        said = response.headers.get("Retry-After", type=int)
        for name, value in told(quotas, response.status_code, said):
            response.headers[name] = value
    return response


def told(quotas: Sequence[Quota], status: int, said: int | None) -> Iterator[tuple[str, str]]:
    """Yield the headers of an answer whose caller has these quotas, and which may have said when to come.

    Whoever waits for `Retry-After` is let in by all limits. It means "come back
    later" (RFC 9110, section 10.2.3), never "you may stay"; and whoever has said
    a later time, such as a job, a lock or an upstream, knows better than a limit.
    """
    item, stats = min([window for quota in quotas for window in quota.windows], key=_tightness)
    resets_at = stats.reset_time
    after = None
    if status == 429 or said:
        after = max(1 if stats.remaining else whole_seconds_until(stats.reset_time), said or 0)
        yield "Retry-After", str(after)
        if status >= 400:
            # Two times in one answer must not contradict each other.
            resets_at = max(resets_at, time.time() + after)
    yield "X-RateLimit-Limit", str(item.amount)
    yield "X-RateLimit-Remaining", str(stats.remaining)
    yield "X-RateLimit-Reset", str(math.ceil(resets_at))
    yield from _fields(quotas, after)


def _fields(quotas: Sequence[Quota], after: int | None) -> Iterator[tuple[str, str]]:
    """Yield the fields of draft-ietf-httpapi-ratelimit-headers-11: lists of structured fields (RFC 9651, section 3.1).

    Who spends `r` evenly within `t` asks no faster than the policy allows on the whole (its section 8.5), and `t`
    does not end after `Retry-After` (section 6).
    """
    policies, limits = [], []
    for quota in quotas:
        policy, names = _policy(quota.policy, tuple([item for item, _ in quota.windows]))
        policies.append(policy)
        for (name, amount, length), (_, stats) in zip(names, quota.windows, strict=True):
            left = stats.remaining
            seconds = max(-(-left * length // amount), whole_seconds_until(stats.reset_time))
            limits.append(f"{name};r={left};t={seconds if after is None else min(seconds, after)}")
    yield "RateLimit-Policy", ", ".join(policies)
    yield "RateLimit", ", ".join(limits)


@lru_cache(maxsize=256)
def _policy(name: str, items: tuple[RateLimitItem, ...]) -> tuple[str, Sequence[tuple[str, int, int]]]:
    """Return what `RateLimit-Policy` says of a limit, and each of its windows: its name, its amount and its seconds."""
    windows = [
        (f'"{name}"' if len(items) == 1 else f'"{name}-{item.get_expiry()}"', item.amount, item.get_expiry())
        for item in items
    ]
    return ", ".join(f"{window};q={amount};w={length}" for window, amount, length in windows), windows


def _tightness(window: Window) -> tuple[int, float]:
    """Order windows by what they leave; of those that leave nothing, the one that does so longest comes first."""
    _, stats = window
    return stats.remaining, 0 if stats.remaining else -stats.reset_time
