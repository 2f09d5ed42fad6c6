"""The days of a time zone as intervals that SQL can sort moments into."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, case

from core.platform.database.sql_moments import DAY, seconds
from core.platform.errors import DomainError
from core.platform.text import zones

DEFAULT_DAYS = 30
# The quarters of an hour of `core.stats.model` count from the beginning of year 1.
QUARTER, _TO_1970 = 900, 62_135_596_800
EARLIEST, LATEST = date(1900, 1, 1), date(2999, 12, 31)


@dataclass(frozen=True, slots=True)
class Days:
    """Consecutive calendar days of one zone, the first and the last included.

    Their boundaries are computed here and compared in SQL as moments, so any
    offset is right, also +05:45 and one that changes. Days of 24 hours in a row
    need one branch of the CASE together, and a day of another length one of its
    own: a year has about five branches, not 366, and groups into 366 rows.
    """

    first: date
    last: date
    zone: ZoneInfo

    @property
    def dates(self) -> list[date]:
        """Every day, in order."""
        return [self.first + timedelta(days=number) for number in range((self.last - self.first).days + 1)]

    def within(self, moment: Any) -> ColumnElement[bool]:
        """Return the condition that a column's moment is on one of the days."""
        start = zones.first_moment(self.first, self.zone)
        end = zones.first_moment(self.last + timedelta(days=1), self.zone)
        return and_(moment >= start, moment < end)

    @property
    def are_of_quarters(self) -> bool:
        """Return whether each begins and ends with a quarter of an hour of UTC, as in all zones of today."""
        return all(run.start % QUARTER == run.end % QUARTER == 0 for run in self._runs())

    def among_quarters(self, quarter: Any) -> ColumnElement[bool]:
        """Return the condition that a column's quarter of an hour is on one of the days."""
        runs = self._runs()
        return and_(quarter >= _quarter_at(runs[0].start), quarter < _quarter_at(runs[-1].end))

    def number_of_quarter(self, quarter: Any) -> ColumnElement[int]:
        """Return on which of the days, counted from 0, a column's quarter of an hour is that is among theirs."""
        branches = []
        for run in self._runs():
            number = run.first + (quarter - _quarter_at(run.start)) // (DAY // QUARTER) if run.is_even else run.first
            branches.append((quarter < _quarter_at(run.end), number))
        return case(*branches)

    def number_of(self, moment: Any) -> ColumnElement[int]:
        """Return on which of the days, counted from 0, a column's moment is that is within them."""
        at = seconds(moment)
        branches = []
        for run in self._runs():
            number = run.first + (at - run.start) // DAY if run.is_even else run.first
            branches.append((moment < datetime.fromtimestamp(run.end, UTC), number))
        return case(*branches)

    def _runs(self) -> list["_Run"]:
        days = [*self.dates, self.last + timedelta(days=1)]
        starts = [int(zones.first_moment(day, self.zone).timestamp()) for day in days]
        runs: list[_Run] = []
        for number, (start, end) in enumerate(pairwise(starts)):
            is_even = end - start == DAY
            if runs and is_even and runs[-1].is_even:
                runs[-1] = replace(runs[-1], end=end)
            else:
                runs.append(_Run(number, start, end, is_even))
        return runs


def choose(first: date | None, last: date | None, *, zone: ZoneInfo, most: int, refusal: type[DomainError]) -> Days:
    """Return the days from `first` to `last`, by default the last 30 up to today in the zone.

    Raises `refusal`, naming the field, for days that cannot be used or more than `most` of them.
    """
    details = {
        name: [f"Must be a day from {EARLIEST} to {LATEST}."]
        for name, value in (("from", first), ("to", last))
        if value is not None and not EARLIEST <= value <= LATEST
    }
    if not details:
        last = last or zones.today(zone)
        first = first or last - timedelta(days=DEFAULT_DAYS - 1)
        if first > last:
            details["from"] = [f"Must not be after the last day, {last}."]
        elif (last - first).days >= most:
            details["from"] = [f"Must be at most {most} days before the end, {last}."]
        else:
            return Days(first, last, zone)
    raise refusal("This range of days cannot be used.", details=details)


def _quarter_at(second: int) -> int:
    """Return the number of the quarter of an hour that begins so many seconds after 1970."""
    return (second + _TO_1970) // QUARTER


@dataclass(frozen=True, slots=True)
class _Run:
    """Days of 24 hours in a row, or one of any other length, none included; in seconds since 1970."""

    first: int
    start: int
    end: int
    is_even: bool
