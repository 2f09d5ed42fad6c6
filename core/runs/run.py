"""Run of a job: one attempt, which alone may write the outcome while it holds the lease."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from core.jobs import bell
from core.jobs.kinds import KINDS, LONGEST_PAUSE, JobKind
from core.jobs.model import Job, JobState
from core.jobs.repository import JobRepository
from core.platform import clock
from core.platform.access import Actor
from core.platform.database.base import db
from core.platform.database.repeats import repeated
from core.platform.database.session import is_writing, transaction
from core.platform.errors import Forbidden, JobFailed
from core.runs import grounds, rights
from core.runs.grounds import Grounds

# For a kind that this version does not know.
RETRY_SECONDS = 60.0

REPORT_SECONDS = 0.2


class LeaseLost(Exception):
    """This run no longer holds the job: it was cancelled, or given up for dead and sent again."""


def pause_after(kind: JobKind, failures: int) -> float:
    """Return for how many seconds a job waits after so many failures since it was ordered, or ordered again."""
    # Beyond the longest pause there is nothing to compute, and the power would overflow.
    growth = kind.retry_factor ** min(max(failures - 1, 0), 60)
    return min(kind.retry_seconds * growth, max(LONGEST_PAUSE, kind.retry_seconds))


@dataclass(slots=True)
class Run:
    """One attempt at one job, as its function sees it."""

    job_id: UUID
    token: str
    kind: str
    attempt: int
    max_attempts: int
    owner_id: int | None
    payload: dict[str, Any]
    lease_seconds: float
    key_id: int | None = None
    is_finished: bool = False
    # Who it works for, with the rights that they had when this attempt began.
    _actor: Actor | None = None
    # What they could see when the files were made.
    view: Grounds | None = None
    # What came of it so far; the end of the job stores it.
    result: dict[str, Any] = field(default_factory=dict)
    began_at: float = field(default_factory=clock.monotonic, repr=False)
    _reported_at: float = field(default=-1.0, repr=False)

    @property
    def actor(self) -> Actor:
        """Return the actor whom the job works for. Only kinds that are `for_actor` have one."""
        if self._actor is None:
            raise RuntimeError(f"A job of the kind {self.kind} works for nobody.")
        return self._actor

    def begin(self) -> None:
        """Forget what an earlier try of this attempt has found out."""
        self.result, self.view, self._actor = {}, None, None

    def authorise(self) -> None:
        """Find out who the job works for. Raises JobFailed if they could not order it now."""
        self._actor = self._ask()

    def _ask(self) -> Actor | None:
        return rights.actor_of(self.kind, self.payload, owner_id=self.owner_id, key_id=self.key_id)

    def note_view(self, project_id: int | None = None) -> None:
        """Remember what the actor can see, of one project or of all, because files are to be made of it."""
        self.view = grounds.of(db.session(), self.actor, project_id)

    def _require_rights(self, session: Session) -> None:
        """Raise JobFailed unless all that this attempt has made could still be ordered and seen."""
        now = self._ask()
        if now is None:
            return
        if self._actor is not None and self._actor.is_admin and not now.is_admin:
            raise JobFailed("The account that ordered this job is no administrator any more. Order it again.")
        try:
            grounds.require(session, now, self.view)
        except Forbidden as refusal:
            raise JobFailed(refusal.message) from refusal

    @repeated
    def report(self, progress: int) -> None:
        """Show progress (0..100) and prove that the worker lives. Raises LeaseLost.

        May be called as often as is handy: it writes no more than five times a second.
        Inside a transaction of the job, others see it only if the engine has a second
        writer.
        """
        now = time.monotonic()
        if now - self._reported_at < REPORT_SECONDS:
            return
        self._reported_at = now
        values = {"progress": min(max(progress, 0), 99), "reported_at": clock.now(), "due_at": self._lease_end()}
        if not is_writing():
            with transaction() as session:
                self._change(session, **values)
        elif db.engine.dialect.name != "sqlite":
            with Session(db.engine) as session, session.begin():
                self._change(session, **values)

    def require_held(self) -> None:
        """Raise LeaseLost if this run no longer holds the job. Costs one read."""
        token = JobRepository(db.session()).lease_token(self.job_id)
        db.session.commit()
        if token != self.token:
            raise LeaseLost(f"Job {self.job_id} is no longer held by this run.")

    @repeated
    def extend(self) -> None:
        """Prove that the worker lives. Raises LeaseLost."""
        with transaction() as session:
            self._change(session, due_at=self._lease_end())

    @contextmanager
    def completing(self, **result: Any) -> Iterator[Session]:
        """Do the job's database work and mark it succeeded in one transaction.

        This is what makes the effect happen once: either both are stored or
        neither. Raises LeaseLost, and stores nothing, if another run took over, and
        JobFailed if whoever it works for could not order it now.
        """
        with self._ending(result, state=JobState.SUCCEEDED, progress=100, grounds=self.view) as session:
            self._require_rights(session)
            yield session

    @contextmanager
    def failing(self, error: str) -> Iterator[Session]:
        """Mark the job failed for good, together with what says why, such as a file, in one transaction.

        Raises LeaseLost, and stores nothing, if another run took over.
        """
        with self._ending({}, state=JobState.FAILED, error=error) as session:
            yield session

    @contextmanager
    def _ending(self, result: dict[str, Any], **values: Any) -> Iterator[Session]:
        try:
            with transaction() as session:
                yield session
                values |= {"result": {**self.result, **result} or None, "lease_token": None, "finished_at": clock.now()}
                self._change(session, **values)
                # From the commit on, a look at the lease must not take this run for one that lost it.
                self.is_finished = True
        except BaseException:
            self.is_finished = False
            raise

    @repeated
    def fail(self, error: str, *, permanently: bool = False) -> None:
        """Record why the attempt failed; it is tried again unless that is pointless or too often."""
        again = not permanently and self.attempt < self.max_attempts
        kind = KINDS.get(self.kind)
        pause = pause_after(kind, kind.attempts - (self.max_attempts - self.attempt)) if kind else RETRY_SECONDS
        with transaction() as session:
            self._change(
                session,
                state=JobState.RETRYING if again else JobState.FAILED,
                error=error,
                lease_token=None,
                due_at=clock.now() + timedelta(seconds=pause if again else 0),
                finished_at=None if again else clock.now(),
            )

    @repeated
    def hand_back(self) -> None:
        """Return the job unfinished, to be run by another worker at once, at no cost of an attempt."""
        with transaction() as session:
            if not JobRepository(session).hand_back(self.job_id, self.token, due_at=clock.now()):
                raise LeaseLost(f"Job {self.job_id} is no longer held by this run.")
            bell.ring_after(session)

    def _lease_end(self) -> Any:
        return clock.now() + timedelta(seconds=self.lease_seconds)

    def _change(self, session: Session, **values: Any) -> None:
        if not JobRepository(session).change(self.job_id, Job.lease_token == self.token, **values):
            raise LeaseLost(f"Job {self.job_id} is no longer held by this run.")
