"""Rights on posts: who sees and changes them."""

from sqlalchemy import ColumnElement, or_, select

from core.platform.access import Actor
from core.posts.model import Post
from core.tasks import policy as tasks
from core.tasks.model import TRASHED, Task

# A post is in the trash with the task that it is about.
PRESENT = ~select(Task.id).where(Task.id == Post.task_id, TRASHED).correlate(Post).exists()


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """Return the condition on posts that the actor may see: those about a task go with the task, others are public."""
    if actor.is_admin:
        return PRESENT
    # EXISTS for each post on the page, not IN: a user may see a million tasks.
    seen = select(Task.id).where(Task.id == Post.task_id, tasks.visible_to(actor)).correlate(Post).exists()
    return or_(Post.task_id.is_(None), seen)


def may_change(actor: Actor, post: Post) -> bool:
    """Return whether the actor may change or delete a post that they see."""
    return actor.is_admin or actor.user_id == post.user_id
