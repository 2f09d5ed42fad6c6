"""Following ordered work, and intervening. It is ordered with `core.jobs.service`."""

import math
import threading
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from core.files.model import StoredFile
from core.files.repository import FileRepository
from core.jobs import bell, policy
from core.jobs.kinds import KINDS
from core.jobs.model import OPEN_STATES, WAITING_STATES, Job, JobState
from core.jobs.repository import JobRepository
from core.platform import clock
from core.platform.access import Actor
from core.platform.database.base import db
from core.platform.database.paging import Page, PageRequest, made_anew, paginate
from core.platform.database.ranges import Range
from core.platform.database.repeats import repeated
from core.platform.database.session import transaction
from core.platform.errors import Conflict, Expired, Forbidden, NotFound
from core.platform.preconditions import Expected
from core.runs import rights

SORTABLE = {"created_at": Job.created_at}

# How far back the pace of a queue is measured, to guess when a waiting job may be done.
PACE = timedelta(minutes=5)
# Seconds between two looks at a job that a caller waits for.
LOOK_SECONDS = 0.2


def get(actor: Actor, *, job_id: UUID) -> Job:
    """Return a job. Raises NotFound, or Forbidden for another's job."""
    return _require_readable(actor, JobRepository(db.session()).find(job_id))


def _require_readable(actor: Actor, job: Job | None) -> Job:
    if job is None:
        raise NotFound("There is no such job.")
    if not policy.may_read(actor, job):
        raise Forbidden("This job belongs to somebody else.")
    return job


@dataclass(frozen=True, slots=True)
class Followed:
    """A job with what its owner wants to know while waiting.

    `job` has what a Job has; its result is None for a key that may not read what it
    is about. `position` is its place among the waiting jobs of its queue, from 1;
    `expected_at` a guess at its end. Both are None where nothing is known.
    """

    job: Any
    position: int | None
    expected_at: datetime | None

    @property
    def is_open(self) -> bool:
        return self.job.state in OPEN_STATES

    @property
    def retry_after(self) -> int:
        """Seconds until it is worth looking again: at the end of the job if that is near, else often enough."""
        if self.expected_at is None:
            return 2
        return min(max(math.ceil((self.expected_at - clock.now()).total_seconds()), 1), 15)


def follow(actor: Actor, *, job_id: UUID, wait_seconds: float = 0, leaving: threading.Event | None = None) -> Followed:
    """Return a job with its place in the queue and when it may be done. Raises like `get`.

    With `wait_seconds` it waits that long for the job to be over, unless
    `leaving` is set meanwhile, because the process has to end.
    """
    leaving = leaving or threading.Event()
    until = clock.monotonic() + wait_seconds
    job = get(actor, job_id=job_id)
    while job.state in OPEN_STATES and clock.monotonic() < until and not leaving.is_set():
        # No request may hold a connection while nothing happens.
        db.session.remove()
        leaving.wait(min(LOOK_SECONDS, max(until - clock.monotonic(), 0)))
        job = get(actor, job_id=job_id)
    return replace(followed := _followed(job), job=_shown(actor, followed.job))


def _shown(actor: Actor, job: Any) -> Any:
    """Return the job as the actor may see it: what came of it shows more than the job."""
    if job.result is None or rights.may_see_result(actor, job.kind, job.payload):
        return job
    return SimpleNamespace(
        **{column.key: getattr(job, column.key) for column in Job.__table__.columns} | {"result": None}
    )


def _followed(job: Job) -> Followed:
    """Return the job with what can be guessed of it.

    The guesses begin from what is stored, not from now: as long as nothing has
    happened, the answer stays the same, and so does its tag.
    """
    position, expected_at = None, None
    if job.state in WAITING_STATES and job.kind in KINDS:
        position, expected_at = _place(job)
    elif job.state is JobState.STARTED and job.started_at and job.reported_at and job.progress:
        expected_at = job.started_at + (job.reported_at - job.started_at) * (100 / job.progress)
    # A guess that has been wrong is none.
    return Followed(job, position, expected_at if expected_at and expected_at > clock.now() else None)


def _place(job: Job) -> tuple[int, datetime | None]:
    """Return the job's place in its queue, and when its turn is over at the pace of that queue."""
    queue = KINDS[job.kind].queue
    kinds = [kind.name for kind in KINDS.values() if kind.queue == queue]
    jobs = JobRepository(db.session())
    finished, last = jobs.count_finished(kinds, clock.now() - PACE)
    position = jobs.count_ahead(job, kinds) + 1
    return position, last + position * (PACE / finished) if last else None


