"""The task, and what happens to it."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text, bindparam, text
from sqlalchemy.orm import Mapped, mapped_column

from core.platform import clock
from core.platform.access import Via
from core.platform.database.base import Base
from core.platform.database.declared import checking
from core.platform.database.types import BigId, as_created, enum_type
from core.tasks.fields import FIELDS, TaskStatus

# Nothing more is to be done.
CLOSED = (TaskStatus.COMPLETED, TaskStatus.CANCELLED)
OPEN = (TaskStatus.PENDING, TaskStatus.IN_PROGRESS)


class TaskAction(StrEnum):
    """Action on a task, as its history names it."""

    CREATED = "created"
    CHANGED = "changed"
    DELETED = "deleted"
    RESTORED = "restored"
    TRANSFERRED = "transferred"
    PROCESSED = "processed"


# The indexes that lead to what one person sees.
BY_OWNER = "ix_tasks_owner_id_created_at_id_deleted_at"
BY_ASSIGNEE = "ix_tasks_assignee_id_created_at_id_deleted_at"
BY_PROJECT = "ix_tasks_project_id_created_at_id_deleted_at"

_IS_OPEN = text("status IN ('pending', 'in_progress') AND deleted_at IS NULL")
_IS_UNASSIGNED = text("assignee_id IS NULL AND deleted_at IS NULL")
_IS_TRASHED = text("deleted_at IS NOT NULL")


class Task(Base):
    """Task of its owner or of the assignee; in the trash if it has a `deleted_at`."""

    __tablename__ = "tasks"
    __table_args__ = (
        # Newest first, for everyone and for one person; id breaks the tie. With deleted_at at
        # the end, tasks that are not in the trash are counted without touching a row.
        Index("ix_tasks_created_at_id_deleted_at", "created_at", "id", "deleted_at"),
        Index(BY_OWNER, "owner_id", "created_at", "id", "deleted_at"),
        Index(BY_ASSIGNEE, "assignee_id", "created_at", "id", "deleted_at"),
        Index(BY_PROJECT, "project_id", "created_at", "id", "deleted_at"),
        # The other sorts of a list, each of which is a filter, too.
        Index("ix_tasks_due_date_id_deleted_at", "due_date", "id", "deleted_at"),
        Index("ix_tasks_status_id_deleted_at", "status", "id", "deleted_at"),
        Index("ix_tasks_title_id", "title", "id"),
        Index("ix_tasks_updated_at_id_deleted_at", "updated_at", "id", "deleted_at"),
        Index("ix_tasks_completed_at_id_deleted_at", "completed_at", "id", "deleted_at"),
        # Only as large as what is to be done.
        Index("ix_tasks_open_due_date_id", "due_date", "id", sqlite_where=_IS_OPEN, postgresql_where=_IS_OPEN),
        # Nobody's, which have no place in the order of assignees but by their numbers.
        Index("ix_tasks_unassigned_id", "id", sqlite_where=_IS_UNASSIGNED, postgresql_where=_IS_UNASSIGNED),
        # Only as large as the trash.
        Index("ix_tasks_deleted_at_id", "deleted_at", "id", sqlite_where=_IS_TRASHED, postgresql_where=_IS_TRASHED),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    title: Mapped[str] = mapped_column(String(150))
    description: Mapped[str | None] = mapped_column(Text)
    status: Mapped[TaskStatus] = mapped_column(
        enum_type(TaskStatus, "status"),
        default=TaskStatus.PENDING,
    )
    due_date: Mapped[date | None]
    owner_id: Mapped[int] = mapped_column(BigId, ForeignKey("users.id"))
    assignee_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("users.id"))
    project_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("projects.id"))
    item_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("items.id"), index=True)
    version: Mapped[int] = mapped_column(BigId, default=1)
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    updated_at: Mapped[datetime] = mapped_column(default=as_created, onupdate=clock.now)
    completed_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]

    # Every UPDATE names the version it has read, so a lost update is impossible.
    __mapper_args__ = {"version_id_col": version}

    _valid = checking(FIELDS)


# What is in the trash exists for no one, except for users who may restore it: every query over tasks says one of these.
PRESENT = Task.deleted_at.is_(None)
TRASHED = Task.deleted_at.is_not(None)
# Written into the statement, because planners take the index of open tasks only where they can read this.
IS_OPEN = Task.status.in_(bindparam("open_statuses", OPEN, expanding=True, literal_execute=True))


class TaskChange(Base):
    """An entry of a task's history: who did what when, by which way, and each field before and after.

    `changes` maps the name of a field to its old and its new value. Entries go
    with their task when it leaves the trash for good; whoever made them may go
    before.
    """

    __tablename__ = "task_changes"
    __table_args__ = (
        Index("ix_task_changes_task_id_id", "task_id", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    task_id: Mapped[int] = mapped_column(BigId, ForeignKey("tasks.id", ondelete="CASCADE"))
    version: Mapped[int] = mapped_column(BigId)
    action: Mapped[TaskAction] = mapped_column(enum_type(TaskAction, "action"))
    actor_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("users.id", ondelete="SET NULL"), index=True)
    via: Mapped[Via] = mapped_column(enum_type(Via, "via"))
    at: Mapped[datetime]
    changes: Mapped[dict[str, list[Any]]] = mapped_column(JSON)
