"""Tasks over HTTP."""

from collections.abc import Mapping
from typing import Any

from flask_restx import Namespace, fields

from api.http.answers.cached import cached, cached_page
from api.http.answers.pages import paged
from api.http.answers.refusals import refuses
from api.http.answers.responses import accepted, created, no_content, returns
from api.http.door.resource import SecureResource
from api.http.input import places, query
from api.http.input.fields import Id, Line, Moment, NullableDate, NullableId, NullableMoment, NullableText
from api.http.input.takes import takes
from core.jobs.model import Job
from core.platform.access import Actor, Permission
from core.platform.cache.marks.model import Topic
from core.platform.database.paging import Page
from core.tasks import service as tasks
from core.tasks.model import DESCRIPTION_LENGTH, TITLE_LENGTH, Task, TaskStatus

ns = Namespace("tasks", description="Create, find, change and process tasks", path="/v1/tasks")

_STATUS = {"enum": list(TaskStatus), "example": "pending"}


def _title(**options: Any) -> Line:
    return Line(max_length=TITLE_LENGTH, example="Renew the TLS certificate", **options)


_writable = {
    "description": NullableText(max_length=DESCRIPTION_LENGTH, example="It ends on the 30th."),
    "due_date": NullableDate(example="2026-12-01"),
    "assignee_id": NullableId(description="An active user.", example=None),
    "project_id": NullableId(description="A project in which the caller may create tasks.", example=None),
    "item_id": NullableId(description="The item that the task is about.", example=None),
}

task_out = ns.model(
    "Task",
    {
        "id": Id(required=True),
        "title": _title(required=True),
        "description": NullableText(required=True),
        "status": fields.String(required=True, **_STATUS),
        "due_date": NullableDate(required=True, example="2026-12-01"),
        "owner_id": Id(required=True),
        "assignee_id": NullableId(required=True),
        "project_id": NullableId(required=True, description="Null for a personal task."),
        "item_id": NullableId(required=True),
        "version": fields.Integer(required=True, description="Grows with every change.", example=1),
        "created_at": Moment(required=True),
        "updated_at": Moment(required=True),
        "completed_at": NullableMoment(required=True),
        "deleted_at": NullableMoment(required=True, description="Null unless the task is in the trash.", example=None),
    },
)
task_in = ns.model(
    "TaskInput",
    {"title": _title(required=True), "status": fields.String(default="pending", **_STATUS), **_writable},
    strict=True,
)
task_replacement = ns.model(
    "TaskReplacement",
    {"title": _title(required=True), "status": fields.String(required=True, **_STATUS), **_writable},
    strict=True,
)
task_patch = ns.model("TaskPatch", {"title": _title(), "status": fields.String(**_STATUS), **_writable}, strict=True)
status_in = ns.model("TaskStatusChange", {"status": fields.String(required=True, **_STATUS)}, strict=True)

# What decides who sees which task, and what they see.
TASK_TOPICS = (Topic.TASKS, Topic.PROJECTS, Topic.PROJECT_MEMBERS)

_MOMENTS = ("created_at", "updated_at", "completed_at")

list_query = query.list_parser(tasks.SORTABLE, tasks.DEFAULT_SORT)
query.add(list_query, "status", query.one_or_more(TaskStatus), "Only these, comma-separated or repeated.")
query.add(list_query, "owner_id", query.user_reference, "Only tasks of this user; `me` is the caller.")
query.add(list_query, "assignee_id", query.user_reference, "Only tasks assigned to this user; `me` is the caller.")
query.add(list_query, "project_id", query.integer(), "Only tasks of this project.")
query.add(list_query, "item_id", query.integer(), "Only tasks about this item.")
query.add(list_query, "overdue", query.boolean, "Whether the due date has passed on an open task.")
query.add(list_query, "q", query.words, "Only tasks whose title or description contains this.")
query.add(
    list_query,
    "deleted",
    query.boolean,
    "True: instead, tasks in the trash that the caller may restore, the last to be deleted first.",
)
query.add_range(list_query, "due_date", query.day)
for _name in _MOMENTS:
    query.add_range(list_query, _name, query.moment)


