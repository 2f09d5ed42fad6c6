"""Tables of the peer, without any triggers, and the rows of both sides: the same people, projects and tasks."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import DateTime, Dialect, ForeignKey, Index, String, Text, TypeDecorator
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

# Who reads sees some 1,900 of the tasks: their own, those assigned to them, those of two projects.
READER, WRITER, PEOPLE, PROJECTS, TASKS = 1, 2, 20, 10, 10_000
START = datetime(2026, 1, 1, tzinfo=UTC)


class Moment(TypeDecorator[datetime]):
    """A moment with its zone; SQLite stores none."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.replace(tzinfo=UTC) if value and value.tzinfo is None else value


class Base(DeclarativeBase):
    type_annotation_map = {datetime: Moment()}


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(String(50), unique=True)


class Project(Base):
    __tablename__ = "projects"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))


class Member(Base):
    __tablename__ = "project_members"

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True, index=True)


class Task(Base):
    __tablename__ = "tasks"
    __table_args__ = (
        Index("ix_tasks_created_at", "created_at", "id"),
        Index("ix_tasks_owner_id", "owner_id", "created_at", "id"),
        Index("ix_tasks_assignee_id", "assignee_id", "created_at", "id"),
        Index("ix_tasks_project_id", "project_id", "created_at", "id"),
        Index("ix_tasks_due_date", "due_date", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(150))
    description: Mapped[str | None] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(20), default="pending")
    due_date: Mapped[date | None]
    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    assignee_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    project_id: Mapped[int | None] = mapped_column(ForeignKey("projects.id"))
    item_id: Mapped[int | None]
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(default=lambda: datetime.now(UTC))
    updated_at: Mapped[datetime] = mapped_column(default=lambda: datetime.now(UTC), onupdate=lambda: datetime.now(UTC))
    completed_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]


def members() -> list[tuple[int, int]]:
    """Return project and person: four people in each project, and the reader in two."""
    return sorted({(p, 1 + (p * 2 + n) % PEOPLE) for p in range(1, PROJECTS + 1) for n in range(4)} | {(1, 1), (2, 1)})


def tasks() -> Iterator[dict[str, Any]]:
    """Yield the rows of the tasks, oldest first."""
    for number in range(1, TASKS + 1):
        moment = START + timedelta(minutes=number)
        yield {
            "id": number,
            "title": f"Task number {number}",
            "description": f"It is described in a sentence of some length, for the {number}th time.",
            "status": "pending",
            "due_date": date(2027, 1, 1) + timedelta(days=number % 300) if number % 2 else None,
            "owner_id": 1 + number % PEOPLE,
            "assignee_id": 1 + number // PEOPLE % PEOPLE if number % 3 else None,
            "project_id": 1 + number // 7 % PROJECTS if number % 2 else None,
            "version": 1,
            "created_at": moment,
            "updated_at": moment,
        }
