"""Ordering background work. What asks the domains, which order it, is above them: `core.runs`."""

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from sqlalchemy.orm import Session

from core.jobs import bell
from core.jobs.kinds import JobKind
from core.jobs.model import Job, JobState
from core.jobs.repository import JobRepository
from core.platform import clock
from core.platform.access import Actor
from core.platform.logs import context

log = logging.getLogger("tasklane.jobs")


def enqueue(
    session: Session,
    kind: JobKind,
    /,
    *,
    by: Actor | None = None,
    owner_id: int | None = None,
    job_id: UUID | None = None,
    **payload: Any,
) -> Job:
    """Order a job in the caller's transaction: it exists exactly if the change does.

    A job that works with a user's rights is ordered `by` that user, whom it then
    belongs to; it is never allowed more than they, with the key that they used.
    Nothing here talks to the queue, so the order cannot fail or wait for it; the
    relay sends the job once it is committed. `payload` must be plain JSON.
    """
    if kind.for_actor != (by is not None):
        raise TypeError(f"{kind.name} is ordered {'by somebody' if kind.for_actor else 'by nobody'}.")
    owner = by.user_id if by else owner_id
    row = _row(kind, job_id or uuid4(), owner, payload, key_id=by.key_id if by else None)
    JobRepository(session).insert([row])
    bell.ring_after(session)
    return Job(**row)


class NewJob(NamedTuple):
    """A job to be ordered that works with nobody's rights."""

    kind: JobKind
    owner_id: int | None
    payload: dict[str, Any]


def enqueue_all(session: Session, wanted: Sequence[NewJob]) -> None:
    """Order all of these in one statement: see `enqueue`."""
    for kind in {job.kind for job in wanted if job.kind.for_actor}:
        raise TypeError(f"{kind.name} is ordered by somebody.")
    if wanted:
        JobRepository(session).insert([_row(job.kind, uuid4(), job.owner_id, job.payload) for job in wanted])
        bell.ring_after(session)


def _row(
    kind: JobKind, job_id: UUID, owner_id: int | None, payload: dict[str, Any], key_id: int | None = None
) -> dict[str, Any]:
    if context.request_id.get():
        # The worker's lines name the job only; this one says which request it comes from.
        fields = {"ordered_job_id": str(job_id), "ordered_job_kind": kind.name}
        log.info("%s is ordered, as job %s", kind.name, job_id, extra=fields)
    now = clock.now()
    return {
        "id": job_id,
        "kind": kind.name,
        "payload": payload,
        "owner_id": owner_id,
        "key_id": key_id,
        "state": JobState.QUEUED,
        "progress": 0,
        "attempts": 0,
        "max_attempts": kind.attempts,
        "due_at": now,
        "created_at": now,
    }
