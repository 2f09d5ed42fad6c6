"""The past of a task, and its way back from the trash."""

from flask_restx import Namespace, fields

from api.http.answers.pages import paged
from api.http.answers.refusals import refuses
from api.http.answers.responses import returns
from api.http.door.resource import SecureResource
from api.http.input import places, query
from api.http.input.fields import Anything, Id, Moment, NullableObject
from api.http.input.takes import takes
from api.v1.tasks import task_out
from core.platform.access import Permission, Via
from core.platform.database.paging import Page
from core.tasks import history
from core.tasks import service as tasks
from core.tasks.model import Task, TaskAction

ns = Namespace("history", description="See what happened to a task, and restore a deleted one", path="/v1/tasks")

field_change_out = ns.model(
    "FieldChange",
    {
        "field": fields.String(required=True, example="status"),
        "old": Anything(required=True, description="The value before; null if there was none.", example="pending"),
        "new": Anything(required=True, description="The value after; null if there is none.", example="completed"),
    },
)
change_out = ns.model(
    "TaskHistoryEntry",
    {
        "id": Id(required=True),
        "at": Moment(required=True),
        "actor": NullableObject(
            required=True,
            description="Who did it: `id`, `username` and `name`; null if their account is gone.",
            example={"id": 7, "username": "ada", "name": "Ada Lovelace"},
        ),
        "via": fields.String(required=True, enum=list(Via), description="By which way.", example="api"),
        "action": fields.String(required=True, enum=list(TaskAction), example="changed"),
        "version": fields.Integer(required=True, description="The version that the task had then.", example=2),
        "changes": fields.List(fields.Nested(field_change_out), required=True),
    },
)

history_query = query.list_parser({}, "-id")


@ns.route("/<int:task_id>/history")
@ns.doc(params=places.TASK_ID)
class TaskHistory(SecureResource):
    operations = {"GET": "list_task_history"}
    permissions = {"GET": Permission.TASKS_READ}

    @takes(query=history_query)
    @refuses(403, 404, 410)
    @paged(change_out)
    def get(self, task_id: int) -> Page:
        """List what happened to a task, newest first; also to one in the trash, for those who may restore it."""
        return history.list_of(self.actor, task_id=task_id, page=self.page)


@ns.route("/<int:task_id>/restore")
@ns.doc(params=places.TASK_ID)
class TaskRestoration(SecureResource):
    conditional_on = task_out
    conditional_at = "api.tasks_task_item"
    operations = {"POST": "restore_task"}
    permissions = {"POST": Permission.TASKS_WRITE}

    @refuses(403, 404, 409)
    @returns(task_out)
    def post(self, task_id: int) -> Task:
        """Take a task out of the trash; users who may delete it may restore it."""
        return tasks.restore(self.actor, self.expected, task_id=task_id)
