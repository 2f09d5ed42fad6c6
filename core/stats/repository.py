"""Counting tasks, in SQL."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Row, func, select

from core.platform.database.repository import Repository
from core.platform.database.sql_moments import microseconds, seconds
from core.stats.days import Days
from core.tasks.fields import TaskStatus
from core.tasks.model import CLOSED, Task


class StatsRepository(Repository):
    """Sums over tasks."""

    def totals(self, *conditions: ColumnElement[bool], today: date, by_owner: bool) -> Sequence[Row[Any]]:
        """Return status, owner_id (if asked for), tasks, overdue, and seconds and microseconds to completion."""
        # The status first: SQLite would otherwise visit every row by the index on owner_id.
        groups: list[Any] = [Task.status, Task.owner_id] if by_owner else [Task.status]
        is_late = (Task.due_date < today) & Task.status.not_in(CLOSED)
        is_done = (Task.status == TaskStatus.COMPLETED) & Task.completed_at.is_not(None)
        taken = seconds(Task.completed_at) - seconds(Task.created_at)
        rest = microseconds(Task.completed_at) - microseconds(Task.created_at)
        columns: list[ColumnElement[Any]] = [
            *groups,
            func.count().label("tasks"),
            func.count().filter(is_late).label("overdue"),
            func.count().filter(is_done).label("completed"),
            # In two parts, because 64 bits hold only 300,000 years of microseconds.
            func.sum(taken).filter(is_done).label("seconds"),
            func.sum(rest).filter(is_done).label("microseconds"),
        ]
        return self.session.execute(select(*columns).where(*conditions).group_by(*groups)).all()

    def per_day(self, moment: Any, days: Days, *conditions: ColumnElement[bool]) -> dict[int, int]:
        """Return how many tasks have this moment on which of the days, counted from 0."""
        sorted_in = select(days.number_of(moment).label("day")).where(days.within(moment), *conditions).subquery()
        query = select(sorted_in.c.day, func.count()).group_by(sorted_in.c.day)
        return {row[0]: row[1] for row in self.session.execute(query)}
