"""The rules of a change, which one of a single task, a bulk and an import share."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from core.items.repository import ItemRepository
from core.platform import clock
from core.platform.access import Actor
from core.platform.database.declared import blank, differing
from core.platform.errors import Conflict, Forbidden, Invalid, NotFound
from core.projects import service as projects
from core.projects.repository import ProjectRepository
from core.tasks import policy
from core.tasks.fields import FIELDS, TaskStatus
from core.tasks.model import Task
from core.tasks.repository import Access
from core.users.repository import UserRepository

# The fields of a new task for which people have set nothing.
_BLANK = blank(Task, FIELDS)


def new_row(actor: Actor, values: Mapping[str, Any], moment: datetime) -> dict[str, Any]:
    """Return the row of a new task of the actor. The values must be what the model takes: see `validated`."""
    FIELDS.require_new(values)
    row = {**_BLANK, **values}
    row["status"] = TaskStatus(row["status"])
    return {
        **row,
        "completed_at": completion(row["status"]),
        "owner_id": actor.user_id,
        "version": 1,
        "created_at": moment,
        "updated_at": moment,
    }


def changed_fields(task: Task, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the values that differ from the task. Raises TypeError for one that cannot be set."""
    FIELDS.require_changeable(values)
    return differing(task, values)


def require_changeable(actor: Actor, access: Access, changed: Mapping[str, Any]) -> None:
    """Raise Forbidden or Conflict unless the actor may change these fields now."""
    if not policy.may_change(actor, access.task, access.role, set(changed)):
        raise Forbidden("You may not change this task in this way.")
    require_open_project(access)


def require_deletable(actor: Actor, access: Access) -> None:
    """Raise Forbidden or Conflict unless the actor may delete the task now."""
    if not policy.may_delete(actor, access.task, access.role):
        raise Forbidden("Only the owner of the task or of its project may delete it.")
    require_open_project(access)


# What is wrong with a number that names nothing in a table, and the fields that name something there.
_REFERRED = {
    "users": ("There is no such active user.", FIELDS.references["users"]),
    "items": ("There is no such item.", FIELDS.references["items"]),
    "projects": ("There is no such project.", FIELDS.references["projects"]),
}


class References:
    """Rows that tasks want to refer to, looked up once for all of them.

    `wanted` are the values of each task; `require` then decides in memory.
    """

    def __init__(self, actor: Actor, session: Session, wanted: Sequence[Mapping[str, Any]]) -> None:
        self.actor = actor
        numbers = {
            table: {values[name] for values in wanted for name in names if values.get(name) is not None}
            for table, (_, names) in _REFERRED.items()
        }
        self._projects = ProjectRepository(session).list_with_role(actor, numbers["projects"])
        self._known = {
            "users": UserRepository(session).list_active_ids(numbers["users"]),
            "items": ItemRepository(session).list_ids(numbers["items"]),
            "projects": self._projects.keys(),
        }

    def require(self, values: Mapping[str, Any]) -> None:
        """Raise Invalid, Forbidden or Conflict unless a task may refer to these; other values do not matter."""
        details = {
            name: [sentence]
            for table, (sentence, names) in _REFERRED.items()
            for name in names
            if values.get(name) is not None and values[name] not in self._known[table]
        }
        if details:
            raise Invalid("The request has invalid fields.", details=details)
        if values.get("project_id") is not None:
            project, role = self._projects[values["project_id"]]
            projects.require_open_for_tasks(self.actor, project, role)


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


def require_open_project(access: Access) -> None:
    """Raise Conflict if the project of the task is archived."""
    if access.archived:
        raise Conflict("The project of this task is archived, so its tasks can only be read.")


def require_found(access: Access | None) -> Access:
    """Return the task that was looked up. Raises NotFound."""
    if access is None:
        raise NotFound("There is no such task.")
    return access
