"""Rights on tasks. `role` is the actor's role in the task's project, if any."""

from sqlalchemy import ColumnElement, and_, or_

from core.platform.access import Actor
from core.platform.fields.declaration import Writer
from core.projects import policy as projects
from core.projects.model import ProjectRole
from core.tasks.fields import FIELDS
from core.tasks.model import PRESENT, TRASHED, Task

# What an assignee may change on a task that another user owns.
ASSIGNEE_FIELDS = frozenset(FIELDS.names(lambda field: field.writer is Writer.ASSIGNEE))


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """Return the condition on tasks that the actor may see: owner, assignee, member of the project; no trash."""
    if actor.is_admin:
        return PRESENT
    return and_(
        PRESENT,
        or_(
            Task.owner_id == actor.user_id,
            Task.assignee_id == actor.user_id,
            Task.project_id.in_(projects.ids_of(actor.user_id)),
        ),
    )


def restorable_by(actor: Actor) -> ColumnElement[bool]:
    """Return the condition on tasks in the trash that the actor may see there and restore: see `may_delete`."""
    if actor.is_admin:
        return TRASHED
    return and_(
        TRASHED,
        or_(
            Task.owner_id == actor.user_id,
            Task.project_id.in_(projects.ids_of(actor.user_id, ProjectRole.OWNER)),
        ),
    )


def may_read(actor: Actor, task: Task, role: ProjectRole | None) -> bool:
    """Return whether the actor may see the task."""
    return actor.user_id in (task.owner_id, task.assignee_id) or projects.may_read(actor, role)


def may_change(actor: Actor, task: Task, role: ProjectRole | None, fields: set[str]) -> bool:
    """Return whether the actor may change these fields of the task."""
    if actor.user_id == task.owner_id or projects.may_edit_tasks(actor, role):
        return True
    return actor.user_id == task.assignee_id and fields <= ASSIGNEE_FIELDS


def may_process(actor: Actor, task: Task, role: ProjectRole | None) -> bool:
    """Return whether the actor may have the task processed, which changes status and description."""
    return may_change(actor, task, role, {"status", "description"})


def may_delete(actor: Actor, task: Task, role: ProjectRole | None) -> bool:
    """Return whether the actor may delete the task, and restore it."""
    return actor.user_id == task.owner_id or projects.may_manage(actor, role)


def may_transfer(actor: Actor, from_user_id: int) -> bool:
    """Return whether the actor may hand over this user's tasks."""
    return actor.is_admin or actor.user_id == from_user_id
