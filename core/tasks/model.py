"""The task."""

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, validates

from core import clock, texts
from core.db import Base, BigId, enum_type

TITLE_LENGTH = 150
DESCRIPTION_LENGTH = 10_000


class TaskStatus(StrEnum):
    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


# Nothing more is to be done.
CLOSED = (TaskStatus.COMPLETED, TaskStatus.CANCELLED)


class Task(Base):
    """Something to be done, by its owner or by the assignee."""

    __tablename__ = "tasks"
    __table_args__ = (
        # Newest first, for everyone and for one person; id breaks the tie.
        Index("ix_tasks_created_at_id", "created_at", "id"),
        Index("ix_tasks_owner_id_created_at_id", "owner_id", "created_at", "id"),
        Index("ix_tasks_assignee_id_created_at_id", "assignee_id", "created_at", "id"),
        Index("ix_tasks_project_id_created_at_id", "project_id", "created_at", "id"),
        Index("ix_tasks_due_date_id", "due_date", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    title: Mapped[str] = mapped_column(String(TITLE_LENGTH))
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
    updated_at: Mapped[datetime] = mapped_column(default=clock.now, onupdate=clock.now)
    completed_at: Mapped[datetime | None]

    # Every UPDATE names the version it has read, so a lost update is impossible.
    __mapper_args__ = {"version_id_col": version}

    @validates("title")
    def _valid_title(self, key: str, value: str) -> str:
        return texts.line("title", value, longest=TITLE_LENGTH)

    @validates("description")
    def _valid_description(self, key: str, value: str | None) -> str | None:
        # No length here: a worker appends to descriptions of any length.
        return None if value is None else texts.storable("description", value)
