"""Telling of an outage in a line when it begins, with a count while it lasts, and when it is over.

Hundreds of requests that meet the same outage have nothing to add to it; each has its
line in the access log.
"""

import logging
import threading
from dataclasses import dataclass

from redis.exceptions import RedisError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from core.platform import clock
from core.platform.database.trouble import is_away, trouble_of

# Seconds between two lines about the same outage.
TELL_EVERY = 10.0
DATABASE = "The database"


@dataclass(slots=True)
class _Met:
    """Number of times that an outage was met since it was last logged, and the time of that line."""

    untold: int = 0
    told_at: float = float("-inf")


_outages: dict[str, _Met] = {}
_lock = threading.Lock()


def tell(log: logging.Logger, error: BaseException) -> None:
    """Log what does not answer: at once, then no more often than each ten seconds, with how often that was met."""
    part = _part(error)
    with _lock:
        met = _outages.setdefault(part, _Met())
        met.untold += 1
        now = clock.monotonic()
        if now - met.told_at < TELL_EVERY:
            return
        times, met.untold, met.told_at = met.untold, 0, now
    log.error("%s does not answer: %s%s", part, _reason(error), f" ({times} times since the last line)" * (times > 1))


def database_is_back() -> None:
    """Log that the database answers again, and how often it had not since the last such line."""
    if DATABASE not in _outages:  # Asked with each new connection.
        return
    with _lock:
        met = _outages.pop(DATABASE, None)
    if met is not None:
        log = logging.getLogger("tasklane.outages")
        log.warning("%s answers again; it had not %s times since the last line.", DATABASE, met.untold)


def _part(error: BaseException) -> str:
    if isinstance(error, RedisError):
        return "Redis"
    if isinstance(error, OSError):
        return "The disk"
    if isinstance(error, PoolTimeout):
        return "The pool of connections to the database"
    return DATABASE if is_away(error) else f"{DATABASE} ({trouble_of(error) or 'failing'})"


def _reason(error: BaseException) -> str:
    """Return the name of an error, and the first line of what the driver says; the log takes secrets out of it."""
    lines = str(getattr(error, "orig", None) or error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0].rstrip('.')}" if lines else type(error).__name__
