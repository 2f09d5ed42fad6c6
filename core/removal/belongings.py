"""Belongings of an account: every column that names a user, and the transfer to another user."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, case, delete, func, null, or_, select, true, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from core.items.model import Item
from core.platform import clock
from core.platform.access import Actor, Author
from core.platform.errors import Conflict
from core.posts import policy as posts
from core.posts.model import Post
from core.projects import policy as projects
from core.projects.model import ProjectMember, ProjectRole
from core.projects.repository import ProjectRepository
from core.removal import references
from core.tasks import recording
from core.tasks.model import PRESENT, Task, TaskAction
from core.tasks.repository import TaskRepository

# Every column that names a person and would be left pointing nowhere. A test
# holds this against the foreign keys of all models.
COLUMNS: dict[str, tuple[InstrumentedAttribute[int] | InstrumentedAttribute[int | None], str]] = {
    "tasks": (Task.owner_id, "owned tasks"),
    "assigned_tasks": (Task.assignee_id, "assigned tasks"),
    "posts": (Post.user_id, "posts"),
    "items": (Item.created_by, "items"),
    "projects": (ProjectMember.user_id, "project memberships"),
}

# What is in the trash stands in nobody's way.
_COUNTED: dict[str, ColumnElement[bool]] = {"tasks": PRESENT, "assigned_tasks": PRESENT, "posts": posts.PRESENT}

_STRENGTH = {role: number for number, role in enumerate(ProjectRole)}


def describe(session: Session, *, user_id: int) -> dict[str, list[str]]:
    """Return a sentence for each kind of thing that hangs on the account, in one statement."""
    counts = [
        select(func.count()).where(column == user_id, _COUNTED.get(name, true())).scalar_subquery().label(name)
        for name, (column, _) in COLUMNS.items()
    ]
    row = session.execute(select(*counts)).one()
    return {
        name: [f"The account still has {count} {words}."]
        for (name, (_, words)), count in zip(COLUMNS.items(), row, strict=True)
        if count
    }


def clear_trash(session: Session, author: Author, *, user_id: int) -> dict[str, list[str]]:
    """Delete for good what the account has in the trash; return what still hangs on it, for others may restore."""
    posts_there = (Post.user_id == user_id, ~posts.PRESENT)
    session.execute(delete(Post).where(*posts_there), execution_options=_BULK)
    references.clear_owner(session, author, user_id=user_id)
    return describe(session, user_id=user_id)


def lock(session: Session, *, user_id: int) -> None:
    """Lock everything that hangs on the account, before the account itself is."""
    ProjectRepository(session).lock_those_of(user_id)
    for row_id, column in ((Item.id, Item.created_by), (Task.id, Task.owner_id), (Post.id, Post.user_id)):
        condition = or_(column == user_id, Task.assignee_id == user_id) if row_id is Task.id else column == user_id
        session.execute(select(row_id).where(condition).order_by(row_id).with_for_update(key_share=True)).all()


def hand_over(session: Session, actor: Actor, *, from_user_id: int, to_user_id: int) -> list[int]:
    """Give everything that hangs on one account to another, also from the trash, in the caller's transaction.

    The receiver gets no right that the actor could not give them otherwise: an
    assignment or a membership that is not the actor's to give just ends. Return the
    tasks that the receiver got and that are not in the trash. Raises Conflict for
    tasks of archived projects.
    """
    # Once more: what came in before the account was locked. It has nothing new from now on.
    lock(session, user_id=from_user_id)
    editable = _editable_projects(session, actor)
    task_ids = _hand_over_tasks(session, actor, from_user_id, to_user_id, editable)
    for model, column in ((Post, Post.user_id), (Item, Item.created_by)):
        statement = update(model).where(column == from_user_id)
        session.execute(
            statement.values({column.key: to_user_id, "version": model.version + 1}), execution_options=_BULK
        )
    _hand_over_memberships(session, actor, from_user_id, to_user_id)
    return task_ids


# Nothing of these rows has been read in this transaction.
_BULK = {"synchronize_session": False}


def _editable_projects(session: Session, actor: Actor) -> set[int] | None:
    """Return the projects whose tasks the actor may assign to another user, or None for all."""
    if actor.is_admin:
        return None
    roles = ProjectRepository(session).list_roles(actor.user_id)
    return {project_id for project_id, role in roles.items() if projects.may_edit_tasks(actor, role)}


def _hand_over_tasks(session: Session, actor: Actor, giver: int, receiver: int, editable: set[int] | None) -> list[int]:
    """Move ownership and assignment in one statement, so that the version grows once."""
    now = clock.now()
    tasks = TaskRepository(session)
    are_concerned = or_(Task.owner_id == giver, Task.assignee_id == giver)
    rows, entries = tasks.lock_all(are_concerned), []
    _require_open_projects(session, rows, giver)
    got = []
    for row in rows:
        changes: recording.FieldChanges = {}
        if row.owner_id == giver:
            changes["owner_id"] = [giver, receiver]
        if row.assignee_id == giver:
            may_assign = row.owner_id == giver or editable is None or row.project_id in editable
            changes["assignee_id"] = [giver, receiver if may_assign else None]
        if row.deleted_at is None and any(after == receiver for _, after in changes.values()):
            got.append(row.id)
        entries.append(
            recording.row(
                actor.author, TaskAction.TRANSFERRED, changes, task_id=row.id, version=row.version + 1, at=now
            )
        )
    may_be_assigned = or_(Task.owner_id == giver, true() if editable is None else Task.project_id.in_(editable))
    tasks.update_all(
        are_concerned,
        owner_id=case((Task.owner_id == giver, receiver), else_=Task.owner_id),
        assignee_id=case(
            (and_(Task.assignee_id == giver, may_be_assigned), receiver),
            (Task.assignee_id == giver, null()),
            else_=Task.assignee_id,
        ),
        updated_at=now,
    )
    recording.store(session, entries)
    return got


def _require_open_projects(session: Session, rows: Sequence[Row[Any]], giver: int) -> None:
    """Refuse to change tasks, and posts about tasks, that can only be read. The trash stands in nobody's way."""
    numbers = {row.project_id for row in rows if row.project_id is not None and row.deleted_at is None}
    spoken_of = select(Task.project_id).join(Post, Post.task_id == Task.id).where(Post.user_id == giver, PRESENT)
    numbers |= {number for number in session.scalars(spoken_of.distinct()) if number is not None}
    if archived := ProjectRepository(session).list_archived(numbers):
        raise Conflict(
            "Tasks of archived projects, and posts about them, cannot be handed over.",
            details={"transfer_to": [f"The project {project.key} is archived." for project in archived]},
        )


def _hand_over_memberships(session: Session, actor: Actor, giver: int, receiver: int) -> None:
    """End the giver's memberships; where the actor may choose members, the receiver gets the stronger role of both."""
    query = select(ProjectMember).where(ProjectMember.user_id.in_((giver, receiver)))
    rows = list(session.scalars(query, execution_options={"populate_existing": True}))
    own = {row.project_id: row for row in rows if row.user_id == receiver}
    for row in rows:
        if row.user_id != giver:
            continue
        kept = own.get(row.project_id)
        # Whoever is no administrator hands over what is their own, so the row says their role, too.
        if projects.may_manage(actor, row.role):
            if kept is None:
                row.user_id = receiver
                continue
            kept.role = max(kept.role, row.role, key=_STRENGTH.__getitem__)
        session.delete(row)
    session.flush()
