"""Time zones of the IANA database, and where their days begin."""

import difflib
from datetime import UTC, date, datetime, time
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from core.platform import clock

UTC_ZONE = ZoneInfo("UTC")


@cache
def _spellings() -> dict[str, str]:
    """Return every name by how people may write it: whatever the case, and the city alone."""
    names = sorted(available_timezones())
    cities = {name.rpartition("/")[2].lower(): name for name in reversed(names)}
    return {**cities, **{name.lower(): name for name in names}}


def find(name: str) -> ZoneInfo:
    """Return the zone; raise ValueError, with the nearest name, if there is none of exactly this name."""
    spellings = _spellings()
    if spellings.get(name.lower()) == name:
        return ZoneInfo(name)
    close = difflib.get_close_matches(name[:64].lower().replace(" ", "_"), list(spellings), n=1)
    hint = f" Did you mean {spellings[close[0]]!r}?" if close else ""
    raise ValueError(f"Must be a time zone of the IANA database such as Europe/Berlin.{hint}")


def known(name: str) -> ZoneInfo:
    """Return the zone of a stored name; UTC if the time zone database of this machine no longer has it."""
    try:
        return find(name)
    except ValueError:
        return UTC_ZONE


def today(zone: ZoneInfo) -> date:
    """Return the calendar day that it is now in the zone."""
    return clock.now().astimezone(zone).date()


def first_moment(day: date, zone: ZoneInfo, *, hour: int = 0) -> datetime:
    """Return the moment in UTC at which the day, or an hour of it, begins in the zone.

    Where clocks go forward at that time it begins with their change, and where
    the time comes twice, with the first.
    """
    return datetime.combine(day, time(hour), tzinfo=zone).astimezone(UTC)
