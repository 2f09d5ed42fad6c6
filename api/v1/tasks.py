"""Tasks over HTTP."""

from flask_restx import Namespace

from api.http.answers.cached import cached, cached_page
from api.http.answers.pages import paged
from api.http.answers.refusals import refuses
from api.http.answers.responses import accepted, created, no_content, returns
from api.http.door.resource import SecureResource
from api.http.input import declared, places
from api.http.input.takes import takes
from core.jobs.model import Job
from core.platform.access import Permission
from core.platform.cache.marks.model import Topic
from core.platform.database.paging import Page
from core.tasks import processing
from core.tasks import service as tasks
from core.tasks.fields import FIELDS
from core.tasks.model import Task

ns = Namespace("tasks", description="Create, find, change and process tasks", path="/v1/tasks")

task_out = ns.model("Task", declared.answer(FIELDS))
task_in = ns.model("TaskCreate", declared.creation(FIELDS), strict=True)
task_replacement = ns.model("TaskReplace", declared.replacement(FIELDS), strict=True)
task_patch = ns.model("TaskUpdate", declared.patch(FIELDS), strict=True)
status_in = ns.model("TaskStatusUpdate", declared.replacement(FIELDS, only=["status"]), strict=True)

# What decides who sees which task, and what they see.
TASK_TOPICS = (Topic.TASKS, Topic.PROJECTS, Topic.PROJECT_MEMBERS)

list_query = declared.list_parser(tasks.FILTERS, tasks.DEFAULT_SORT)


@ns.route("")
class TaskCollection(SecureResource):
    """The tasks that the caller may see."""

    operations = {"GET": "list_tasks", "POST": "create_task"}
    permissions = {"GET": Permission.TASKS_READ, "POST": Permission.TASKS_WRITE}

    @takes(query=list_query)
    @refuses(410)
    @cached_page(*TASK_TOPICS)
    @paged(task_out)
    def get(self) -> Page:
        """List tasks, newest first."""
        return tasks.list_visible(self.actor, page=self.page, filters=self.filters(tasks.FILTERS))

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
    operations = {"GET": "get_task", "PUT": "replace_task", "PATCH": "update_task", "DELETE": "delete_task"}
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
        return tasks.change(self.actor, self.expected, task_id=task_id, **(tasks.CLEARED | self.body))

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
    operations = {"PUT": "set_task_status"}
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
    operations = {"POST": "process_task"}
    permissions = {"POST": Permission.TASKS_WRITE}

    @refuses(403, 404, 409)
    @accepted
    def post(self, task_id: int) -> Job:
        """Process a task in the background.

        It appends ` [Processed]` to the description and completes the task.
        """
        return processing.start(self.actor, self.expected, task_id=task_id)
