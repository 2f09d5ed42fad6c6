"""Queries over tasks."""

from typing import Any

from sqlalchemy import ColumnElement, Select, or_, select
from sqlalchemy.orm import Session

from core.db import find_locked
from core.tasks.model import Task


class TaskRepository:
    """Tasks in the database. Never commits and never authorises."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def add(self, task: Task) -> Task:
        self.session.add(task)
        self.session.flush()
        return task

    def find(self, task_id: int) -> Task | None:
        return self.session.get(Task, task_id)

    def find_for_update(self, task_id: int) -> Task | None:
        return find_locked(self.session, Task, task_id)

    def delete(self, task: Task) -> None:
        self.session.delete(task)
        self.session.flush()

    def select(self, *conditions: ColumnElement[bool]) -> Select[Any]:
        """Return a query for plain rows: a list needs no object graph."""
        return select(*Task.__table__.columns).where(*conditions)


def mentions(words: str) -> ColumnElement[bool]:
    """Return the condition that the title or the description contains `words`, whatever the case."""
    return or_(Task.title.icontains(words, autoescape=True), Task.description.icontains(words, autoescape=True))
