"""Statistics of all the tasks that the caller may see."""

from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from core.platform.access import Actor
from core.platform.cache.answers import cache
from core.platform.cache.marks.model import Topic
from core.platform.database.sql_moments import SECOND
from core.platform.errors import Malformed
from core.platform.text import zones
from core.projects import service as projects
from core.stats import policy
from core.stats.days import Days, choose
from core.stats.repository import StatsRepository, Sums
from core.tasks import policy as task_policy
from core.tasks.model import Task

MAX_DAYS = 366
# What the numbers depend on: the tasks, and who may see them.
TOPICS = (Topic.TASKS, Topic.PROJECTS, Topic.PROJECT_MEMBERS)


def report(
    actor: Actor,
    *,
    zone: ZoneInfo = zones.UTC_ZONE,
    first: date | None = None,
    last: date | None = None,
    project_id: int | None = None,
) -> bytes:
    """Return the statistics of the tasks that the actor may see, as JSON.

    The daily numbers are those from `first` to `last`, by default the last 30
    days. They are cached until a task changes. Raises Malformed for a
    range and a project that cannot be used, and Forbidden for another's project.
    """
    today = zones.today(zone)
    days = choose(first, last, zone=zone, most=MAX_DAYS, refusal=Malformed)
    if project_id is not None:
        projects.require_named(actor, project_id)
    # Whether a task is overdue depends on the day, and on nothing else that the stamp would not show.
    asked = (actor.user_id, actor.role, zone.key, today, days.first, days.last, project_id)
    key = "stats:" + ":".join(str(part) for part in asked)
    return cache.memoized(
        key, *TOPICS, make=lambda session: orjson.dumps(_compute(session, actor, days, today, project_id))
    )


def _compute(session: Session, actor: Actor, days: Days, today: date, project_id: int | None) -> dict[str, Any]:
    stats = StatsRepository(session)
    by_owner = policy.may_compare_people(actor)
    is_of_all = by_owner and project_id is None
    conditions: list[ColumnElement[bool]] = [task_policy.among_visible(actor)]
    if project_id is not None:
        conditions.append(Task.project_id == project_id)
    sums = stats.sums_of_all(today=today) if is_of_all else stats.sums(*conditions, today=today, by_owner=by_owner)
    if is_of_all and days.are_of_quarters:
        created, completed = stats.per_day_of_all(days)
    else:
        created = stats.per_day(Task.created_at, days, *conditions)
        completed = stats.per_day(Task.completed_at, days, *conditions)
    return {
        "timezone": days.zone.key,
        "from": days.first,
        "to": days.last,
        "total": sum(sums.by_status.values()),
        "by_status": sums.by_status,
        "overdue": sums.overdue,
        "mean_completion_seconds": _mean_seconds(sums),
        "per_day": [
            {"date": day, "created": created.get(number, 0), "completed": completed.get(number, 0)}
            for number, day in enumerate(days.dates)
        ],
        "per_user": sums.people if by_owner else None,
    }


def _mean_seconds(sums: Sums) -> float | None:
    if not sums.finished:
        return None
    return round((sums.seconds * SECOND + sums.microseconds) / (sums.finished * SECOND), 6)
