"""Queries over jobs."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, bindparam, case, delete, func, or_, select, update

from core.jobs.model import OPEN_STATES, WAITING_STATES, Job, JobState, ScheduledSlot
from core.platform.database.prepared import insert_keyed
from core.platform.database.repository import Repository
from core.platform.database.statements import delete_some, find_locked, insert_if_absent

# Written into the statement, not sent with it: only then can a database see, before it knows any
# values, that the small index of open jobs has all that are asked for. Otherwise it reads every
# job there ever was, ten times a second.
_IS_OPEN = Job.state.in_(bindparam("open_states", OPEN_STATES, expanding=True, literal_execute=True))
# The kind as no index has it. SQLite would otherwise prefer the index of all jobs by kind.
_KIND = Job.kind.concat("")


class JobRepository(Repository):
    """Jobs in the database."""

    def insert(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert jobs; all rows have the same columns."""
        insert_keyed(self.session, Job, rows)

    def find(self, job_id: UUID) -> Job | None:
        return self.session.get(Job, job_id)

    def find_for_update(self, job_id: UUID) -> Job | None:
        return find_locked(self.session, Job, job_id)

    def lease_token(self, job_id: UUID) -> str | None:
        return self.session.scalar(select(Job.lease_token).where(Job.id == job_id))

    def select(self, *conditions: ColumnElement[bool]) -> Select[Any]:
        return select(*Job.__table__.columns).where(*conditions)

    def list_newest(self, limit: int, *conditions: ColumnElement[bool]) -> list[Job]:
        query = select(Job).where(*conditions).order_by(Job.created_at.desc(), Job.id.desc()).limit(limit)
        return list(self.session.scalars(query))

    def any_due(self, now: datetime, kinds: Collection[str] | None) -> bool:
        """Return whether the relay has anything to do, without a write lock."""
        return self.session.scalar(select(Job.id).where(*_due(now, kinds)).limit(1)) is not None

    def next_due(self, kinds: Collection[str]) -> datetime | None:
        """Return when the first open job of these kinds is due, or was."""
        query = select(Job.due_at).where(_IS_OPEN, _KIND.in_(kinds)).order_by(Job.due_at).limit(1)
        return self.session.scalar(query)

    def due_by_turns(self, now: datetime, kinds: Collection[str] | None, limit: int) -> Sequence[UUID]:
        """Return which jobs are to be sent next, without a write lock: all that is due is looked at for it.

        Kinds and owners take turns, and within a turn the longest due comes first: who has
        ordered thousands waits for those who have ordered one, and not they for them.
        """
        turn = func.row_number().over(partition_by=(Job.kind, Job.owner_id), order_by=(Job.due_at, Job.id))
        ranked = select(Job.id, Job.due_at, turn.label("turn")).where(*_due(now, kinds)).subquery()
        return self.session.scalars(select(ranked.c.id).order_by(ranked.c.turn, ranked.c.due_at).limit(limit)).all()

    def lock_due(self, now: datetime, job_ids: Sequence[UUID]) -> list[Job]:
        """Return those of the jobs that are still due, in this order, skipping what another relay holds."""
        query = select(Job).where(Job.id.in_(job_ids), *_due(now, None)).order_by(Job.id)
        jobs = self.session.scalars(query.with_for_update(skip_locked=True, of=Job))
        return sorted(jobs, key=lambda job: job_ids.index(job.id))

    def change(self, job_id: UUID, *conditions: ColumnElement[bool], **values: Any) -> bool:
        """Update one job if the conditions still hold; return whether they did."""
        statement = update(Job).where(Job.id == job_id, *conditions).values(**values)
        result = self.session.execute(statement, execution_options={"synchronize_session": False})
        return bool(result.rowcount)  # type: ignore[attr-defined]

    def hand_back(self, job_id: UUID, token: str, *, due_at: datetime) -> bool:
        """Return a job unfinished, at no cost of an attempt, if this token holds it; return whether it did.

        The attempt number goes on counting, because the message of this attempt
        may still be known to the queue; the limit moves with it.
        """
        values = {"state": JobState.RETRYING, "lease_token": None, "due_at": due_at}
        return self.change(job_id, Job.lease_token == token, max_attempts=Job.max_attempts + 1, **values)

    def start(
        self, job_ids: Collection[UUID], attempt: int, kinds: Collection[str], **values: Any
    ) -> dict[UUID, Row[Any]]:
        """Count an attempt at those jobs, of these kinds, that wait for just this one; return what a run must know."""
        statement = (
            update(Job)
            .where(Job.id.in_(job_ids), Job.attempts == attempt, Job.state.in_(WAITING_STATES), _KIND.in_(kinds))
            .values(state=JobState.STARTED, attempts=attempt + 1, progress=0, error=None, **values)
            .returning(Job.id, Job.kind, Job.max_attempts, Job.owner_id, Job.payload, Job.key_id)
        )
        rows = self.session.execute(statement, execution_options={"synchronize_session": False}).all()
        return {row.id: row for row in rows}

    def count_ahead(self, job: Job, kinds: Collection[str]) -> int:
        """Return how many waiting jobs of these kinds were ordered before this one."""
        query = select(func.count()).where(
            Job.state.in_(WAITING_STATES),
            Job.kind.in_(kinds),
            or_(Job.created_at < job.created_at, and_(Job.created_at == job.created_at, Job.id < job.id)),
        )
        return self.session.scalar(query) or 0

    def count_finished(self, kinds: Collection[str], since: datetime) -> tuple[int, datetime | None]:
        """Return how many jobs of these kinds have finished since then, and when the last of them did."""
        query = select(func.count(), func.max(Job.finished_at)).where(Job.finished_at >= since, Job.kind.in_(kinds))
        count, last = self.session.execute(query).one()
        return count, last

    def delete_finished_before(self, moment: datetime, limit: int) -> int:
        """Delete jobs that have been over since before the moment; return how many."""
        return delete_some(self.session, Job, Job.finished_at < moment, limit=limit)

    def last_slot(self, name: str, until: datetime) -> datetime | None:
        """Return the newest slot of a schedule entry, up to a moment, that has been dealt with."""
        query = select(func.max(ScheduledSlot.slot)).where(ScheduledSlot.name == name, ScheduledSlot.slot <= until)
        return self.session.scalar(query)

    def take_slot(self, name: str, slot: datetime, job_id: UUID | None) -> bool:
        """Note that a slot is dealt with; return False if another process has done so."""
        return insert_if_absent(self.session, ScheduledSlot, name=name, slot=slot, job_id=job_id)

    def forget_slots(self, before: datetime) -> None:
        self.session.execute(delete(ScheduledSlot).where(ScheduledSlot.slot < before))

    def count_open(self, *, ordered_before: datetime, due_before: datetime) -> Sequence[Row[Any]]:
        """Return `state`, `kind` and `number` of the unfinished jobs; the last attempt of `failed` of them has failed.

        `waiting` of them could be run: new ones that were ordered before a moment,
        and others that are due before another.
        """
        is_waiting = or_(
            and_(Job.state == JobState.QUEUED, Job.created_at <= ordered_before),
            and_(Job.state == JobState.RETRYING, Job.due_at <= due_before),
        )
        waiting = func.sum(case((is_waiting, 1), else_=0)).label("waiting")
        failed = func.count(Job.error).label("failed")
        columns = (Job.state, _KIND.label("kind"), func.count().label("number"), waiting, failed)
        query = select(*columns).where(_IS_OPEN).group_by(Job.state, _KIND)
        return self.session.execute(query).all()

    def summarise_open(self) -> list[tuple[str, JobState, int, datetime]]:
        """Return kind, state, how many there are, and when the oldest was ordered, of all unfinished jobs."""
        query = select(_KIND, Job.state, func.count(), func.min(Job.created_at)).where(_IS_OPEN)
        return [(row[0], row[1], row[2], row[3]) for row in self.session.execute(query.group_by(_KIND, Job.state))]


def _due(now: datetime, kinds: Collection[str] | None) -> list[ColumnElement[bool]]:
    conditions = [_IS_OPEN, Job.due_at <= now]
    return conditions if kinds is None else [*conditions, _KIND.in_(kinds)]
