"""Changes of many tasks in one request: handing them over, and bulks."""

from itertools import islice
from typing import Any

from flask_restx import Namespace, fields

from api.http.answers.errors import envelope
from api.http.answers.failures import describe
from api.http.answers.marshalling import marshal
from api.http.answers.models import error_body
from api.http.answers.refusals import refuses
from api.http.answers.responses import returns
from api.http.door.resource import SecureResource
from api.http.input.body import check
from api.http.input.fields import Id, NullableId, NullableObject
from api.http.input.takes import Input, takes
from api.v1.tasks import task_in, task_out, task_patch
from core.platform.access import Permission
from core.platform.errors import DomainError, Invalid
from core.platform.text import checks
from core.platform.text.faults import MAX_FAULTS
from core.tasks import bulk, handover
from core.tasks.bulk import MAX_OPERATIONS, BulkOp, BulkOutcome, Operation

ns = Namespace("bulk", description="Hand tasks over, and change many at once", path="/v1/tasks")

transfer_in = ns.model(
    "TaskTransfer",
    {
        "from_user_id": Id(required=True, description="Who gives.", example=2),
        "to_user_id": Id(required=True, description="Who receives; an active user.", example=1),
        "task_ids": fields.List(
            Id,
            min_items=1,
            max_items=1000,
            unique=True,
            description="Which tasks; all of the giver's if absent.",
            example=[1],
        ),
    },
    strict=True,
)
transfer_out = ns.model(
    "TaskTransferResult",
    {
        "from_user_id": Id(required=True),
        "to_user_id": Id(required=True),
        "transferred": fields.Integer(required=True, description="How many tasks have moved.", example=3),
    },
)
# One that can be executed as it is; all fields together are no operation.
_NEW = {"op": "create", "task": {"title": "Renew the TLS certificate", "due_date": "2026-12-01"}}
operation_in = ns.model(
    "TaskBulkOperation",
    {
        "op": fields.String(required=True, enum=list(BulkOp), example="create"),
        "id": Id(description="The task to update or delete."),
        "version": fields.Integer(
            min=1, description="Refuse the operation if the task has another version by now.", example=1
        ),
        "task": fields.Raw(description="A TaskCreate to create, a TaskUpdate to update.", example=_NEW["task"]),
    },
    strict=True,
)
bulk_in = ns.model(
    "TaskBulk",
    {
        "operations": fields.List(
            fields.Nested(operation_in), required=True, min_items=1, max_items=MAX_OPERATIONS, example=[_NEW]
        ),
        "atomic": fields.Boolean(default=True, description="All or nothing; false answers for each entry."),
    },
    strict=True,
)
outcome_out = ns.model(
    "TaskBulkOutcome",
    {
        "op": fields.String(required=True, enum=list(BulkOp)),
        "id": NullableId(required=True),
        "status": fields.Integer(required=True, description="The code a request of its own would get.", example=201),
        "task": NullableObject(required=True, description="The Task as it is now; null if deleted or refused."),
        "error": fields.Nested(error_body, description="Why the entry was refused; absent otherwise."),
    },
)
bulk_out = ns.model("TaskBulkResult", {"results": fields.List(fields.Nested(outcome_out), required=True)})


@ns.route("/transfer")
class TaskTransfer(SecureResource):
    operations = {"POST": "transfer_tasks"}
    permissions = {"POST": Permission.TASKS_WRITE}

    @takes(transfer_in)
    @refuses(403, 409)
    @returns(transfer_out)
    def post(self) -> handover.Handover:
        """Hand tasks over to another user, all or none.

        The giver may, and administrators. Tasks of archived projects stay where they are (409).
        """
        return handover.transfer(self.actor, **self.body)


@ns.route("/bulk")
class TaskBulk(SecureResource):
    operations = {"POST": "bulk_change_tasks"}
    permissions = {"POST": Permission.TASKS_WRITE}

    @takes(bulk_in)
    @refuses(403, 404, 409)
    @returns(bulk_out)
    def post(self) -> dict[str, Any]:
        """Create, update and delete up to 100 tasks at once.

        Atomic by default: one refused operation, and nothing is changed. With
        `atomic: false`, every entry gets a status of its own.
        """
        return {"results": [_shown(outcome) for outcome in bulk.run(self.actor, **self.body)]}

    def read_body(self, wanted: Input) -> dict[str, Any]:
        """Parse each operation by the model that its kind takes."""
        body = super().read_body(wanted)
        operations = [_operation(entry) for entry in body["operations"]]
        _share_out([operation.refusal for operation in operations if operation.refusal])
        return {"operations": operations, "atomic": body.get("atomic", True)}


def _operation(entry: dict[str, Any]) -> Operation:
    operation = Operation(BulkOp(entry["op"]), entry.get("id"), entry.get("version"))
    details: dict[str, list[str]] = {}
    takes_task = operation.op is not BulkOp.DELETE
    if takes_task != ("task" in entry):
        details["task"] = [checks.REQUIRED if takes_task else "A deletion takes no task."]
    if (operation.op is BulkOp.CREATE) == ("id" in entry):
        details["id"] = ["A new task has no id yet." if "id" in entry else checks.REQUIRED]
    if details:
        operation.refusal = Invalid("The operation is not complete.", details=details)
        return operation
    if takes_task:
        try:
            model = task_in if operation.op is BulkOp.CREATE else task_patch
            operation.values = check(model, entry["task"])
        except DomainError as error:
            details = {f"task.{path}": list(texts) for path, texts in (error.details or {}).items()}
            operation.refusal = Invalid("The operation has invalid fields.", details=details, unnamed=error.unnamed)
    return operation


def _share_out(refusals: list[DomainError]) -> None:
    """Leave as many faults in all refusals together as one names, and at least one in each."""
    left = MAX_FAULTS
    for refusal in refusals:
        named = dict(islice((refusal.details or {}).items(), max(left, 1)))
        refusal.unnamed += len(refusal.details or {}) - len(named)
        refusal.details = named or None
        left -= len(named)


_STATUS = {BulkOp.CREATE: 201, BulkOp.UPDATE: 200, BulkOp.DELETE: 204}


def _shown(outcome: BulkOutcome) -> dict[str, Any]:
    failure = describe(outcome.refusal) if outcome.refusal else None
    shown: dict[str, Any] = {"op": outcome.op, "id": outcome.task_id}
    if failure:
        return {**shown, "status": failure.status, "task": None, "error": envelope(failure)["error"]}
    task = None if outcome.task is None else marshal(task_out, outcome.task)
    return {**shown, "status": _STATUS[outcome.op], "task": task}