def list_visible(
    actor: Actor,
    *,
    page: PageRequest,
    kind: list[str] | None = None,
    state: list[JobState] | None = None,
    created_at: Range | None = None,
) -> Page:
    """Return a page of the jobs that the actor may see, newest first."""
    conditions = [policy.visible_to(actor)]
    if kind:
        conditions.append(Job.kind.in_(kind))
    if state:
        conditions.append(Job.state.in_(state))
    if created_at:
        conditions += created_at.conditions(Job.created_at)
    session = db.session()
    query = JobRepository(session).select(*conditions)
    found = paginate(session, made_anew(query), page, sortable=SORTABLE, default_sort="-created_at", identity=Job.id)
    return replace(found, items=[_shown(actor, job) for job in found.items])


def newest(*, state: list[JobState] | None, kind: list[str], limit: int) -> list[Job]:
    """Return the newest jobs of everybody, for operators."""
    conditions = [] if state is None else [Job.state.in_(state)]
    if kind:
        conditions.append(Job.kind.in_(kind))
    return JobRepository(db.session()).list_newest(limit, *conditions)


@repeated
def cancel(actor: Actor, expected: Expected, /, *, job_id: UUID) -> Job:
    """Cancel a job that is not over. A run that holds it is stopped and stores nothing more.

    Raises NotFound, Forbidden for another's job or a key that could not order it,
    and Conflict for one that is over.
    """
    with transaction() as session:
        job = _require_controllable(actor, JobRepository(session).find_for_update(job_id))
        expected.require(lambda: _followed(job))
        if job.state not in OPEN_STATES:
            raise Conflict(f"This job is over: it has {_ENDINGS[job.state]}.")
        job.state, job.lease_token, job.finished_at = JobState.CANCELLED, None, clock.now()
    return job


_ENDINGS = {
    JobState.SUCCEEDED: "succeeded",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "been cancelled",
}


@repeated
def retry(actor: Actor, *, job_id: UUID) -> Job:
    """Retry a failed or cancelled job, with all attempts of its kind.

    That is as good as a new order, so it asks what an order would. Raises NotFound,
    Forbidden for another's job and for what the actor may not order, and Conflict
    for any other state, or if its owner may not order it any more.
    """
    with transaction() as session:
        jobs = JobRepository(session)
        job = _require_controllable(actor, jobs.find_for_update(job_id))
        if job.state not in (JobState.FAILED, JobState.CANCELLED):
            raise Conflict(f"Only a failed or cancelled job can be tried again; this one is {job.state}.")
        kind = KINDS.get(job.kind)
        if kind is None:
            raise Conflict(f"This version knows no jobs of the kind {job.kind}.")
        if actor.user_id == job.owner_id:
            rights.require_order(actor, job)
            # From now on it has the rights of this order, not those of the first.
            job.key_id = actor.key_id
        else:
            rights.require_owner(job)
        job.state, job.progress, job.error, job.result = JobState.QUEUED, 0, None, None
        job.finished_at, job.due_at = None, clock.now()
        # Attempts go on counting: their numbers distinguish a late message of an earlier one from a new one.
        job.max_attempts = job.attempts + kind.attempts
        bell.ring_after(session)
    return job


def _require_controllable(actor: Actor, job: Job | None) -> Job:
    job = _require_readable(actor, job)
    rights.require_permission(actor, job.kind, job.payload)
    return job


def get_result(actor: Actor, *, job_id: UUID, name: str | None = None) -> StoredFile:
    """Return the file that a job has made: the named one, else its first.

    Raises NotFound if it has made none, Conflict while it is not over, Expired
    when its files are no longer stored, and Forbidden for another's job and for what
    the actor may not see any more.
    """
    job = get(actor, job_id=job_id)
    rights.require_result(actor, job)
    if job.state in OPEN_STATES:
        raise Conflict(f"This job is {job.state}; its result is there when it has succeeded.")
    files = FileRepository(db.session()).list_results(job_id)
    if name is not None and files:
        files = [file for file in files if file.name == name]
    now = clock.now()
    for file in files:
        if file.expires_at > now:
            return file
    if files or (not name and (job.result or {}).get("files")):
        raise Expired("The result of this job is no longer kept.")
    raise NotFound("This job has no such result.")
