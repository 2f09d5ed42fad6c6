"""Queries over tasks."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, delete, insert, or_, select, update
from sqlalchemy.orm import Session

from core.access import Actor
from core.db import find_locked
from core.projects.model import Project, ProjectMember, ProjectRole
from core.tasks.model import Task


class Access(NamedTuple):
    """A task together with what decides about it: the actor's role in its project, and whether that is archived."""

    task: Task
    role: ProjectRole | None
    archived: bool | None


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

    def list_by_ids(self, task_ids: Collection[int]) -> list[Task]:
        """Return those of the tasks that exist, oldest first."""
        return list(self.session.scalars(select(Task).where(Task.id.in_(task_ids)).order_by(Task.id)))

    def find_for_update(self, task_id: int) -> Task | None:
        return find_locked(self.session, Task, task_id)

    def find_access(self, actor: Actor, task_id: int, *, lock: bool = False) -> Access | None:
        """Return the task and what decides about it, in one statement."""
        found = self.list_access(actor, [task_id], lock=lock)
        return found[0] if found else None

    def list_access(self, actor: Actor, task_ids: Sequence[int], *, lock: bool = False) -> list[Access]:
        """Return those of the tasks that exist, by number, locked where the engine locks rows."""
        query = (
            select(Task, ProjectMember.role, Project.archived)
            .outerjoin(Project, Project.id == Task.project_id)
            .outerjoin(
                ProjectMember,
                and_(ProjectMember.project_id == Task.project_id, ProjectMember.user_id == actor.user_id),
            )
            .where(Task.id.in_(task_ids))
            # Everybody locks in the same order, so that two bulks cannot wait for each other.
            .order_by(Task.id)
        )
        if lock:
            query = query.with_for_update(of=Task)
        rows = self.session.execute(query, execution_options={"populate_existing": True})
        return [Access(*row) for row in rows]

    def delete(self, task: Task) -> None:
        self.session.delete(task)
        self.session.flush()

    def select(self, *conditions: ColumnElement[bool]) -> Select[Any]:
        """Return a query for plain rows: a list needs no object graph."""
        return select(*Task.__table__.columns).where(*conditions)

    # --- many at once: one statement each, whatever the number ---

    def insert_many(self, rows: Sequence[dict[str, Any]]) -> list[Task]:
        """Insert tasks, whose `created_at` must grow from row to row; return them in the given order."""
        # The engine may answer in any order; asking it to keep ours costs a statement a row on SQLite.
        return sorted(self.session.scalars(insert(Task).returning(Task), rows), key=lambda task: task.created_at)

    def delete_many(self, task_ids: Sequence[int]) -> None:
        self.session.execute(delete(Task).where(Task.id.in_(task_ids)))

    def lock_owned(self, owner_id: int, task_ids: Sequence[int] | None) -> list[int]:
        """Return the numbers of the owner's tasks, of all or of those asked for, locked."""
        query = select(Task.id).where(Task.owner_id == owner_id).order_by(Task.id)
        if task_ids is not None:
            query = query.where(Task.id.in_(task_ids))
        return list(self.session.scalars(query.with_for_update()))

    def change_owner(self, from_id: int, to_id: int, task_ids: Sequence[int] | None, **values: Any) -> None:
        """Give the owner's tasks, all or those asked for, to somebody else."""
        statement = update(Task).where(Task.owner_id == from_id)
        if task_ids is not None:
            statement = statement.where(Task.id.in_(task_ids))
        self.session.execute(
            statement.values(owner_id=to_id, version=Task.version + 1, **values),
            execution_options={"synchronize_session": False},
        )


def mentions(words: str) -> ColumnElement[bool]:
    """Return the condition that the title or the description contains `words`, whatever the case."""
    return or_(Task.title.icontains(words, autoescape=True), Task.description.icontains(words, autoescape=True))
