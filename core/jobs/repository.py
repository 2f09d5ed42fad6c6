"""Queries over jobs."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, select, update
from sqlalchemy.orm import Session

from core.jobs.model import OPEN_STATES, Job, JobState


class JobRepository:
    """Jobs in the database. Never commits and never authorises."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def add(self, job: Job) -> Job:
        self.session.add(job)
        return job

    def find(self, job_id: UUID) -> Job | None:
        return self.session.get(Job, job_id)

    def select(self, *conditions: ColumnElement[bool]) -> Select[Any]:
        return select(*Job.__table__.columns).where(*conditions)

    def any_due(self, now: datetime) -> bool:
        """Return whether the relay has anything to do, without a write lock."""
        return self.session.scalar(select(Job.id).where(*_due(now)).limit(1)) is not None

    def lock_due(self, now: datetime, limit: int) -> list[Job]:
        """Return due jobs, oldest first, skipping those that another relay holds."""
        query = select(Job).where(*_due(now)).order_by(Job.due_at).limit(limit)
        return list(self.session.scalars(query.with_for_update(skip_locked=True)))

    def change(self, job_id: UUID, *conditions: ColumnElement[bool], **values: Any) -> bool:
        """Update one job if the conditions still hold; return whether they did."""
        statement = update(Job).where(Job.id == job_id, *conditions).values(**values)
        result = self.session.execute(statement, execution_options={"synchronize_session": False})
        return bool(result.rowcount)  # type: ignore[attr-defined]

    def count_open(self) -> dict[JobState, int]:
        """Return how many jobs are in each unfinished state."""
        query = select(Job.state, func.count()).where(Job.state.in_(OPEN_STATES)).group_by(Job.state)
        return {row[0]: row[1] for row in self.session.execute(query)}


def _due(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (Job.state.in_(OPEN_STATES), Job.due_at <= now)
