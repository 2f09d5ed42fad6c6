"""Life of a job: sent by the relay, claimed by a worker, finished once.

Redis may lose a message, a worker may die at any line. Both are repaired by
time alone: `due_at` passes and the job is sent again. A lease token fences off
a run that was given up for dead and comes back: it can no longer write.
"""

import secrets
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from core.jobs.model import WAITING_STATES, Job, JobState
from core.jobs.repository import JobRepository
from core.platform import clock
from core.platform.database.base import db
from core.platform.database.repeats import repeated
from core.platform.database.session import transaction
from core.runs.run import LeaseLost, Run

LOST = "The worker stopped in the middle of this job, more often than it may be tried."


@dataclass(frozen=True, slots=True)
class Sending:
    """A job to put on its queue. `attempt` makes a late duplicate recognisable."""

    job_id: UUID
    kind: str
    attempt: int


def any_due(kinds: Collection[str] | None = None) -> bool:
    """Return whether a job, of these kinds or of any, has to be sent. Takes no write lock."""
    some = JobRepository(db.session()).any_due(clock.now(), kinds)
    db.session.commit()
    return some


@repeated
def take_due(*, lease_seconds: float, limit: int = 50, kinds: Collection[str] | None = None) -> list[Sending]:
    """Return jobs to send now, of these kinds or of all. If one does not start within the lease, it is due again."""
    if not any_due(kinds):
        return []
    now = clock.now()
    sendings = []
    with transaction() as session:
        for job in JobRepository(session).lock_due(now, kinds, limit):
            # A worker that started it shows no sign of life.
            if job.state is JobState.STARTED and not _retry_or_fail(job, LOST, now):
                continue
            job.due_at = now + timedelta(seconds=lease_seconds)
            sendings.append(Sending(job.id, job.kind, job.attempts))
    return sendings


def _retry_or_fail(job: Job, error: str, now: datetime) -> bool:
    """Take a job from the run that holds it; return whether it may run again. If it may not, `error` says why."""
    job.lease_token = None
    if job.attempts < job.max_attempts:
        job.state, job.due_at = JobState.RETRYING, now
        return True
    job.state, job.error, job.finished_at = JobState.FAILED, error, now
    return False


@repeated
def postpone(sendings: list[Sending], *, seconds: float) -> None:
    """Make jobs due again soon, because the queue did not take them."""
    with transaction() as session:
        jobs = JobRepository(session)
        for sending in sendings:
            jobs.change(
                sending.job_id,
                Job.attempts == sending.attempt,
                Job.state.in_(WAITING_STATES),
                due_at=clock.now() + timedelta(seconds=seconds),
            )


@repeated
def claim(job_id: UUID, attempt: int, *, lease_seconds: float) -> Run | None:
    """Start a job for this worker. None means there is nothing to do: a late duplicate or a cancelled job."""
    token = secrets.token_hex(16)
    now = clock.now()
    with transaction() as session:
        jobs = JobRepository(session)
        claimed = jobs.change(
            job_id,
            Job.attempts == attempt,
            Job.state.in_(WAITING_STATES),
            state=JobState.STARTED,
            attempts=attempt + 1,
            lease_token=token,
            due_at=now + timedelta(seconds=lease_seconds),
            started_at=now,
            progress=0,
            error=None,
        )
        job = jobs.find(job_id) if claimed else None
    if job is None:
        return None
    return Run(
        job_id,
        token,
        job.kind,
        attempt + 1,
        job.max_attempts,
        job.owner_id,
        job.payload,
        lease_seconds,
        key_id=job.key_id,
    )


@repeated
def give_up(job_id: UUID, attempt: int, *, error: str) -> str | None:
    """Record that the process of an attempt has died, so that no retry waits for its lease to end.

    Return the kind of the job, or None if the attempt was over already.
    """
    with transaction() as session:
        job = JobRepository(session).find_for_update(job_id)
        if job is None or job.state is not JobState.STARTED or job.attempts != attempt:
            return None
        job.error = error
        _retry_or_fail(job, error, clock.now())
        return job.kind


def rehearse() -> None:
    """Go through a run of a job that does not exist; nothing changes.

    What a run needs is then compiled, also for processes that are forked from
    this one.
    """
    nobody = uuid4()
    claim(nobody, 0, lease_seconds=1)
    JobRepository(db.session()).find(nobody)
    run = Run(nobody, "", "", 1, 1, None, {}, 1)
    for step in (run.require_held, run.extend):
        with suppress(LeaseLost):
            step()
    with suppress(LeaseLost), run.completing():
        pass
