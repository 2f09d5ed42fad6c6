"""Posts over HTTP: by themselves, about a task, and of a user."""

from collections.abc import Mapping
from typing import Any

from flask import url_for
from flask_restx import Namespace, fields
from flask_restx.reqparse import RequestParser

from api.http.answers.cached import cached, cached_page
from api.http.answers.pages import paged
from api.http.answers.refusals import refuses
from api.http.answers.responses import created, no_content, returns
from api.http.door.resource import SecureResource
from api.http.input import places, query
from api.http.input.fields import Id, Line, Moment, NullableId, Prose
from api.http.input.takes import takes
from core.platform.access import Actor, Permission
from core.platform.cache.marks.model import Topic
from core.platform.database.paging import Page
from core.posts import service as posts
from core.posts.model import CONTENT_LENGTH, TITLE_LENGTH

ns = Namespace("posts", description="Publish updates, about a task or about anything", path="/v1")


def _title(**options: Any) -> Line:
    return Line(max_length=TITLE_LENGTH, example="The certificate is renewed", **options)


def _content(**options: Any) -> Prose:
    return Prose(max_length=CONTENT_LENGTH, example="It now ends in March.", **options)


post_out = ns.model(
    "Post",
    {
        "id": Id(required=True),
        "title": _title(required=True),
        "content": _content(required=True),
        "user_id": Id(required=True),
        "author": fields.String(required=True, description="The name of the user.", example="Ada Lovelace"),
        "task_id": NullableId(required=True),
        "version": fields.Integer(required=True, description="Grows with every change.", example=1),
        "created_at": Moment(required=True),
        "updated_at": Moment(required=True),
    },
)
_required = {"title": _title(required=True), "content": _content(required=True)}
post_in = ns.model(
    "PostInput",
    {**_required, "task_id": NullableId(description="The task that it is about; stays as it is.", example=None)},
    strict=True,
)
# What a post is about decides who sees it, so it cannot be moved under the eyes of its readers.
post_replacement = ns.model("PostReplacement", _required, strict=True)
post_patch = ns.model("PostPatch", {"title": _title(), "content": _content()}, strict=True)


# Who sees the task sees the posts about it; each shows the name of its author.
POST_TOPICS = (Topic.POSTS, Topic.USERS, Topic.TASKS, Topic.PROJECT_MEMBERS)


def _list_query(*, task_id: bool = False, user_id: bool = False) -> RequestParser:
    parser = query.list_parser(posts.SORTABLE, posts.DEFAULT_SORT)
    if task_id:
        query.add(parser, "task_id", query.integer(), "Only posts about this task.")
    if user_id:
        query.add(parser, "user_id", query.user_reference, "Only posts of this user; `me` is the caller.")
    query.add(parser, "q", query.words, "Only posts whose title or content contains this.")
    query.add_range(parser, "created_at", query.moment)
    return parser


list_query = _list_query(task_id=True, user_id=True)
task_list_query = _list_query(user_id=True)
user_list_query = _list_query(task_id=True)


def _place(post: Any) -> str:
    return url_for("api.posts_post", post_id=post.id, _external=True)


def narrowed(actor: Actor, arguments: Mapping[str, Any]) -> posts.PostFilter:
    """Return what the parameters of a list of posts narrow it to."""
    return posts.PostFilter(
        task_id=arguments.get("task_id"),
        user_id=query.user_id(arguments, "user_id", me=actor.user_id),
        q=arguments.get("q"),
        ranges=query.ranges(arguments, "created_at"),
    )


@ns.route("/posts")
class PostCollection(SecureResource):
    permissions = {"GET": Permission.POSTS_READ, "POST": Permission.POSTS_WRITE}

    @takes(query=list_query)
    @refuses(410)
    @cached_page(*POST_TOPICS)
    @paged(post_out)
    def get(self) -> Page:
        """List posts, newest first; those about a task only if the caller sees the task."""
        return posts.list_visible(self.actor, page=self.page, narrowed=narrowed(self.actor, self.query))

    @takes(post_in)
    @refuses(403, 409)
    @created(post_out, at=_place)
    def post(self) -> Any:
        """Publish a post."""
        return posts.create(self.actor, **self.body)


@ns.route("/posts/<int:post_id>", endpoint="posts_post")
@ns.doc(params=places.POST_ID)
class PostItem(SecureResource):
    conditional_on = post_out
    permissions = {
        "GET": Permission.POSTS_READ,
        "PUT": Permission.POSTS_WRITE,
        "PATCH": Permission.POSTS_WRITE,
        "DELETE": Permission.POSTS_WRITE,
    }

    @refuses(403, 404)
    @cached(*POST_TOPICS)
    @returns(post_out)
    def get(self, post_id: int) -> Any:
        """Read a post."""
        return posts.get(self.actor, post_id=post_id)

    @takes(post_replacement)
    @refuses(403, 404, 409)
    @returns(post_out)
    def put(self, post_id: int) -> Any:
        """Replace title and content of a post; its author and administrators may."""
        return posts.change(self.actor, self.expected, post_id=post_id, **self.body)

    @takes(post_patch)
    @refuses(403, 404, 409)
    @returns(post_out)
    def patch(self, post_id: int) -> Any:
        """Change title or content of a post; what is not given stays."""
        return posts.change(self.actor, self.expected, post_id=post_id, **self.body)

    @refuses(403, 404, 409)
    @no_content
    def delete(self, post_id: int) -> None:
        """Delete a post; its author and administrators may."""
        posts.delete(self.actor, self.expected, post_id=post_id)


@ns.route("/tasks/<int:task_id>/posts")
@ns.doc(params=places.TASK_ID)
class TaskPostCollection(SecureResource):
    permissions = {"GET": Permission.POSTS_READ, "POST": Permission.POSTS_WRITE}

    @takes(query=task_list_query)
    @refuses(403, 404, 410)
    @cached_page(*POST_TOPICS)
    @paged(post_out)
    def get(self, task_id: int) -> Page:
        """List the posts about a task, newest first."""
        return posts.list_about(self.actor, task_id=task_id, page=self.page, narrowed=narrowed(self.actor, self.query))

    @takes(post_replacement)
    @refuses(403, 404, 409)
    @created(post_out, at=_place)
    def post(self, task_id: int) -> Any:
        """Publish a post about a task."""
        return posts.create_about(self.actor, task_id=task_id, **self.body)


@ns.route("/users/<int:user_id>/posts")
@ns.doc(params=places.USER_ID)
class UserPostCollection(SecureResource):
    permissions = {"GET": Permission.POSTS_READ}

    @takes(query=user_list_query)
    @refuses(404, 410)
    @cached_page(*POST_TOPICS)
    @paged(post_out)
    def get(self, user_id: int) -> Page:
        """List the posts of a user that the caller may see, newest first."""
        return posts.list_by(self.actor, user_id=user_id, page=self.page, narrowed=narrowed(self.actor, self.query))
