"""Many changes of tasks in one request, and in a bounded number of statements.

Everything is read at the beginning, decided in memory by the rules that single
changes obey too, and written at the end, one statement for each kind of change.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy.orm import Session

from core.audit import service as audit
from core.audit.model import EventKind
from core.jobs import service as jobs
from core.platform import clock
from core.platform.access import Actor
from core.platform.database.bulk_rows import update_rows, validated
from core.platform.database.repeats import repeated
from core.platform.database.session import transaction
from core.platform.errors import Conflict, DomainError, Forbidden, Invalid, NotFound
from core.tasks import notices, recording, rules
from core.tasks.model import Task, TaskAction
from core.tasks.repository import Access, TaskRepository

MAX_OPERATIONS = 100


class BulkOp(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


@dataclass(slots=True)
class Operation:
    """One entry of a bulk. `refusal` is set when the entry was already wrong on arrival."""

    op: BulkOp
    task_id: int | None = None
    version: int | None = None
    values: dict[str, Any] = field(default_factory=dict)
    refusal: DomainError | None = None


@dataclass(slots=True)
class BulkOutcome:
    """Outcome of one entry: the task as it is now, or the reason why it was not changed."""

    op: BulkOp
    task_id: int | None = None
    task: Task | None = None
    refusal: DomainError | None = None


@dataclass(slots=True)
class _Plan:
    """Plan of the writes, complete before the first of them."""

    now: datetime = field(default_factory=clock.now)
    inserts: list[tuple[BulkOutcome, dict[str, Any]]] = field(default_factory=list)
    updates: list[Task] = field(default_factory=list)
    assigned: list[Task] = field(default_factory=list)


@repeated
def run(actor: Actor, *, operations: Sequence[Operation], atomic: bool) -> list[BulkOutcome]:
    """Carry out the operations and return an outcome for each, in their order.

    Atomic: the first refusal is raised, with every refused entry named under
    `operations.<index>`, and nothing is stored. Otherwise a refused entry leaves
    the others alone.
    """
    with transaction() as session:
        found = {
            access.task.id: access
            for access in TaskRepository(session).list_access(
                actor, sorted({op.task_id for op in operations if op.task_id is not None}), lock=True
            )
        }
        references = rules.References(actor, session, [operation.values for operation in operations])
        plan, outcomes, seen = _Plan(), [], set[int]()
        for operation in operations:
            outcome = BulkOutcome(operation.op, operation.task_id)
            outcomes.append(outcome)
            try:
                _decide(actor, operation, outcome, plan, found, references, seen)
            except DomainError as refusal:
                outcome.refusal = refusal
        if atomic:
            _raise_refusals(outcomes)
        _write(actor, session, plan)
        forbidden = [outcome.refusal for outcome in outcomes if isinstance(outcome.refusal, Forbidden)]
        if forbidden:
            # No other record would have them: the request as a whole succeeds.
            reason, count = forbidden[0].message, len(forbidden)
            account = {"user_id": actor.user_id, "actor_id": actor.user_id}
            audit.record(session, EventKind.FORBIDDEN, **account, reason=reason, operations=count)
    return outcomes


def _decide(
    actor: Actor,
    operation: Operation,
    outcome: BulkOutcome,
    plan: _Plan,
    found: dict[int, Access],
    references: rules.References,
    seen: set[int],
) -> None:
    """Apply the rules to one entry and put its change into the plan; raise why not."""
    if operation.refusal is not None:
        raise operation.refusal
    if operation.op is BulkOp.CREATE:
        references.require(operation.values)
        # A microsecond apart, so that a list shows the entries of a bulk in their order.
        moment = plan.now + timedelta(microseconds=len(plan.inserts))
        plan.inserts.append((outcome, rules.new_row(actor, validated(Task, operation.values), moment)))
        return
    access = found.get(operation.task_id or 0)
    if access is None:
        raise NotFound("There is no such task.")
    if access.task.id in seen:
        raise Invalid("This task is in the bulk twice.", details={"id": ["Each task may be named once."]})
    seen.add(access.task.id)
    if operation.op is BulkOp.DELETE:
        rules.require_deletable(actor, access)
        _require_version(operation, access.task)
        access.task.deleted_at = plan.now
        plan.updates.append(access.task)
        return
    changed = rules.changed_fields(access.task, operation.values)
    rules.require_changeable(actor, access, changed)
    _require_version(operation, access.task)
    references.require(changed)
    outcome.task = access.task
    if changed:
        rules.apply_changes(access.task, changed)
        plan.updates.append(access.task)
    if "assignee_id" in changed:
        plan.assigned.append(access.task)


def _require_version(operation: Operation, task: Task) -> None:
    if operation.version is not None and operation.version != task.version:
        raise Conflict(
            f"The task has version {task.version} now.", details={"version": [f"The task has version {task.version}."]}
        )


def _raise_refusals(outcomes: list[BulkOutcome]) -> None:
    """Raise the first refusal with the reasons of all of them."""
    refused = [(index, outcome.refusal) for index, outcome in enumerate(outcomes) if outcome.refusal is not None]
    if not refused:
        return
    details: dict[str, list[str]] = {}
    for index, refusal in refused:
        if refusal.details:
            details |= {f"operations.{index}.{path}": list(texts) for path, texts in refusal.details.items()}
        else:
            details[f"operations.{index}"] = [refusal.message]
    unnamed = sum(refusal.unnamed for _, refusal in refused)
    raise type(refused[0][1])(
        "Nothing was changed, because an operation was refused.", details=details, unnamed=unnamed
    )


def _write(actor: Actor, session: Session, plan: _Plan) -> None:
    entries = write_updates(session, actor, plan.updates, plan.now) if plan.updates else []
    if plan.inserts:
        made = TaskRepository(session).insert_many([row for _, row in plan.inserts])
        for (outcome, row), task in zip(plan.inserts, made, strict=True):
            outcome.task, outcome.task_id = task, task.id
            entries.append(recording.entry_of_new(actor.author, task.id, row))
            plan.assigned.append(task)
    recording.store(session, entries)
    created = [outcome.task for outcome, _ in plan.inserts if outcome.task is not None]
    jobs.enqueue_all(session, [*notices.confirmations(actor, created), *notices.assignments(actor, plan.assigned)])


def write_updates(session: Session, actor: Actor, changed: Sequence[Task], now: datetime) -> list[recording.HistoryRow]:
    """Store tasks that are locked and were changed in memory, in one statement; return the entries to be stored."""
    all_changes = [recording.changes_of(task) for task in changed]
    rows = [
        {"id": task.id, "version": task.version + 1, "updated_at": now, **{n: getattr(task, n) for n in recording.TOLD}}
        for task in changed
    ]
    # The session must not send them again one by one.
    for task in changed:
        session.expunge(task)
    update_rows(session, Task, rows)
    for task, row in zip(changed, rows, strict=True):
        task.version, task.updated_at = row["version"], now
    return [
        recording.entry(actor.author, _action_of(changes), task, changes)
        for task, changes in zip(changed, all_changes, strict=True)
    ]


def _action_of(changes: recording.FieldChanges) -> TaskAction:
    return TaskAction.DELETED if "deleted_at" in changes else TaskAction.CHANGED
