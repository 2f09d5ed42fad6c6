"""Who may do what with which post."""

from sqlalchemy import ColumnElement, exists, or_, true

from core.access import Actor
from core.posts.model import Post
from core.tasks import policy as tasks_policy
from core.tasks.model import Task


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """Return the condition on posts that the actor may see.

    A post about a task is seen by those who see the task, any other by everyone.
    """
    if actor.is_admin:
        return true()
    return or_(Post.task_id.is_(None), exists().where(Task.id == Post.task_id, tasks_policy.visible_to(actor)))
