"""The one source of the current time, so that a test can move it."""

import time
from datetime import UTC, datetime


def now() -> datetime:
    """Return the current moment, timezone-aware, in UTC."""
    return datetime.now(UTC)


def monotonic() -> float:
    """Return seconds on a clock that cannot be set, for durations and deadlines."""
    return time.monotonic()
