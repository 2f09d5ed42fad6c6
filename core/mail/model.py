"""Rows for the kinds of e-mail that people do not want, and for the reminders they got."""

from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from core.platform import clock
from core.platform.database.base import Base
from core.platform.database.types import BigId


class MailKind(StrEnum):
    """The messages that Tasklane sends. Templates are named by these."""

    WELCOME = "welcome"
    PASSWORD_RESET = "password_reset"  # noqa: S105 - the name of a message
    TASK_CREATED = "task_created"
    TASK_ASSIGNED = "task_assigned"
    TASKS_TRANSFERRED = "tasks_transferred"
    TASK_REMINDER = "task_reminder"


# What people may do without; everything else is sent to everybody whom it concerns.
OPTIONAL = tuple(kind for kind in MailKind if kind not in (MailKind.WELCOME, MailKind.PASSWORD_RESET))


class MailOptOut(Base):
    """Kind of message that a user does not want. Without a row, they get it."""

    __tablename__ = "mail_opt_outs"

    user_id: Mapped[int] = mapped_column(BigId, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    # Without a constraint, so that a new kind needs no migration.
    kind: Mapped[str] = mapped_column(String(40), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(default=clock.now)


class TaskReminder(Base):
    """Record that a user's reminder of a task and a due date was ordered. Its key lets that happen once."""

    __tablename__ = "task_reminders"
    __table_args__ = (Index("ix_task_reminders_user_id", "user_id"), Index("ix_task_reminders_due_date", "due_date"))

    task_id: Mapped[int] = mapped_column(BigId, ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[int] = mapped_column(BigId, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    due_date: Mapped[date] = mapped_column(primary_key=True)
