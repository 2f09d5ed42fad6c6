"""Ordering background work. What asks the domains, which order it, is above them: `core.runs`."""

import logging
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy.orm import Session

from core.jobs.kinds import JobKind
from core.jobs.model import Job
from core.jobs.repository import JobRepository
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
    job = Job(
        id=job_id or uuid4(),
        kind=kind.name,
        payload=payload,
        owner_id=by.user_id if by else owner_id,
        key_id=by.key_id if by else None,
        max_attempts=kind.attempts,
    )
    if context.request_id.get():
        # The worker's lines name the job only; this one says which request it comes from.
        fields = {"ordered_job_id": str(job.id), "ordered_job_kind": job.kind}
        log.info("%s is ordered, as job %s", job.kind, job.id, extra=fields)
    return JobRepository(session).add(job)