def narrowed(actor: Actor, arguments: Mapping[str, Any]) -> tasks.TaskFilter:
    """Return what the parameters of `list_query` narrow a list of tasks to."""
    return tasks.TaskFilter(
        status=arguments.get("status"),
        owner_id=query.user_id(arguments, "owner_id", me=actor.user_id),
        assignee_id=query.user_id(arguments, "assignee_id", me=actor.user_id),
        project_id=arguments.get("project_id"),
        item_id=arguments.get("item_id"),
        overdue=arguments.get("overdue"),
        q=arguments.get("q"),
        deleted=arguments.get("deleted"),
        ranges=query.ranges(arguments, "due_date", *_MOMENTS),
    )


@ns.route("")
class TaskCollection(SecureResource):
    """The tasks that the caller may see."""

    permissions = {"GET": Permission.TASKS_READ, "POST": Permission.TASKS_WRITE}

    @takes(query=list_query)
    @refuses(410)
    @cached_page(*TASK_TOPICS)
    @paged(task_out)
    def get(self) -> Page:
        """List tasks, newest first."""
        return tasks.list_visible(self.actor, page=self.page, narrowed=narrowed(self.actor, self.query))

    @takes(task_in)
    @refuses(403, 409)
    @created(task_out)
    def post(self) -> Task:
        """Create a task.

        The caller owns it, and a confirmation e-mail follows.
        """
        return tasks.create(self.actor, **self.body)


@ns.route("/<int:task_id>")
@ns.doc(params=places.TASK_ID)
class TaskItem(SecureResource):
    conditional_on = task_out
    permissions = {
        "GET": Permission.TASKS_READ,
        "PUT": Permission.TASKS_WRITE,
        "PATCH": Permission.TASKS_WRITE,
        "DELETE": Permission.TASKS_WRITE,
    }

    @refuses(403, 404)
    @cached(*TASK_TOPICS)
    @returns(task_out)
    def get(self, task_id: int) -> Task:
        """Read a task."""
        return tasks.get(self.actor, task_id=task_id)

    @takes(task_replacement)
    @refuses(403, 404, 409)
    @returns(task_out)
    def put(self, task_id: int) -> Task:
        """Replace a task; what is not given becomes null."""
        return tasks.replace(self.actor, self.expected, task_id=task_id, **self.body)

    @takes(task_patch)
    @refuses(403, 404, 409)
    @returns(task_out)
    def patch(self, task_id: int) -> Task:
        """Change some fields of a task; what is not given stays."""
        return tasks.change(self.actor, self.expected, task_id=task_id, **self.body)

    @refuses(403, 404, 409)
    @no_content
    def delete(self, task_id: int) -> None:
        """Delete a task; its owner, owners of its project and administrators may.

        It goes to the trash together with the posts about it, and can be restored for some time.
        """
        tasks.delete(self.actor, self.expected, task_id=task_id)


@ns.route("/<int:task_id>/status")
@ns.doc(params=places.TASK_ID)
class TaskStatusItem(SecureResource):
    conditional_on = task_out
    conditional_at = "api.tasks_task_item"
    permissions = {"PUT": Permission.TASKS_WRITE}

    @takes(status_in)
    @refuses(403, 404, 409)
    @returns(task_out)
    def put(self, task_id: int) -> Task:
        """Set the status of a task."""
        return tasks.change(self.actor, self.expected, task_id=task_id, **self.body)


@ns.route("/<int:task_id>/process")
@ns.doc(params=places.TASK_ID)
class TaskProcessing(SecureResource):
    conditional_on = task_out
    permissions = {"POST": Permission.TASKS_WRITE}

    @refuses(403, 404, 409)
    @accepted
    def post(self, task_id: int) -> Job:
        """Have a worker process a task.

        It appends ` [Processed]` to the description and completes the task.
        """
        return tasks.start_processing(self.actor, self.expected, task_id=task_id)
