"""Reading the history of a task."""

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, or_

from core.platform.access import Actor
from core.platform.database.base import db
from core.platform.database.paging import Page, PageRequest, made_anew, paginate
from core.platform.errors import NotFound
from core.tasks import policy, service
from core.tasks.model import TaskChange
from core.tasks.repository import Access, TaskRepository


@dataclass(frozen=True, slots=True)
class Change:
    """An entry of a task's history. `actor` is None if whoever made the change has no account any more."""

    id: int
    at: datetime
    actor: dict[str, Any] | None
    via: str
    action: str
    version: int
    changes: list[dict[str, Any]]


def list_of(actor: Actor, *, task_id: int, page: PageRequest) -> Page:
    """Return a page of what happened to a task, newest first.

    Raises NotFound and Forbidden like reading the task, and NotFound for a task
    in the trash that the actor may not restore.
    """
    session = db.session()
    tasks = TaskRepository(session)
    may_read = or_(policy.visible_to(actor), policy.restorable_by(actor))
    query = tasks.select_history(TaskChange.task_id == task_id, may_read)
    found = paginate(session, made_anew(query), page, sortable={}, default_sort="-id", identity=TaskChange.id)
    if not found.items:
        # Whoever sees an entry may read the task, so only an empty page raises the question.
        _require_readable(actor, tasks.find_access(actor, task_id, with_trash=True))
    return dataclasses.replace(found, items=[_shown(row) for row in found.items])


def _require_readable(actor: Actor, access: Access | None) -> None:
    if access is None or access.task.deleted_at is None:
        service.require_readable(actor, access)
    elif not policy.may_delete(actor, access.task, access.role):
        raise NotFound("There is no such task.")


def _shown(row: Row[Any]) -> Change:
    actor = None
    if row.actor_id is not None:
        actor = {"id": row.actor_id, "username": row.actor_username, "name": row.actor_name}
    changes = [{"field": name, "old": old, "new": new} for name, (old, new) in row.changes.items()]
    return Change(row.id, row.at, actor, row.via, row.action, row.version, changes)
