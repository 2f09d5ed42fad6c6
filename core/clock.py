"""The one source of the current time, so that a test can move it."""

from datetime import UTC, datetime


def now() -> datetime:
    """Return the current moment, timezone-aware, in UTC."""
    return datetime.now(UTC)
