"""Rights on tasks. `role` is the actor's role in the task's project, if any."""

from sqlalchemy import ColumnElement, CompoundSelect, and_, or_, select, union
from sqlalchemy.orm import aliased

from core.platform.access import Actor
from core.platform.database.keysets import Way
from core.platform.fields.declaration import Writer
from core.projects import policy as projects
from core.projects.model import ProjectRole
from core.tasks.fields import FIELDS
from core.tasks.model import BY_ASSIGNEE, BY_OWNER, BY_PROJECT, PRESENT, TRASHED, Task

# What an assignee may change on a task that another user owns.
ASSIGNEE_FIELDS = frozenset(FIELDS.names(lambda field: field.writer is Writer.ASSIGNEE))


def ways_to_see(actor: Actor, task: type[Task] = Task) -> list[Way]:
    """Return the ways by which the actor may see a task, who owns it among them; none if they see every task.

    They lead to what is in the trash, too.
    """
    if actor.is_admin:
        return []
    me = projects.number_of(actor)
    return [
        Way(task.owner_id, me, BY_OWNER),
        Way(task.assignee_id, me, BY_ASSIGNEE),
        Way(task.project_id, projects.ids_of(me), BY_PROJECT),
    ]


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """Return the condition on a task that the actor may see: owner, assignee, member of the project; no trash.

    It is for a task that is found by something else. To look for tasks by it, all are
    looked at: lists use `ways_to_see`, sums and searches `among_visible`.
    """
    ways = ways_to_see(actor)
    return and_(PRESENT, or_(*(way.condition for way in ways))) if ways else PRESENT


def among_visible(actor: Actor) -> ColumnElement[bool]:
    """Return the condition of `visible_to` for looking at all that the actor may see, and at nothing else."""
    return PRESENT if actor.is_admin else Task.id.in_(numbers_of_visible(actor))


def numbers_of_visible(actor: Actor) -> CompoundSelect[int]:
    """Return the query for the numbers of all tasks that the actor, a member, may see."""
    seen = aliased(Task)
    present = select(seen.id).where(seen.deleted_at.is_(None))
    return union(*(way.narrow(present) for way in ways_to_see(actor, seen)))


def ways_to_restore(actor: Actor) -> list[Way]:
    """Return the ways by which the actor may restore a task of the trash, see `may_delete`; none if they may all."""
    if actor.is_admin:
        return []
    me = projects.number_of(actor)
    return [
        Way(Task.owner_id, me, BY_OWNER),
        Way(Task.project_id, projects.ids_of(me, ProjectRole.OWNER), BY_PROJECT),
    ]


def restorable_by(actor: Actor) -> ColumnElement[bool]:
    """Return the condition on tasks in the trash that the actor may see there and restore."""
    ways = ways_to_restore(actor)
    return and_(TRASHED, or_(*(way.condition for way in ways))) if ways else TRASHED


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
