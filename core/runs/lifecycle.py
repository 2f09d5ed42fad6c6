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
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from sqlalchemy import Row

from core.jobs import bell
from core.jobs.kinds import KINDS
from core.jobs.model import WAITING_STATES, Job, JobState
from core.jobs.repository import JobRepository
from core.platform import clock
from core.platform.database.base import db
from core.platform.database.repeats import repeated
from core.platform.database.session import transaction
from core.runs.run import LeaseLost, Run

LOST = "The worker stopped in the middle of this job, more often than it may be tried."


# Seconds until a job is sent again whose worker had its message, and died without a claim.
UNCLAIMED_PAUSE = 1.0


class Attempt(NamedTuple):
    """Attempt at a job that a message asks for: `number` of them have been made before it."""

    job_id: UUID
    number: int


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


def seconds_until_due(kinds: Collection[str]) -> float | None:
    """Return in how many seconds the next job of these kinds is due; None if no job is open."""
    due_at = JobRepository(db.session()).next_due(kinds)
    db.session.commit()
    return None if due_at is None else (due_at - clock.now()).total_seconds()


@repeated
def take_due(*, lease_seconds: float, limit: int = 50, kinds: Collection[str] | None = None) -> list[Sending]:
    """Return jobs to send now, of these kinds or of all. If one does not start within the lease, it is due again."""
    now = clock.now()
    job_ids = JobRepository(db.session()).due_by_turns(now, kinds, limit)
    db.session.commit()
    sendings: list[Sending] = []
    if not job_ids:
        return sendings
    with transaction() as session:
        for job in JobRepository(session).lock_due(now, job_ids):
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


def new_token() -> str:
    """Return what proves that a run holds a job; the jobs of one claim share it."""
    return secrets.token_hex(16)


@repeated
def claim_all(attempts: Collection[Attempt], *, token: str, lease_seconds: float) -> list[Run]:
    """Start jobs for this worker, in one transaction. A late duplicate and a cancelled job are missing in the answer.

    Whoever chose the token can give them back (`release`), also if this process dies at the next line.
    """
    now = clock.now()
    values = {"lease_token": token, "due_at": now + timedelta(seconds=lease_seconds), "started_at": now}
    found: dict[Attempt, Row[Any]] = {}
    with transaction() as session:
        for number in sorted({attempt.number for attempt in attempts}):
            job_ids = [attempt.job_id for attempt in attempts if attempt.number == number]
            started = JobRepository(session).start(job_ids, number, KINDS, **values)
            found |= {Attempt(job_id, number): row for job_id, row in started.items()}
    return [
        Run(
            row.id,
            token,
            row.kind,
            attempt.number + 1,
            row.max_attempts,
            row.owner_id,
            row.payload,
            lease_seconds,
            key_id=row.key_id,
        )
        # Messages may repeat one another, and one token does not tell two runs of a job apart.
        for attempt in dict.fromkeys(attempts)
        if (row := found.get(attempt)) is not None
    ]


@repeated
def give_up(job_id: UUID, token: str, *, error: str) -> str | None:
    """Record that the process of an attempt has died, so that no retry waits for its lease to end.

    Return the kind of the job, or None if the attempt was over already.
    """
    with transaction() as session:
        job = JobRepository(session).find_for_update(job_id)
        if job is None or job.state is not JobState.STARTED or job.lease_token != token:
            return None
        job.error = error
        _retry_or_fail(job, error, clock.now())
        bell.ring_after(session)
        return job.kind


@repeated
def release(attempts: Collection[Attempt], *, token: str) -> None:
    """Return jobs that a worker has taken and not begun, to be run by any worker at once, at no cost of an attempt.

    Those that it had not claimed yet are sent again, after a moment: it may be what keeps workers from claiming.
    """
    now = clock.now()
    with transaction() as session:
        bell.ring_after(session)
        jobs = JobRepository(session)
        for attempt in attempts:
            if not jobs.hand_back(attempt.job_id, token, due_at=now):
                is_waiting = (Job.attempts == attempt.number, Job.state.in_(WAITING_STATES))
                jobs.change(attempt.job_id, *is_waiting, due_at=now + timedelta(seconds=UNCLAIMED_PAUSE))


def rehearse() -> None:
    """Go through a run of a job that does not exist; nothing changes.

    What a run needs is then compiled, also for processes that are forked from
    this one.
    """
    nobody = uuid4()
    claim_all([Attempt(nobody, 0)], token=new_token(), lease_seconds=1)
    JobRepository(db.session()).find(nobody)
    run = Run(nobody, "", "", 1, 1, None, {}, 1)
    for step in (run.require_held, run.extend):
        with suppress(LeaseLost):
            step()
    with suppress(LeaseLost), run.completing():
        pass
