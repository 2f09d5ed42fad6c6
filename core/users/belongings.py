"""What hangs on an account, and how it goes to somebody else."""

from sqlalchemy import ColumnElement, case, delete, func, or_, select, true, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from core import clock
from core.access import Author
from core.items.model import Item
from core.posts import policy as posts
from core.posts.model import Post
from core.projects.model import ProjectMember, ProjectRole
from core.tasks import recording, trash
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


def let_go_of_trash(session: Session, author: Author, *, user_id: int) -> dict[str, list[str]]:
    """Delete for good what the account has in the trash; return what still hangs on it, for others may restore."""
    posts_there = (Post.user_id == user_id, ~posts.PRESENT)
    session.execute(delete(Post).where(*posts_there), execution_options=_BULK)
    trash.forget_owner(session, author, user_id=user_id)
    return describe(session, user_id=user_id)


def hand_over(session: Session, author: Author, *, from_user_id: int, to_user_id: int) -> list[int]:
    """Give everything that hangs on one account to another, also from the trash, in the caller's transaction.

    Return the tasks that are not in the trash.
    """
    task_ids = _hand_over_tasks(session, author, from_user_id, to_user_id)
    for model, column in ((Post, Post.user_id), (Item, Item.created_by)):
        statement = update(model).where(column == from_user_id)
        session.execute(
            statement.values({column.key: to_user_id, "version": model.version + 1}), execution_options=_BULK
        )
    _hand_over_memberships(session, from_user_id, to_user_id)
    return task_ids


# Nothing of these rows has been read in this transaction.
_BULK = {"synchronize_session": False}


def _hand_over_tasks(session: Session, author: Author, giver: int, receiver: int) -> list[int]:
    """Move ownership and assignment in one statement, so that the version grows once."""
    now = clock.now()
    tasks = TaskRepository(session)
    are_concerned = or_(Task.owner_id == giver, Task.assignee_id == giver)
    # The account is locked, so that no more tasks can get it while this goes on.
    rows, entries = tasks.lock_all(are_concerned), []
    for row in rows:
        before = {"owner_id": row.owner_id, "assignee_id": row.assignee_id}
        changes: recording.Changes = {name: [giver, receiver] for name, user_id in before.items() if user_id == giver}
        entries.append(
            recording.row(author, TaskAction.TRANSFERRED, changes, task_id=row.id, version=row.version + 1, at=now)
        )
    tasks.update_all(
        are_concerned,
        owner_id=case((Task.owner_id == giver, receiver), else_=Task.owner_id),
        assignee_id=case((Task.assignee_id == giver, receiver), else_=Task.assignee_id),
        updated_at=now,
    )
    recording.store(session, entries)
    return [row.id for row in rows if row.deleted_at is None]


def _hand_over_memberships(session: Session, giver: int, receiver: int) -> None:
    """Make the receiver a member of every project of the giver, with the stronger role where both are."""
    query = select(ProjectMember).where(ProjectMember.user_id.in_((giver, receiver))).with_for_update()
    rows = list(session.scalars(query, execution_options={"populate_existing": True}))
    own = {row.project_id: row for row in rows if row.user_id == receiver}
    for row in rows:
        if row.user_id != giver:
            continue
        kept = own.get(row.project_id)
        if kept is None:
            row.user_id = receiver
            continue
        kept.role = max(kept.role, row.role, key=_STRENGTH.__getitem__)
        session.delete(row)
    session.flush()
