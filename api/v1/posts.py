"""Posts over HTTP: by themselves, about a task, and of a user."""

from typing import Any

from flask import url_for
from flask_restx import Namespace

from api.http.answers.cached import cached, cached_page
from api.http.answers.pages import paged
from api.http.answers.refusals import refuses
from api.http.answers.responses import created, no_content, returns
from api.http.door.resource import SecureResource
from api.http.input import declared, places
from api.http.input.takes import takes
from core.platform.access import Permission
from core.platform.cache.marks.model import Topic
from core.platform.database.paging import Page
from core.posts import service as posts
from core.posts.fields import FIELDS

ns = Namespace("posts", description="Publish updates, about a task or about anything", path="/v1")


post_out = ns.model("Post", declared.answer(FIELDS))
post_in = ns.model("PostCreate", declared.creation(FIELDS), strict=True)
post_replacement = ns.model("PostReplace", declared.replacement(FIELDS), strict=True)
# About a task that the path names.
task_post_in = ns.model("TaskPostCreate", declared.replacement(FIELDS), strict=True)
post_patch = ns.model("PostUpdate", declared.patch(FIELDS), strict=True)

# Who sees the task sees the posts about it; each shows the name of its author.
POST_TOPICS = (Topic.POSTS, Topic.USERS, Topic.TASKS, Topic.PROJECT_MEMBERS)


list_query = declared.list_parser(posts.FILTERS, posts.DEFAULT_SORT, first=["task_id"])
task_list_query = list_query.copy().remove_argument("task_id")
user_list_query = list_query.copy().remove_argument("user_id")


def _place(post: Any) -> str:
    return url_for("api.posts_post", post_id=post.id, _external=True)


@ns.route("/posts")
class PostCollection(SecureResource):
    operations = {"GET": "list_posts", "POST": "create_post"}
    permissions = {"GET": Permission.POSTS_READ, "POST": Permission.POSTS_WRITE}

    @takes(query=list_query)
    @refuses(410)
    @cached_page(*POST_TOPICS)
    @paged(post_out)
    def get(self) -> Page:
        """List posts, newest first; those about a task only if the caller sees the task."""
        return posts.list_visible(self.actor, page=self.page, filters=self.filters(posts.FILTERS))

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
    operations = {"GET": "get_post", "PUT": "replace_post", "PATCH": "update_post", "DELETE": "delete_post"}
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
        return posts.change(self.actor, self.expected, post_id=post_id, **(posts.CLEARED | self.body))

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
    operations = {"GET": "list_task_posts", "POST": "create_task_post"}
    permissions = {"GET": Permission.POSTS_READ, "POST": Permission.POSTS_WRITE}

    @takes(query=task_list_query)
    @refuses(403, 404, 410)
    @cached_page(*POST_TOPICS)
    @paged(post_out)
    def get(self, task_id: int) -> Page:
        """List the posts about a task, newest first."""
        return posts.list_about(self.actor, task_id=task_id, page=self.page, filters=self.filters(posts.FILTERS))

    @takes(task_post_in)
    @refuses(403, 404, 409)
    @created(post_out, at=_place)
    def post(self, task_id: int) -> Any:
        """Publish a post about a task."""
        return posts.create_about(self.actor, task_id=task_id, **self.body)


@ns.route("/users/<int:user_id>/posts")
@ns.doc(params=places.USER_ID)
class UserPostCollection(SecureResource):
    operations = {"GET": "list_user_posts"}
    permissions = {"GET": Permission.POSTS_READ}

    @takes(query=user_list_query)
    @refuses(404, 410)
    @cached_page(*POST_TOPICS)
    @paged(post_out)
    def get(self, user_id: int) -> Page:
        """List the posts of a user that the caller may see, newest first."""
        return posts.list_by(self.actor, user_id=user_id, page=self.page, filters=self.filters(posts.FILTERS))
