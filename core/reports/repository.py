"""Sums over tasks for reports, in SQL: no task ever leaves the database."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, func, or_, select
from sqlalchemy.orm import Session

from core.platform.database.repository import Repository
from core.platform.database.sql_moments import SECOND, microseconds, seconds
from core.stats.days import Days
from core.tasks.fields import TaskStatus
from core.tasks.model import CLOSED, Task
from core.users.model import User

_IS_OPEN = Task.status.not_in(CLOSED)
_IS_CANCELLED = Task.status == TaskStatus.CANCELLED
# Who has to do it: whoever it is assigned to, else its owner.
_RESPONSIBLE = func.coalesce(Task.assignee_id, Task.owner_id)


@dataclass(frozen=True, slots=True)
class Durations:
    """From creation to completion, in seconds."""

    median: float
    mean: float


class ReportRepository(Repository):
    """Sums over the tasks that meet `conditions`."""

    def __init__(self, session: Session, *conditions: ColumnElement[bool]) -> None:
        super().__init__(session)
        self.conditions = conditions

    def by_status(self, start: datetime, end: datetime) -> dict[TaskStatus, int]:
        """Return how many tasks have which status, of those that were open at some time from `start` to `end`."""
        was_open = or_(
            _IS_OPEN,
            Task.completed_at >= start,
            # Its last change is the latest moment at which it can have been cancelled.
            _IS_CANCELLED & (Task.updated_at >= start),
        )
        query = select(Task.status, func.count()).where(*self.conditions, Task.created_at < end, was_open)
        counts = dict.fromkeys(TaskStatus, 0)
        counts.update({row[0]: row[1] for row in self.session.execute(query.group_by(Task.status))})
        return counts

    def before(self, start: datetime) -> tuple[int, int]:
        """Return how many tasks that are not cancelled were created, and how many completed, before `start`."""
        query = select(
            func.count().filter(Task.created_at < start), func.count().filter(Task.completed_at < start)
        ).where(*self.conditions, ~_IS_CANCELLED)
        row = self.session.execute(query).one()
        return row[0], row[1]

    def durations(self, days: Days) -> Durations | None:
        """Return how long the tasks that were completed on these days took; None if there are none."""
        whole = seconds(Task.completed_at) - seconds(Task.created_at)
        rest = microseconds(Task.completed_at) - microseconds(Task.created_at)
        are_done = (*self.conditions, days.within(Task.completed_at))
        # In two parts, because 64 bits hold only 300,000 years of microseconds.
        sums = select(func.count(), func.sum(whole), func.sum(rest)).select_from(Task).where(*are_done)
        count, total, fraction = self.session.execute(sums).one()
        if not count:
            return None
        # SQLite has no median, so both engines are asked for what is in the middle.
        taken = whole * SECOND + rest
        middle = select(taken).where(*are_done).order_by(taken).offset((count - 1) // 2).limit(2 - count % 2)
        values = [int(value) for value in self.session.scalars(middle)]
        mean = (int(total) * SECOND + int(fraction)) / (count * SECOND)
        return Durations(median=sum(values) / (len(values) * SECOND), mean=mean)

    def per_person(self, days: Days, end: datetime, *, limit: int) -> Sequence[Row[Any]]:
        """Return name, username, open_now and completed of those with the most, and the sums over everybody.

        `open_now` counts what was created before `end`, `completed` what was completed on the days.
        """
        open_now = func.count().filter(_IS_OPEN)
        completed = func.count().filter(days.within(Task.completed_at))
        load = (
            select(_RESPONSIBLE.label("user_id"), open_now.label("open_now"), completed.label("completed"))
            .where(*self.conditions, Task.created_at < end)
            .group_by(_RESPONSIBLE)
            .having(open_now + completed > 0)
            .subquery()
        )
        query = (
            select(
                User.name,
                User.username,
                load.c.open_now,
                load.c.completed,
                func.count().over().label("people"),
                func.sum(load.c.open_now).over().label("all_open"),
                func.sum(load.c.completed).over().label("all_completed"),
            )
            .join(User, User.id == load.c.user_id)
            .order_by((load.c.open_now + load.c.completed).desc(), load.c.user_id)
            .limit(limit)
        )
        return self.session.execute(query).all()

    def open_and_overdue(self, today: date, limits: Sequence[int | None]) -> tuple[int, list[int]]:
        """Return how many tasks are open, and for each limit how many of these are overdue by up to so many days.

        A task counts for the first limit that it keeps; the last one is None and has no end.
        """
        columns: list[ColumnElement[int]] = []
        latest = today
        for limit in limits:
            bucket = Task.due_date < latest
            if limit is not None:
                latest = today - timedelta(days=limit)
                bucket &= Task.due_date >= latest
            columns.append(func.count().filter(bucket))
        row = self.session.execute(select(func.count(), *columns).where(*self.conditions, _IS_OPEN)).one()
        return row[0], list(row[1:])
