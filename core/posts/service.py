"""Publishing, listing, changing and deleting posts."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row, Select
from sqlalchemy.orm import Session

from core.platform import clock
from core.platform.access import Actor
from core.platform.database.base import db
from core.platform.database.bulk_rows import validated
from core.platform.database.declared import blank, cleared, differing, mentions, sortable
from core.platform.database.filters import WORDS, Extra, Filter, Filters
from core.platform.database.kept_queries import Recipe
from core.platform.database.paging import Listed, Page, PageRequest, paginate
from core.platform.database.repeats import repeated
from core.platform.database.session import transaction
from core.platform.errors import Forbidden, Invalid, NotFound
from core.platform.preconditions import Expected
from core.posts import policy
from core.posts.fields import FIELDS
from core.posts.model import Post
from core.posts.repository import PostRepository
from core.projects.policy import ME
from core.tasks import service as tasks
from core.tasks.repository import Access, TaskRepository
from core.users import service as users
from core.users.repository import UserRepository

SORTABLE = sortable(Post, FIELDS)
DEFAULT_SORT = "-created_at"
FILTERS = Filters(
    Post, FIELDS, Extra("q", WORDS, "Only posts whose title or content contains this.", mentions(Post, FIELDS))
)
_BLANK = blank(Post, FIELDS)
CLEARED = cleared(Post, FIELDS)


@repeated
def create(actor: Actor, **values: Any) -> Row[Any]:
    """Publish a post of the given fields, about a task if one is given.

    Raises Invalid if there is no such task, Forbidden if the actor may not see it,
    and Conflict if its project is archived.
    """
    with transaction() as session:
        if values.get("task_id") is not None:
            require_subject(actor, TaskRepository(session).find_access(actor, values["task_id"]))
        return _publish(session, actor, values)


@repeated
def create_about(actor: Actor, *, task_id: int, **values: Any) -> Row[Any]:
    """Publish a post about the task that is the place of this.

    Raises NotFound and Forbidden like reading the task, and Conflict if its project is archived.
    """
    with transaction() as session:
        tasks.require_discussable(actor, TaskRepository(session).find_access(actor, task_id))
        return _publish(session, actor, {**values, "task_id": task_id})


def get(actor: Actor, *, post_id: int) -> Row[Any]:
    """Return a post. Raises NotFound, or Forbidden for one about a task that the actor may not see."""
    may_read = policy.visible_to(actor).label("may_read")
    post = PostRepository(db.session()).find_shown(post_id, may_read)
    if post is None:
        raise NotFound("There is no such post.")
    if not post.may_read:
        raise Forbidden("This post is about a task of somebody else.")
    return post


def list_visible(actor: Actor, *, page: PageRequest, filters: Filter) -> Page:
    """Return a page of the posts that the actor may see, newest first unless sorted otherwise."""
    session = db.session()

    def make() -> Listed:
        ways = policy.ways_to_see(actor)
        # A member is led to no task of the trash, and so to no post about one.
        conditions = [*([] if ways else [policy.PRESENT]), *FILTERS.conditions(filters)]
        return Listed(PostRepository(session).select(*conditions), ways)

    return paginate(
        session,
        Recipe(make, (Post, actor.is_admin, FILTERS.shape(filters)), {ME: actor.user_id, **FILTERS.values(filters)}),
        page,
        sortable=SORTABLE,
        default_sort=DEFAULT_SORT,
        identity=Post.id,
    )


def select_visible(session: Session, actor: Actor, filters: Filter) -> Select[Any]:
    """Return the query for all posts that the actor may see, in no order."""
    return PostRepository(session).select(policy.among_visible(actor), *FILTERS.conditions(filters))


def list_about(actor: Actor, *, task_id: int, page: PageRequest, filters: Filter) -> Page:
    """Return a page of the posts about a task. Raises NotFound and Forbidden like reading the task."""
    found = list_visible(actor, page=page, filters=filters.also(task_id=task_id))
    if not found.items:
        # Whoever sees a post about a task sees the task, so only an empty page raises the question.
        tasks.get(actor, task_id=task_id)
    return found


def list_by(actor: Actor, *, user_id: int, page: PageRequest, filters: Filter) -> Page:
    """Return a page of what a user has posted and the actor may see. Raises NotFound if there is no such user."""
    found = list_visible(actor, page=page, filters=filters.also(user_id=user_id))
    if not found.items:
        users.require_user(UserRepository(db.session()).find(user_id))
    return found


@repeated
def change(actor: Actor, expected: Expected, /, *, post_id: int, **values: Any) -> Row[Any]:
    """Change the given fields of a post and no others.

    Raises NotFound, Forbidden for another's post or one about a task that the actor no longer sees, and
    Conflict if the project of that task is archived.
    """
    FIELDS.require_changeable(values)
    with transaction() as session:
        post = _require_changeable(session, actor, expected, post_id)
        for name, value in differing(post, values).items():
            setattr(post, name, value)
        session.flush()
        return _shown(session, post.id)


@repeated
def delete(actor: Actor, expected: Expected, /, *, post_id: int) -> None:
    """Delete a post. Raises like `change`."""
    with transaction() as session:
        PostRepository(session).delete(_require_changeable(session, actor, expected, post_id))


def _require_changeable(session: Session, actor: Actor, expected: Expected, post_id: int) -> Post:
    post = PostRepository(session).find_for_update(post_id)
    if post is None:
        raise NotFound("There is no such post.")
    require_own(actor, post)
    if post.task_id is not None:
        tasks.require_discussable(actor, TaskRepository(session).find_access(actor, post.task_id))
    expected.require(lambda: _shown(session, post.id))
    return post


def require_own(actor: Actor, post: Post) -> None:
    """Raise Forbidden unless the actor may change a post that they see."""
    if not policy.may_change(actor, post):
        raise Forbidden("Only its author or an administrator may change this post.")


def require_subject(actor: Actor, access: Access | None) -> None:
    """Raise Invalid, Forbidden or Conflict unless the actor may publish something about the task that was looked up."""
    try:
        tasks.require_discussable(actor, access)
    except NotFound:
        raise Invalid("The request has invalid fields.", details={"task_id": ["There is no such task."]}) from None


def _publish(session: Session, actor: Actor, values: Mapping[str, Any]) -> Row[Any]:
    FIELDS.require_new(values)
    now = clock.now()
    row = {**_BLANK, **validated(Post, values), "user_id": actor.user_id, "version": 1}
    post_id = PostRepository(session).insert({**row, "created_at": now, "updated_at": now})
    return _shown(session, post_id)


def _shown(session: Session, post_id: int) -> Row[Any]:
    shown = PostRepository(session).find_shown(post_id)
    if shown is None:
        raise RuntimeError(f"Post {post_id} vanished from its own transaction.")
    return shown
