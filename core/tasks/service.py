"""What people and workers do with tasks."""

import dataclasses
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from core import clock
from core.access import Actor
from core.db import db, transaction
from core.errors import Conflict, Forbidden, Invalid, JobFailed, NotFound
from core.jobs import service as jobs
from core.jobs.kinds import EMAIL_TASK_CREATED, PROCESS_TASK
from core.jobs.model import Job
from core.paging import Page, PageRequest, paginate
from core.ranges import Range
from core.tasks import policy
from core.tasks.model import Task, TaskStatus
from core.tasks.repository import TaskRepository, mentions
from core.users.repository import UserRepository

PROCESSED = " [Processed]"

SORTABLE = {
    name: getattr(Task, name)
    for name in ("title", "status", "due_date", "owner_id", "assignee_id", "created_at", "updated_at", "completed_at")
}
CLOSED = (TaskStatus.COMPLETED, TaskStatus.CANCELLED)


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """What a list of tasks is narrowed to. None means: not narrowed by this."""

    status: list[TaskStatus] | None = None
    owner_id: int | None = None
    assignee_id: int | None = None
    overdue: bool | None = None
    q: str | None = None
    ranges: dict[Literal["due_date", "created_at", "updated_at", "completed_at"], Range] = field(default_factory=dict)


def create(
    actor: Actor,
    *,
    title: str,
    description: str | None = None,
    status: TaskStatus = TaskStatus.PENDING,
    due_date: date | None = None,
    assignee_id: int | None = None,
) -> Task:
    """Create a task owned by the actor and confirm it to them by e-mail.

    Raises Invalid if the assignee is unknown or inactive.
    """
    with transaction() as session:
        if assignee_id is not None:
            _require_assignable(session, assignee_id)
        task = Task(
            title=title, description=description, due_date=due_date, owner_id=actor.user_id, assignee_id=assignee_id
        )
        _set_status(task, TaskStatus(status))
        TaskRepository(session).add(task)
        jobs.enqueue(session, EMAIL_TASK_CREATED, owner_id=actor.user_id, task_id=task.id)
    return task


def get(actor: Actor, *, task_id: int) -> Task:
    """Return a task. Raises NotFound, or Forbidden for another's task."""
    task = _require(TaskRepository(db.session()).find(task_id))
    if not policy.may_read(actor, task):
        raise Forbidden("This task belongs to somebody else.")
    return task


def list_visible(actor: Actor, *, page: PageRequest, narrowed: TaskFilter) -> Page:
    """Return a page of the tasks that the actor may see, newest first unless sorted otherwise."""
    session = db.session()
    query = TaskRepository(session).select(policy.visible_to(actor), *_conditions(narrowed))
    return paginate(session, query, page, sortable=SORTABLE, default_sort="-created_at", identity=Task.id)


def list_owned(actor: Actor, *, owner_id: int, page: PageRequest, narrowed: TaskFilter) -> Page:
    """Return a page of the tasks that a user owns and the actor may see. Raises NotFound if there is no such user."""
    found = list_visible(actor, page=page, narrowed=dataclasses.replace(narrowed, owner_id=owner_id))
    # Who owns a task exists, so only an empty page costs another statement.
    if not found.items and UserRepository(db.session()).find(owner_id) is None:
        raise NotFound("There is no such user.")
    return found


def _conditions(narrowed: TaskFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if narrowed.status:
        conditions.append(Task.status.in_(narrowed.status))
    if narrowed.owner_id is not None:
        conditions.append(Task.owner_id == narrowed.owner_id)
    if narrowed.assignee_id is not None:
        conditions.append(Task.assignee_id == narrowed.assignee_id)
    if narrowed.overdue is not None:
        late = (Task.due_date < clock.now().date()) & Task.status.not_in(CLOSED)
        # A task without a due date is not overdue, but SQL would call that unknown.
        conditions.append(late if narrowed.overdue else ~late | Task.due_date.is_(None))
    if narrowed.q:
        conditions.append(mentions(narrowed.q))
    for name, bounds in narrowed.ranges.items():
        conditions += bounds.conditions(getattr(Task, name))
    return conditions


def replace(
    actor: Actor,
    *,
    task_id: int,
    title: str,
    status: TaskStatus,
    description: str | None = None,
    due_date: date | None = None,
    assignee_id: int | None = None,
) -> Task:
    """Replace everything that people may set; what is not given becomes null. Raises like `change`."""
    return change(
        actor,
        task_id=task_id,
        title=title,
        status=status,
        description=description,
        due_date=due_date,
        assignee_id=assignee_id,
    )


def change(actor: Actor, *, task_id: int, **values: Any) -> Task:
    """Change the given fields of a task and no others.

    Raises NotFound, Forbidden for another's task or for fields that an assignee
    may not change, and Invalid if the new assignee is unknown or inactive.
    """
    with transaction() as session:
        task = _require(TaskRepository(session).find_for_update(task_id))
        changed = {name for name, value in values.items() if getattr(task, name) != value}
        if not policy.may_change(actor, task, changed):
            raise Forbidden("You may not change this task in this way.")
        if "assignee_id" in changed and values["assignee_id"] is not None:
            _require_assignable(session, values["assignee_id"])
        for name in changed - {"status"}:
            setattr(task, name, values[name])
        if "status" in changed:
            _set_status(task, TaskStatus(values["status"]))
    return task


def delete(actor: Actor, *, task_id: int) -> None:
    """Delete a task. Raises NotFound, or Forbidden unless the actor owns it or is an administrator."""
    with transaction() as session:
        tasks = TaskRepository(session)
        task = _require(tasks.find_for_update(task_id))
        if not policy.may_delete(actor, task):
            raise Forbidden("Only the owner or an administrator may delete this task.")
        tasks.delete(task)


def start_processing(actor: Actor, *, task_id: int) -> Job:
    """Order the processing of a task.

    Raises NotFound, Forbidden for another's task, Conflict for a cancelled one.
    """
    with transaction() as session:
        task = _require(TaskRepository(session).find_for_update(task_id))
        if not policy.may_process(actor, task):
            raise Forbidden("You may not have this task processed.")
        if task.status is TaskStatus.CANCELLED:
            raise Conflict("A cancelled task cannot be processed. Set its status first.")
        return jobs.enqueue(session, PROCESS_TASK, owner_id=actor.user_id, task_id=task.id)


def require_processable(session: Session, *, task_id: int) -> Task:
    """Return the task for its worker. Raises JobFailed if it is gone or was cancelled meanwhile."""
    task = TaskRepository(session).find_for_update(task_id)
    if task is None:
        raise JobFailed(f"Task {task_id} no longer exists.")
    if task.status is TaskStatus.CANCELLED:
        raise JobFailed(f"Task {task_id} was cancelled.")
    return task


def finish_processing(session: Session, *, task_id: int) -> Task:
    """Mark the task as processed and completed, in the transaction that ends the job."""
    task = require_processable(session, task_id=task_id)
    task.description = (task.description or "") + PROCESSED
    _set_status(task, TaskStatus.COMPLETED)
    session.flush()
    return task


def _require(task: Task | None) -> Task:
    if task is None:
        raise NotFound("There is no such task.")
    return task


def _set_status(task: Task, status: TaskStatus) -> None:
    if status is not TaskStatus.COMPLETED:
        task.completed_at = None
    elif task.completed_at is None:
        task.completed_at = clock.now()
    task.status = status


def _require_assignable(session: Session, user_id: int) -> None:
    user = UserRepository(session).find(user_id)
    if user is None or not user.is_active:
        raise Invalid("The request has invalid fields.", details={"assignee_id": ["There is no such active user."]})
