"""Rights on posts: who sees and changes them."""

from sqlalchemy import ColumnElement, or_, select

from core.platform.access import Actor
from core.platform.database.keysets import Way
from core.posts.model import BY_TASK, Post
from core.tasks import policy as tasks
from core.tasks.model import TRASHED, Task

# A post is in the trash with the task that it is about.
PRESENT = ~select(Task.id).where(Task.id == Post.task_id, TRASHED).correlate(Post).exists()


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """Return the condition on a post that the actor may see: one about a task goes with the task, others are public."""
    if actor.is_admin:
        return PRESENT
    seen = select(Task.id).where(Task.id == Post.task_id, tasks.visible_to(actor)).correlate(Post).exists()
    return or_(Post.task_id.is_(None), seen)


def ways_to_see(actor: Actor) -> list[Way]:
    """Return the ways by which the actor may see a post; none if they see all that are not in the trash."""
    if actor.is_admin:
        return []
    return [
        Way(Post.task_id, None, BY_TASK),
        Way(Post.task_id, tasks.numbers_of_visible(actor), BY_TASK),
    ]


def among_visible(actor: Actor) -> ColumnElement[bool]:
    """Return the condition of `visible_to` for looking at many posts."""
    ways = ways_to_see(actor)
    return or_(*(way.condition for way in ways)) if ways else PRESENT


def may_change(actor: Actor, post: Post) -> bool:
    """Return whether the actor may change or delete a post that they see."""
    return actor.is_admin or actor.user_id == post.user_id
