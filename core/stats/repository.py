"""Counting tasks, in SQL: one by one, or by the sums that the database keeps of all of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Row, cast, func, select

from core.platform.database.repository import Repository
from core.platform.database.sql_moments import microseconds, seconds
from core.stats.days import Days
from core.stats.model import OwnerSums, QuarterSums
from core.tasks.fields import TaskStatus
from core.tasks.indexes import OPEN_BY_DUE_DATE
from core.tasks.model import CLOSED, IS_OPEN, PRESENT, Task

# How many tasks of each status somebody owns, and what else is summed up.
_COUNTS = [getattr(OwnerSums, status.value) for status in TaskStatus]
_TOOK = (OwnerSums.finished, OwnerSums.seconds, OwnerSums.microseconds)


@dataclass(frozen=True, slots=True)
class Sums:
    """Tasks by status, how many are overdue, how long those that are done took together, and the tasks of each owner.

    The time is in two parts, because 64 bits hold only 300,000 years of microseconds.
    """

    by_status: dict[str, int]
    overdue: int
    finished: int
    seconds: int
    microseconds: int
    people: list[dict[str, Any]]


class StatsRepository(Repository):
    """Sums over tasks."""

    def sums(self, *conditions: ColumnElement[bool], today: date, by_owner: bool) -> Sums:
        """Return the sums over the tasks that meet the conditions; those of each owner if asked for."""
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
            func.count().filter(is_done).label("finished"),
            func.coalesce(func.sum(taken).filter(is_done), 0).label("seconds"),
            func.coalesce(func.sum(rest).filter(is_done), 0).label("microseconds"),
        ]
        rows = self.session.execute(select(*columns).where(*conditions).group_by(*groups)).all()
        owners: dict[int, list[Row[Any]]] = {}
        for row in rows if by_owner else ():
            owners.setdefault(row.owner_id, []).append(row)
        return Sums(
            _by_status(rows),
            sum(row.overdue for row in rows),
            sum(row.finished for row in rows),
            # Whole numbers up to the division, so that every engine gives the same answer.
            sum(int(row.seconds) for row in rows),
            sum(int(row.microseconds) for row in rows),
            [{"user_id": owner_id, "by_status": _by_status(owners[owner_id])} for owner_id in sorted(owners)],
        )

    def sums_of_all(self, *, today: date) -> Sums:
        """Return the sums over all tasks and those of each owner, and look at no task but those that are overdue."""
        total = self.session.execute(select(*map(_total, (*_COUNTS, *_TOOK)))).one()
        *counts, finished, taken, rest = (number or 0 for number in total)
        late = select(func.count()).select_from(Task).where(Task.due_date < today, IS_OPEN, PRESENT)
        late = late.with_hint(Task, f"INDEXED BY {OPEN_BY_DUE_DATE}", "sqlite")
        overdue = self.session.scalar(late) or 0
        sums = [*map(_total, _COUNTS)]
        by_owner = (
            select(OwnerSums.owner_id, *sums)
            .group_by(OwnerSums.owner_id)
            .having(sum(sums[1:], start=sums[0]) > 0)
            .order_by(OwnerSums.owner_id)
        )
        names = [status.value for status in TaskStatus]
        people = [
            {"user_id": row[0], "by_status": dict(zip(names, row[1:], strict=True))}
            for row in self.session.connection().execute(by_owner).all()
        ]
        return Sums(dict(zip(names, counts, strict=True)), overdue, finished, taken, rest, people)

    def per_day(self, moment: Any, days: Days, *conditions: ColumnElement[bool]) -> dict[int, int]:
        """Return how many tasks have this moment on which of the days, counted from 0."""
        sorted_in = select(days.number_of(moment).label("day")).where(days.within(moment), *conditions).subquery()
        query = select(sorted_in.c.day, func.count()).group_by(sorted_in.c.day)
        return {row[0]: row[1] for row in self.session.execute(query)}

    def per_day_of_all(self, days: Days) -> tuple[dict[int, int], dict[int, int]]:
        """Return how many of all tasks were created, and how many completed, on which of the days, counted from 0."""
        number = days.number_of_quarter(QuarterSums.quarter).label("day")
        sums = (QuarterSums.created, QuarterSums.completed)
        sorted_in = select(number, *sums).where(days.among_quarters(QuarterSums.quarter)).subquery()
        query = select(sorted_in.c.day, _total(sorted_in.c.created), _total(sorted_in.c.completed))
        rows = self.session.execute(query.group_by(sorted_in.c.day)).all()
        return {row[0]: row[1] for row in rows}, {row[0]: row[2] for row in rows}


def _total(column: Any) -> ColumnElement[Any]:
    # PostgreSQL would answer with a Decimal.
    return cast(func.sum(column), BigInteger)


def _by_status(rows: Iterable[Row[Any]]) -> dict[str, int]:
    counts = {status.value: 0 for status in TaskStatus}
    for row in rows:
        counts[row.status.value] += row.tasks
    return counts
