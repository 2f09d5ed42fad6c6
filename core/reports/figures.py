"""The numbers of one report, as plain values: what is drawn, and nothing of how."""

from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from core.tasks.fields import TaskStatus


@dataclass(frozen=True, slots=True)
class Heading:
    """Heading of a report. `reader` is the user whose view of the tasks it shows; `today` is in the zone."""

    title: str
    reader: str
    project: str | None
    first: date
    last: date
    zone: ZoneInfo
    today: date
    generated_at: datetime


@dataclass(frozen=True, slots=True)
class Headline:
    """The numbers that come first. Times to completion are in seconds, None if nothing was completed."""

    created: int
    completed: int
    open_now: int
    overdue_now: int
    median_seconds: float | None
    mean_seconds: float | None


@dataclass(frozen=True, slots=True)
class Point:
    """Number of tasks at the end of a day, and of those that were completed."""

    day: date
    scope: int
    completed: int


@dataclass(frozen=True, slots=True)
class Week:
    """Figures of an ISO week. `days` of it are in the range, seven unless it is cut off."""

    monday: date
    days: int
    created: int
    completed: int

    @property
    def label(self) -> str:
        """The week as ISO 8601 writes it."""
        year, number, _ = self.monday.isocalendar()
        return f"{year}-W{number:02}"


@dataclass(frozen=True, slots=True)
class PersonLoad:
    """Tasks that a user has open now, and those completed in the range.

    A username is plain ASCII, which any font can spell.
    """

    name: str | None
    username: str
    open_now: int
    completed: int


@dataclass(frozen=True, slots=True)
class People:
    """Users with the most tasks first, and all others in three numbers."""

    top: tuple[PersonLoad, ...]
    others: int
    others_open: int
    others_completed: int


@dataclass(frozen=True, slots=True)
class Ageing:
    """Number of open tasks that are overdue by some range of days; `most` is None for the last, which has no end."""

    least: int
    most: int | None
    tasks: int


@dataclass(frozen=True, slots=True)
class Figures:
    """All numbers of a report, from one state of the database.

    `by_status` counts the tasks of the range: created by its end, and neither
    completed nor cancelled before its start. `burn_up` leaves cancelled tasks
    out, because no moment is stored when they were cancelled; it starts the day before
    the range, and ends with the range or today. `is_weekly`: it has
    a point a week and not a day.
    """

    heading: Heading
    headline: Headline
    by_status: dict[TaskStatus, int]
    burn_up: tuple[Point, ...]
    is_weekly: bool
    weeks: tuple[Week, ...]
    people: People
    ageing: tuple[Ageing, ...]

    @property
    def in_range(self) -> int:
        """Number of tasks that the report is about."""
        return sum(self.by_status.values())
