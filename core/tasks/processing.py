"""Processing: what a worker does with a task, from the order to the end."""

from sqlalchemy.orm import Session

from core.jobs import service as jobs
from core.jobs.kinds import PROCESS_TASK
from core.jobs.model import Job
from core.platform.access import Actor
from core.platform.database.repeats import repeated
from core.platform.database.session import transaction
from core.platform.errors import Conflict, Forbidden, JobFailed, NotFound
from core.platform.preconditions import Expected
from core.tasks import policy, recording
from core.tasks.fields import TaskStatus
from core.tasks.model import Task, TaskAction
from core.tasks.repository import Access, TaskRepository
from core.tasks.rules import require_found, require_open_project, set_status

PROCESSED = " [Processed]"


@repeated
def start(actor: Actor, expected: Expected, /, *, task_id: int) -> Job:
    """Order the processing of a task.

    Raises NotFound, Forbidden for another's task, and Conflict for a cancelled
    one or one of an archived project.
    """
    with transaction() as session:
        access = require_found(TaskRepository(session).find_access(actor, task_id, lock=True))
        _require_may_process(actor, access)
        if access.task.status is TaskStatus.CANCELLED:
            raise Conflict("A cancelled task cannot be processed. Set its status first.")
        expected.require(lambda: access.task)
        return jobs.enqueue(session, PROCESS_TASK, by=actor, task_id=task_id)


def _require_may_process(actor: Actor, access: Access) -> None:
    if not policy.may_process(actor, access.task, access.role):
        raise Forbidden("You may not have this task processed.")
    require_open_project(access)


def require_still_possible(actor: Actor, session: Session, *, task_id: int, lock: bool = False) -> Task:
    """Return the task of an order that was made before. Raises NotFound, Forbidden and Conflict as an order would."""
    access = TaskRepository(session).find_access(actor, task_id, lock=lock)
    if access is None:
        raise NotFound(f"Task {task_id} no longer exists.")
    _require_may_process(actor, access)
    if access.task.status is TaskStatus.CANCELLED:
        raise Conflict(f"Task {task_id} was cancelled.")
    return access.task


def finish(session: Session, actor: Actor, *, task_id: int) -> Task:
    """Mark the task as processed and completed, in the transaction that ends the job.

    Raises JobFailed if it is gone or cancelled, or the actor may not have it processed any more.
    """
    try:
        task = require_still_possible(actor, session, task_id=task_id, lock=True)
    except (NotFound, Forbidden, Conflict) as refusal:
        raise JobFailed(refusal.message) from refusal
    task.description = (task.description or "") + PROCESSED
    set_status(task, TaskStatus.COMPLETED)
    recording.record(session, actor.author, TaskAction.PROCESSED, task)
    return task
