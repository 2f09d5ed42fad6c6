"""What people and workers do with tasks."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select
from sqlalchemy.orm import Session

from core.items.repository import ItemRepository
from core.jobs import service as jobs
from core.jobs.kinds import EMAIL_TASK_CREATED, PROCESS_TASK
from core.jobs.model import Job
from core.platform import clock
from core.platform.access import Actor
from core.platform.database.base import db
from core.platform.database.paging import Page, PageRequest, paginate
from core.platform.database.ranges import Range
from core.platform.database.repeats import repeated
from core.platform.database.session import transaction
from core.platform.errors import Conflict, Forbidden, Invalid, JobFailed, NotFound
from core.platform.preconditions import Expected
from core.projects import service as projects
from core.projects.repository import ProjectRepository
from core.tasks import notices, policy, recording
from core.tasks.model import CLOSED, Task, TaskAction, TaskStatus
from core.tasks.repository import Access, TaskRepository, mentions
from core.users.repository import UserRepository

PROCESSED = " [Processed]"

SORTABLE = {
    name: getattr(Task, name)
    for name in (
        "title",
        "status",
        "due_date",
        "owner_id",
        "assignee_id",
        "created_at",
        "updated_at",
        "completed_at",
        "deleted_at",
    )
}
DEFAULT_SORT = "-created_at"
REFERENCES = frozenset({"assignee_id", "project_id", "item_id"})


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """What a list of tasks is narrowed to. None means: not narrowed by this; `deleted` asks for the trash instead."""

    status: list[TaskStatus] | None = None
    owner_id: int | None = None
    assignee_id: int | None = None
    project_id: int | None = None
    item_id: int | None = None
    overdue: bool | None = None
    q: str | None = None
    deleted: bool | None = None
    ranges: dict[Literal["due_date", "created_at", "updated_at", "completed_at"], Range] = field(default_factory=dict)


@repeated
def create(
    actor: Actor,
    *,
    title: str,
    description: str | None = None,
    status: TaskStatus = TaskStatus.PENDING,
    due_date: date | None = None,
    assignee_id: int | None = None,
    project_id: int | None = None,
    item_id: int | None = None,
) -> Task:
    """Create a task owned by the actor, confirm it to them by e-mail and tell another assignee.

    Raises Invalid if the assignee, the item or the project cannot be used, and
    Forbidden or Conflict if the actor may not put tasks into the project.
    """
    with transaction() as session:
        wanted = {"assignee_id": assignee_id, "project_id": project_id, "item_id": item_id}
        References(actor, session, [wanted]).require(wanted)
        task = Task(
            title=title,
            description=description,
            due_date=due_date,
            owner_id=actor.user_id,
            assignee_id=assignee_id,
            project_id=project_id,
            item_id=item_id,
        )
        set_status(task, TaskStatus(status))
        recording.record(session, actor.author, TaskAction.CREATED, task)
        jobs.enqueue(session, EMAIL_TASK_CREATED, owner_id=actor.user_id, task_id=task.id)
        notices.order_assigned(session, actor, [task])
    return task


def get(actor: Actor, *, task_id: int) -> Task:
    """Return a task. Raises NotFound, or Forbidden for another's task."""
    return require_readable(actor, TaskRepository(db.session()).find_access(actor, task_id))


def require_readable(actor: Actor, access: Access | None) -> Task:
    """Return the task that was looked up. Raises NotFound, or Forbidden for another's task."""
    access = _require(access)
    if not policy.may_read(actor, access.task, access.role):
        raise Forbidden("This task belongs to somebody else.")
    return access.task


def require_discussable(actor: Actor, access: Access | None) -> None:
    """Raise NotFound, Forbidden or Conflict unless the actor may write about the task that was looked up."""
    require_readable(actor, access)
    _require_open_project(_require(access))


def list_visible(actor: Actor, *, page: PageRequest, narrowed: TaskFilter) -> Page:
    """Return a page of the tasks that the actor may see, newest first unless sorted otherwise.

    Of the trash, if asked for, it is those that they may restore, the last to be deleted first.
    """
    session = db.session()
    query = select_visible(session, actor, narrowed)
    default_sort = "-deleted_at" if narrowed.deleted else DEFAULT_SORT
    return paginate(session, query, page, sortable=SORTABLE, default_sort=default_sort, identity=Task.id)


