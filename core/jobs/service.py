"""Ordering background work, and looking at it."""

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from core.access import Actor
from core.db import db
from core.errors import Forbidden, NotFound
from core.jobs import policy
from core.jobs.kinds import JobKind
from core.jobs.model import Job, JobState
from core.jobs.repository import JobRepository
from core.paging import Page, PageRequest, paginate

SORTABLE = {"created_at": Job.created_at}


def enqueue(session: Session, kind: JobKind, *, owner_id: int | None, **payload: Any) -> Job:
    """Order a job in the caller's transaction: it exists exactly if the change does.

    Nothing here talks to the queue, so the order cannot fail or wait for it; the
    relay sends the job once it is committed. `payload` must be plain JSON.
    """
    job = Job(kind=kind.name, payload=payload, owner_id=owner_id, max_attempts=kind.attempts)
    return JobRepository(session).add(job)


def get(actor: Actor, *, job_id: UUID) -> Job:
    """Return a job. Raises NotFound, or Forbidden for another's job."""
    job = JobRepository(db.session()).find(job_id)
    if job is None:
        raise NotFound("There is no such job.")
    if not policy.may_read(actor, job):
        raise Forbidden("This job belongs to somebody else.")
    return job


def list_visible(actor: Actor, *, page: PageRequest, kind: list[str] | None, state: list[JobState] | None) -> Page:
    """Return a page of the jobs that the actor may see, newest first."""
    conditions = [policy.visible_to(actor)]
    if kind:
        conditions.append(Job.kind.in_(kind))
    if state:
        conditions.append(Job.state.in_(state))
    session = db.session()
    query = JobRepository(session).select(*conditions)
    return paginate(session, query, page, sortable=SORTABLE, default_sort="-created_at", identity=Job.id)
