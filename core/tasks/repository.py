"""Queries over tasks."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, Select, and_, bindparam, delete, func, insert, select, update

from core.platform.access import Actor
from core.platform.database.base import unknown_row
from core.platform.database.prepared import insert_row, update_row
from core.platform.database.repository import Repository
from core.platform.database.statements import delete_some
from core.projects.model import Project, ProjectMember, ProjectRole
from core.tasks.model import PRESENT, TRASHED, Task, TaskChange
from core.users.model import User


class Access(NamedTuple):
    """A task together with what decides about it: the actor's role in its project, and whether that is archived."""

    task: Task
    role: ProjectRole | None
    archived: bool | None


class TaskRepository(Repository):
    """Tasks in the database, without those in the trash unless asked for."""

    def find(self, task_id: int) -> Task | None:
        return self.session.scalar(select(Task).where(Task.id == task_id, PRESENT))

    def list_by_ids(self, task_ids: Collection[int]) -> list[Task]:
        """Return those of the tasks that exist, oldest first."""
        return list(self.session.scalars(select(Task).where(Task.id.in_(task_ids), PRESENT).order_by(Task.id)))

    def find_access(self, actor: Actor, task_id: int, *, lock: bool = False, with_trash: bool = False) -> Access | None:
        """Return the task and what decides about it, in one statement."""
        found = self.list_access(actor, [task_id], lock=lock, with_trash=with_trash)
        return found[0] if found else None

    def list_access(
        self, actor: Actor, task_ids: Sequence[int], *, lock: bool = False, with_trash: bool = False
    ) -> list[Access]:
        """Return those of the tasks that exist, by number, locked where the engine locks rows, and what decides.

        Everybody locks in the same order, so that two bulks cannot wait for each other.
        """
        if not task_ids:
            return []
        given = {"task_ids": task_ids, "user_id": actor.user_id}
        if lock and self.session.get_bind().dialect.name != "sqlite":
            # In a statement of its own: what decides must be as it is after waiting for the lock, not before.
            self.session.execute(_LOCK, given).all()
        query = _ACCESS if with_trash else _ACCESS_OF_PRESENT
        rows = self.session.execute(query, given, execution_options={"populate_existing": True})
        return [Access(*row) for row in rows]

    def select(self, *conditions: ColumnElement[bool]) -> Select[Any]:
        """Return a query for plain rows: a list needs no object graph. The conditions say whether of the trash."""
        return select(*Task.__table__.columns).where(*conditions)

    def select_history(self, *conditions: ColumnElement[bool]) -> Select[Any]:
        """Return a query for entries of histories, with the names of whoever made them."""
        names = (User.username.label("actor_username"), User.name.label("actor_name"))
        return (
            select(*TaskChange.__table__.columns, *names)
            .join(Task, Task.id == TaskChange.task_id)
            .outerjoin(User, User.id == TaskChange.actor_id)
            .where(*conditions)
        )

    def insert(self, row: Mapping[str, Any]) -> Task:
        """Insert a task; return it as something to look at, which the session does not know."""
        return unknown_row(Task, {"id": insert_row(self.session, Task, row), **row})

    def update(self, task: Task, changed: Collection[str], at: datetime) -> None:
        """Store these fields of a task that was read and then changed in memory, which the session forgets.

        Raises StaleDataError if it is not as it was read.
        """
        self.session.expunge(task)
        before = task.version
        task.version, task.updated_at = before + 1, at
        row = {name: getattr(task, name) for name in (*changed, "version", "updated_at")}
        update_row(self.session, Task, task.id, row, version=before)

    # --- many at once: one statement each, whatever the number ---

    def insert_many(self, rows: Sequence[dict[str, Any]]) -> list[Task]:
        """Insert tasks, whose `created_at` must grow from row to row; return them in order, unknown to the session."""
        # The engine may answer in any order; asking it to keep ours costs a statement a row on SQLite.
        table: Any = Task.__table__
        statement = insert(table).returning(table.c.created_at, table.c.id)
        made = sorted(self.session.connection().execute(statement, rows), key=lambda row: row.created_at)
        return [unknown_row(Task, {"id": number, **row}) for (_, number), row in zip(made, rows, strict=True)]

    def lock_owned(self, owner_id: int, task_ids: Sequence[int] | None) -> list[int]:
        """Return the numbers of the owner's tasks, of all or of those asked for, locked."""
        query = select(Task.id).where(Task.owner_id == owner_id, PRESENT).order_by(Task.id)
        if task_ids is not None:
            query = query.where(Task.id.in_(task_ids))
        return list(self.session.scalars(query.with_for_update(key_share=True)))

    def list_archived(self, owner_id: int, task_ids: Sequence[int] | None) -> list[int]:
        """Return those of the owner's tasks, of all or of those asked for, whose projects are archived."""
        query = select(Task.id).join(Project, Project.id == Task.project_id)
        query = query.where(Task.owner_id == owner_id, PRESENT, Project.archived).order_by(Task.id)
        return list(self.session.scalars(query if task_ids is None else query.where(Task.id.in_(task_ids))))

    def change_owner(
        self, from_id: int, to_id: int, task_ids: Sequence[int] | None, **values: Any
    ) -> Sequence[Row[int, int]]:
        """Give the owner's tasks, all or those asked for, to another user; return the number and version of each."""
        statement = update(Task).where(Task.owner_id == from_id, PRESENT)
        if task_ids is not None:
            statement = statement.where(Task.id.in_(task_ids))
        statement = statement.values(owner_id=to_id, version=Task.version + 1, **values)
        return self.session.execute(statement.returning(Task.id, Task.version), execution_options=_BULK).all()

    # --- what is about to lose something that it names, and what is to go for good ---

    def lock_all(self, *conditions: ColumnElement[bool]) -> Sequence[Row[*tuple[Any, ...]]]:
        """Return what tasks of the trash or not refer to, and their versions, locked."""
        columns = (Task.id, Task.version, Task.owner_id, Task.assignee_id, Task.project_id, Task.deleted_at)
        query = select(*columns).where(*conditions).order_by(Task.id)
        return self.session.execute(query.with_for_update(key_share=True)).all()

    def count(self, *conditions: ColumnElement[bool]) -> int:
        return self.session.scalar(select(func.count(Task.id)).where(*conditions)) or 0

    def update_all(self, *conditions: ColumnElement[bool], **values: Any) -> None:
        """Set the same values for tasks that are locked."""
        statement = update(Task).where(*conditions).values(version=Task.version + 1, **values)
        self.session.execute(statement, execution_options=_BULK)

    def purge(self, *conditions: ColumnElement[bool]) -> None:
        """Delete tasks of the trash for good, with their posts and their history."""
        self.session.execute(delete(Task).where(TRASHED, *conditions), execution_options=_BULK)

    def purge_trashed_before(self, moment: datetime, limit: int) -> int:
        """Delete tasks for good that have been in the trash since before the moment; return how many."""
        return delete_some(self.session, Task, Task.deleted_at < moment, limit=limit)


# Made once: to put them together takes as long as to carry them out.
_GIVEN = Task.id.in_(bindparam("task_ids", expanding=True))
_LOCK = select(Task.id).where(_GIVEN).order_by(Task.id).with_for_update(key_share=True)
_MEMBERSHIP = and_(ProjectMember.project_id == Task.project_id, ProjectMember.user_id == bindparam("user_id"))
_ACCESS = (
    select(Task, ProjectMember.role, Project.archived)
    .outerjoin(Project, Project.id == Task.project_id)
    .outerjoin(ProjectMember, _MEMBERSHIP)
    .where(_GIVEN)
    .order_by(Task.id)
)
_ACCESS_OF_PRESENT = _ACCESS.where(PRESENT)

# Nothing of these rows is in the session.
_BULK = {"synchronize_session": False}