def select_visible(session: Session, actor: Actor, narrowed: TaskFilter) -> Select[Any]:
    """Return the query for the tasks that the actor may see, or for those of the trash if asked for, in no order.

    Raises Forbidden and Malformed for a project that the actor cannot ask for.
    """
    if narrowed.project_id is not None:
        projects.require_named(actor, narrowed.project_id)
    scope = policy.restorable_by(actor) if narrowed.deleted else policy.visible_to(actor)
    return TaskRepository(session).select(scope, *_conditions(narrowed))


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
    if narrowed.project_id is not None:
        conditions.append(Task.project_id == narrowed.project_id)
    if narrowed.item_id is not None:
        conditions.append(Task.item_id == narrowed.item_id)
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
    expected: Expected,
    /,
    *,
    task_id: int,
    title: str,
    status: TaskStatus,
    description: str | None = None,
    due_date: date | None = None,
    assignee_id: int | None = None,
    project_id: int | None = None,
    item_id: int | None = None,
) -> Task:
    """Replace everything that people may set; what is not given becomes null. Raises like `change`."""
    return change(
        actor,
        expected,
        task_id=task_id,
        title=title,
        status=status,
        description=description,
        due_date=due_date,
        assignee_id=assignee_id,
        project_id=project_id,
        item_id=item_id,
    )


@repeated
def change(actor: Actor, expected: Expected, /, *, task_id: int, **values: Any) -> Task:
    """Change the given fields of a task and no others; a new assignee is told by e-mail.

    Raises NotFound, Forbidden for another's task or for fields that an assignee
    may not change, Conflict if the project is archived, and Invalid if the new
    assignee, item or project cannot be used.
    """
    with transaction() as session:
        access = _require(TaskRepository(session).find_access(actor, task_id, lock=True))
        changed = changed_fields(access.task, values)
        require_changeable(actor, access, changed)
        expected.require(lambda: access.task)
        wanted = {name: changed[name] for name in REFERENCES & changed.keys()}
        References(actor, session, [wanted]).require(wanted)
        apply_changes(access.task, changed)
        recording.record(session, actor.author, TaskAction.CHANGED, access.task)
        if "assignee_id" in changed:
            notices.order_assigned(session, actor, [access.task])
    return access.task


@repeated
def delete(actor: Actor, expected: Expected, /, *, task_id: int) -> None:
    """Put a task into the trash, and with it the posts about it.

    Raises NotFound, Forbidden unless the actor owns the task or its project or
    is an administrator, and Conflict if the project is archived.
    """
    with transaction() as session:
        access = _require(TaskRepository(session).find_access(actor, task_id, lock=True))
        require_deletable(actor, access)
        expected.require(lambda: access.task)
        access.task.deleted_at = clock.now()
        recording.record(session, actor.author, TaskAction.DELETED, access.task)


@repeated
def restore(actor: Actor, expected: Expected, /, *, task_id: int) -> Task:
    """Take a task out of the trash, and with it the posts about it.

    Raises NotFound, Forbidden unless the actor may delete the task, and Conflict
    if it is not in the trash or its project is archived.
    """
    with transaction() as session:
        access = _require(TaskRepository(session).find_access(actor, task_id, lock=True, with_trash=True))
        if not policy.may_delete(actor, access.task, access.role):
            raise Forbidden("Only the owner of the task or of its project may restore it.")
        if access.task.deleted_at is None:
            raise Conflict("This task is not in the trash.")
        _require_open_project(access)
        expected.require(lambda: access.task)
        access.task.deleted_at = None
        recording.record(session, actor.author, TaskAction.RESTORED, access.task)
    return access.task


@repeated
def start_processing(actor: Actor, expected: Expected, /, *, task_id: int) -> Job:
    """Order the processing of a task.

    Raises NotFound, Forbidden for another's task, and Conflict for a cancelled
    one or one of an archived project.
    """
    with transaction() as session:
        access = _require(TaskRepository(session).find_access(actor, task_id, lock=True))
        _require_may_process(actor, access)
        if access.task.status is TaskStatus.CANCELLED:
            raise Conflict("A cancelled task cannot be processed. Set its status first.")
        expected.require(lambda: access.task)
        return jobs.enqueue(session, PROCESS_TASK, by=actor, task_id=task_id)


def _require_may_process(actor: Actor, access: Access) -> None:
    if not policy.may_process(actor, access.task, access.role):
        raise Forbidden("You may not have this task processed.")
    _require_open_project(access)


