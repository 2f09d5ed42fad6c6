"""Ordering reports, and gathering their numbers."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from core.jobs import service as jobs
from core.jobs.kinds import REPORT
from core.jobs.model import Job
from core.platform import clock
from core.platform.access import OPERATOR, Actor, Permission
from core.platform.database.repeats import repeated
from core.platform.database.session import snapshot, transaction
from core.platform.errors import Forbidden, Invalid, JobFailed, NotFound
from core.platform.text import checks, zones
from core.projects import service as projects
from core.reports import policy
from core.reports.figures import Ageing, Figures, Heading, Headline, People, PersonLoad, Point, Week
from core.reports.repository import ReportRepository
from core.stats.days import Days, choose
from core.stats.repository import StatsRepository
from core.tasks import policy as task_policy
from core.tasks.fields import TaskStatus
from core.tasks.model import Task
from core.users.repository import UserRepository

TITLE = "Task report"
TITLE_LENGTH = 120
MAX_DAYS = 3 * 366
# Beyond a quarter of a year a point a day shows no more than a point a week.
MAX_DAILY = 92
MOST_PEOPLE = 15
# The last days of the ageing of overdue tasks; what is older comes after them.
AGES = (7, 30, 90, None)
WEEK = timedelta(days=7)


@repeated
def order(
    actor: Actor,
    *,
    first: date | None = None,
    last: date | None = None,
    project_id: int | None = None,
    title: str | None = None,
    time_zone: str | None = None,
) -> Job:
    """Order a report on the days from `first` to `last`, by default the last 30.

    Raises Invalid for days, a title, a zone or a project that cannot be used, and
    Forbidden for another's project or a key that may not read tasks.
    """
    require_orderable(actor, project_id=project_id)
    zone = zones.UTC_ZONE if time_zone is None else zones.find(checks.time_zone("time_zone", time_zone))
    days = _days(first, last, zone)
    if title is not None:
        title = checks.line("title", title, longest=TITLE_LENGTH)
    with transaction() as session:
        return jobs.enqueue(
            session,
            REPORT,
            by=actor,
            first=days.first.isoformat(),
            last=days.last.isoformat(),
            project_id=project_id,
            title=title,
            time_zone=days.zone.key,
        )


def _days(first: date | None, last: date | None, zone: ZoneInfo) -> Days:
    days = choose(first, last, zone=zone, most=MAX_DAYS, refusal=Invalid)
    if days.first > zones.today(zone):
        raise Invalid("This range of days cannot be used.", details={"from": ["Must not be in the future."]})
    return days


def require_orderable(actor: Actor, *, project_id: int | None) -> None:
    """Raise Forbidden unless the actor may have these tasks reported on now, and Invalid without such a project."""
    if not policy.may_order(actor):
        raise Forbidden(f"This needs the permission {Permission.TASKS_READ}.")
    if project_id is not None:
        projects.require_named(actor, project_id, refusal=Invalid)


def gather(
    actor: Actor, *, first: date, last: date, project_id: int | None, title: str | None, time_zone: str
) -> Figures:
    """Return the numbers of a report on what the actor may see now, all from one state of the database.

    Raises JobFailed if the actor may no longer see the project.
    """
    days = Days(first, last, zones.find(time_zone))
    with snapshot() as session:
        heading = Heading(
            title=title or TITLE,
            reader=_reader(session, actor),
            project=_project_name(actor, project_id),
            first=first,
            last=last,
            zone=days.zone,
            today=zones.today(days.zone),
            generated_at=clock.now(),
        )
        conditions = [task_policy.among_visible(actor)]
        if project_id is not None:
            conditions.append(Task.project_id == project_id)
        return _compute(session, heading, days, conditions)


def gather_week(slot: datetime) -> Figures:
    """Return the numbers of the last ISO week that was over at `slot`, in UTC and over all tasks."""
    day = slot.astimezone(UTC).date()
    monday = day - timedelta(days=day.weekday()) - WEEK
    label = Week(monday, 7, 0, 0).label
    return gather(
        OPERATOR,
        first=monday,
        last=monday + WEEK - timedelta(days=1),
        project_id=None,
        title=f"Weekly report, {label}",
        time_zone=zones.UTC_ZONE.key,
    )


def _reader(session: Session, actor: Actor) -> str:
    user = UserRepository(session).find(actor.user_id)
    return (user.name or user.username) if user else "administrators"


def _project_name(actor: Actor, project_id: int | None) -> str | None:
    if project_id is None:
        return None
    try:
        project = projects.get(actor, project_id=project_id)
    except (NotFound, Forbidden) as error:
        raise JobFailed(error.message) from error
    return f"{project.key} - {project.name}"


def _compute(session: Session, heading: Heading, days: Days, conditions: list[ColumnElement[bool]]) -> Figures:
    report, stats = ReportRepository(session, *conditions), StatsRepository(session)
    start, end = (zones.first_moment(day, days.zone) for day in (days.first, days.last + timedelta(days=1)))
    created = stats.per_day(Task.created_at, days, *conditions)
    completed = stats.per_day(Task.completed_at, days, *conditions)
    scope = stats.per_day(Task.created_at, days, *conditions, Task.status != TaskStatus.CANCELLED)
    open_now, overdue = report.open_and_overdue(heading.today, AGES)
    durations = report.durations(days)
    # What is still to come has no numbers.
    shown = replace(days, last=min(days.last, heading.today))
    is_weekly = len(days.dates) > MAX_DAILY
    points = _burn_up(shown, report.before(start), scope, completed)
    return Figures(
        heading=heading,
        headline=Headline(
            created=sum(created.values()),
            completed=sum(completed.values()),
            open_now=open_now,
            overdue_now=sum(overdue),
            median_seconds=durations.median if durations else None,
            mean_seconds=durations.mean if durations else None,
        ),
        by_status=report.by_status(start, end),
        burn_up=tuple(_by_week(points) if is_weekly else points),
        is_weekly=is_weekly,
        weeks=tuple(_weeks(shown, created, completed)),
        people=_people(report, days, end),
        ageing=tuple(
            Ageing(least=(before or 0) + 1, most=limit, tasks=count)
            for before, limit, count in zip((None, *AGES), AGES, overdue, strict=False)
        ),
    )


def _burn_up(
    days: Days, before: tuple[int, int], scope: Mapping[int, int], completed: Mapping[int, int]
) -> list[Point]:
    """Return the sums at the end of the day before the days, and of each of them."""
    points = [Point(days.first - timedelta(days=1), *before)]
    for number, day in enumerate(days.dates):
        last = points[-1]
        points.append(Point(day, last.scope + scope.get(number, 0), last.completed + completed.get(number, 0)))
    return points


def _by_week(points: list[Point]) -> list[Point]:
    """Return the first and the last point and those of the Sundays between them."""
    return [points[0], *(point for point in points[1:-1] if point.day.weekday() == 6), points[-1]]


def _weeks(days: Days, created: Mapping[int, int], completed: Mapping[int, int]) -> list[Week]:
    weeks: dict[date, Week] = {}
    for number, day in enumerate(days.dates):
        monday = day - timedelta(days=day.weekday())
        week = weeks.get(monday, Week(monday, 0, 0, 0))
        weeks[monday] = Week(
            monday,
            week.days + 1,
            week.created + created.get(number, 0),
            week.completed + completed.get(number, 0),
        )
    return list(weeks.values())


def _people(report: ReportRepository, days: Days, end: datetime) -> People:
    rows = report.per_person(days, end, limit=MOST_PEOPLE)
    top = tuple(PersonLoad(row.name, row.username, row.open_now, row.completed) for row in rows)
    if not rows:
        return People(top, 0, 0, 0)
    return People(
        top=top,
        others=rows[0].people - len(top),
        others_open=int(rows[0].all_open) - sum(person.open_now for person in top),
        others_completed=int(rows[0].all_completed) - sum(person.completed for person in top),
    )
