"""Writing down what happens to tasks, in the transaction in which it happens.

Whatever writes tasks ends here: single changes with `record`, many at once with
`store`. A field that changes keeps its old and its new value as plain JSON,
whole, whatever its length.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import Session

from core.platform import clock
from core.platform.access import Author
from core.platform.database.prepared import insert_keyed
from core.tasks.fields import FIELDS
from core.tasks.model import Task, TaskAction, TaskChange
from core.tasks.repository import TaskRepository

# Everything that a history shows. The version and the moment of a change are with its entry.
TOLD = FIELDS.names(lambda field: field.in_history)

FieldChanges = dict[str, list[Any]]
HistoryRow = dict[str, Any]


def record(session: Session, author: Author, action: TaskAction, task: Task) -> None:
    """Store a task that was changed in memory, and the entry about it; nothing if nothing differs."""
    changes = changes_of(task)
    if changes:
        TaskRepository(session).update(task, changes.keys(), clock.now())
        store(session, [entry(author, action, task, changes)])


def changes_of(task: Task) -> FieldChanges:
    """Return what has been set since the task was read or made, and is not stored yet."""
    state = inspect(task)
    changes = {}
    for name in TOLD:
        found = state.attrs[name].history
        before = as_written(found.deleted[0]) if found.deleted else None
        after = as_written(found.added[0]) if found.added else before
        if before != after:
            changes[name] = [before, after]
    return changes


def entry(author: Author, action: TaskAction, task: Task, changes: FieldChanges) -> HistoryRow:
    """Return the entry about a task whose version and moment are already those after the change."""
    return row(author, action, changes, task_id=task.id, version=task.version, at=task.updated_at)


def entry_of_new(author: Author, task_id: int, values: Mapping[str, Any]) -> HistoryRow:
    """Return the entry about a task that was inserted with these values, `version` and `created_at` among them."""
    changes = {name: [None, as_written(values[name])] for name in TOLD if values.get(name) is not None}
    created = TaskAction.CREATED
    return row(author, created, changes, task_id=task_id, version=values["version"], at=values["created_at"])


def row(
    author: Author, action: TaskAction, changes: FieldChanges, *, task_id: int, version: int, at: datetime
) -> HistoryRow:
    """Return an entry of a task's history."""
    return {
        "task_id": task_id,
        "version": version,
        "action": action,
        "actor_id": author.user_id,
        "via": author.via,
        "at": at,
        "changes": changes,
    }


def store(session: Session, entries: Sequence[HistoryRow]) -> None:
    """Store entries in one statement."""
    if entries:
        insert_keyed(session, TaskChange, entries)


def as_written(value: Any) -> Any:
    """Return the value of a field as the API writes it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, str) else value
