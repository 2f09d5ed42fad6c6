"""Tasks that are there already, as an import would leave them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from flask import Flask
from sqlalchemy import insert, text
from sqlalchemy.orm import Session

from core.platform.database.session import transaction
from core.tasks.model import Task
from tests.support.people import Person

NONE = {"pending": 0, "in_progress": 0, "completed": 0, "cancelled": 0}


def moment(text: str) -> datetime:
    """Return a moment in UTC that is written without its zone."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def store_tasks(app: Flask, rows: Sequence[Mapping[str, Any]]) -> None:
    """Store tasks in one go. Moments may be written as text, in UTC; `created_at` counts for `updated_at` too."""
    stored = []
    for row in rows:
        task = {"title": "x", "status": "pending", "due_date": None, "assignee_id": None, "project_id": None}
        task |= {"completed_at": None, **row}
        task.setdefault("updated_at", task["completed_at"] or task["created_at"])
        for name in ("created_at", "updated_at", "completed_at"):
            task[name] = moment(task[name]) if isinstance(task[name], str) else task[name]
        if isinstance(task["due_date"], str):
            task["due_date"] = date.fromisoformat(task["due_date"])
        stored.append(task)
    with app.app_context(), transaction() as session:
        session.execute(insert(Task), stored)


def store(person: Person, *moments: str, **values: Any) -> None:
    """Store tasks that were created at these moments, as an import would."""
    for moment in moments:
        created = datetime.fromisoformat(moment)
        row = {"title": "x", "owner_id": person.user_id, "status": "pending", "created_at": created, **values}
        with person.app.app_context(), transaction() as session:
            session.execute(insert(Task).values(**row))


def analyze(session: Session) -> None:
    """Refresh the planner's statistics, however long PostgreSQL's own worker is at the tables already."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SET LOCAL lock_timeout = 0"))
    session.execute(text("ANALYZE"))
