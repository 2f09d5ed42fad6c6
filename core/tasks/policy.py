"""Who may do what with which task."""

from sqlalchemy import ColumnElement, or_, true

from core.access import Actor
from core.tasks.model import Task

# What an assignee may change on a task that somebody else owns.
ASSIGNEE_FIELDS = frozenset({"status", "description"})


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """Return the condition on tasks that the actor may see."""
    if actor.is_admin:
        return true()
    return or_(Task.owner_id == actor.user_id, Task.assignee_id == actor.user_id)


def may_read(actor: Actor, task: Task) -> bool:
    """Return whether the actor may see the task."""
    return actor.is_admin or actor.user_id in (task.owner_id, task.assignee_id)


def may_change(actor: Actor, task: Task, fields: set[str]) -> bool:
    """Return whether the actor may change these fields of the task."""
    if actor.is_admin or actor.user_id == task.owner_id:
        return True
    return actor.user_id == task.assignee_id and fields <= ASSIGNEE_FIELDS


def may_process(actor: Actor, task: Task) -> bool:
    """Return whether the actor may have the task processed, which changes status and description."""
    return may_change(actor, task, {"status", "description"})


def may_delete(actor: Actor, task: Task) -> bool:
    """Return whether the actor may delete the task."""
    return actor.is_admin or actor.user_id == task.owner_id