def require_still_processable(actor: Actor, session: Session, *, task_id: int, lock: bool = False) -> Task:
    """Return the task of an order that was made before. Raises NotFound, Forbidden and Conflict as an order would."""
    access = TaskRepository(session).find_access(actor, task_id, lock=lock)
    if access is None:
        raise NotFound(f"Task {task_id} no longer exists.")
    _require_may_process(actor, access)
    if access.task.status is TaskStatus.CANCELLED:
        raise Conflict(f"Task {task_id} was cancelled.")
    return access.task


def finish_processing(session: Session, actor: Actor, *, task_id: int) -> Task:
    """Mark the task as processed and completed, in the transaction that ends the job.

    Raises JobFailed if it is gone or cancelled, or the actor may not have it processed any more.
    """
    try:
        task = require_still_processable(actor, session, task_id=task_id, lock=True)
    except (NotFound, Forbidden, Conflict) as refusal:
        raise JobFailed(refusal.message) from refusal
    task.description = (task.description or "") + PROCESSED
    set_status(task, TaskStatus.COMPLETED)
    recording.record(session, actor.author, TaskAction.PROCESSED, task)
    return task


# --- the rules that a change of one task and a bulk of many share -------------------


def changed_fields(task: Task, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the values that differ from the task."""
    return {name: value for name, value in values.items() if getattr(task, name) != value}


def require_changeable(actor: Actor, access: Access, changed: Mapping[str, Any]) -> None:
    """Raise Forbidden or Conflict unless the actor may change these fields now."""
    if not policy.may_change(actor, access.task, access.role, set(changed)):
        raise Forbidden("You may not change this task in this way.")
    _require_open_project(access)


def require_deletable(actor: Actor, access: Access) -> None:
    """Raise Forbidden or Conflict unless the actor may delete the task now."""
    if not policy.may_delete(actor, access.task, access.role):
        raise Forbidden("Only the owner of the task or of its project may delete it.")
    _require_open_project(access)


class References:
    """What tasks want to refer to, looked up once for all of them.

    `wanted` are the values of each task; `require` then decides in memory.
    """

    def __init__(self, actor: Actor, session: Session, wanted: Sequence[Mapping[str, Any]]) -> None:
        self.actor = actor
        self._assignees = UserRepository(session).list_active_ids(_numbers(wanted, "assignee_id"))
        self._items = ItemRepository(session).list_ids(_numbers(wanted, "item_id"))
        self._projects = ProjectRepository(session).list_with_role(actor, _numbers(wanted, "project_id"))

    def require(self, values: Mapping[str, Any]) -> None:
        """Raise Invalid, Forbidden or Conflict unless a task may refer to these."""
        known = {"assignee_id": self._assignees, "item_id": self._items, "project_id": self._projects.keys()}
        sentences = {
            "assignee_id": "There is no such active user.",
            "item_id": "There is no such item.",
            "project_id": "There is no such project.",
        }
        details = {
            name: [sentences[name]]
            for name, numbers in known.items()
            if values.get(name) is not None and values[name] not in numbers
        }
        if details:
            raise Invalid("The request has invalid fields.", details=details)
        if values.get("project_id") is not None:
            project, role = self._projects[values["project_id"]]
            projects.require_open_for_tasks(self.actor, project, role)


def _numbers(wanted: Sequence[Mapping[str, Any]], name: str) -> set[int]:
    return {values[name] for values in wanted if values.get(name) is not None}


def apply_changes(task: Task, changed: Mapping[str, Any]) -> None:
    """Set the fields, and what follows from them."""
    for name, value in changed.items():
        if name != "status":
            setattr(task, name, value)
    if "status" in changed:
        set_status(task, TaskStatus(changed["status"]))


def set_status(task: Task, status: TaskStatus) -> None:
    """Set the status; the moment of completion follows it."""
    task.completed_at = completion(status, task.completed_at)
    task.status = status


def completion(status: TaskStatus, before: datetime | None = None) -> datetime | None:
    """Return when a task of this status was completed, if it had been `before`, or is now."""
    return (before or clock.now()) if status is TaskStatus.COMPLETED else None


def _require_open_project(access: Access) -> None:
    if access.archived:
        raise Conflict("The project of this task is archived, so its tasks can only be read.")


def _require(access: Access | None) -> Access:
    if access is None:
        raise NotFound("There is no such task.")
    return access
