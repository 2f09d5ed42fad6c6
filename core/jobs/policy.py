"""Right to see a job: its owner has it, and administrators."""

from sqlalchemy import ColumnElement, true

from core.jobs.model import Job
from core.platform.access import Actor


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """Return the condition on jobs that the actor may see."""
    return true() if actor.is_admin else Job.owner_id == actor.user_id


def may_read(actor: Actor, job: Job) -> bool:
    """Return whether the actor may see the job."""
    return actor.is_admin or job.owner_id == actor.user_id
