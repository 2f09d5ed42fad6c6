"""Statistics of all the tasks that the caller may see."""

from collections.abc import Iterable
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from sqlalchemy import ColumnElement, Row
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
from core.stats.repository import StatsRepository
from core.tasks import policy as task_policy
from core.tasks.fields import TaskStatus
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
    conditions: list[ColumnElement[bool]] = [task_policy.among_visible(actor)]
    if project_id is not None:
        conditions.append(Task.project_id == project_id)
    by_owner = policy.may_compare_people(actor)
    stats = StatsRepository(session)
    totals = stats.totals(*conditions, today=today, by_owner=by_owner)
    created = stats.per_day(Task.created_at, days, *conditions)
    completed = stats.per_day(Task.completed_at, days, *conditions)
    return {
        "timezone": days.zone.key,
        "from": days.first,
        "to": days.last,
        "total": sum(row.tasks for row in totals),
        "by_status": _by_status(totals),
        "overdue": sum(row.overdue for row in totals),
        "mean_completion_seconds": _mean_seconds(totals),
        "per_day": [
            {"date": day, "created": created.get(number, 0), "completed": completed.get(number, 0)}
            for number, day in enumerate(days.dates)
        ],
        "per_user": _per_user(totals) if by_owner else None,
    }


def _by_status(totals: Iterable[Row[Any]]) -> dict[str, int]:
    counts = {status.value: 0 for status in TaskStatus}
    for row in totals:
        counts[row.status.value] += row.tasks
    return counts


def _mean_seconds(totals: Iterable[Row[Any]]) -> float | None:
    done = [row for row in totals if row.completed]
    if not done:
        return None
    # Whole numbers up to the division, so that every engine gives the same answer.
    total: int = sum(int(row.seconds) * SECOND + int(row.microseconds) for row in done)
    count: int = sum(row.completed for row in done)
    return round(total / (count * SECOND), 6)


def _per_user(totals: Iterable[Row[Any]]) -> list[dict[str, Any]]:
    people: dict[int, list[Row[Any]]] = {}
    for row in totals:
        people.setdefault(row.owner_id, []).append(row)
    return [{"user_id": user_id, "by_status": _by_status(people[user_id])} for user_id in sorted(people)]
