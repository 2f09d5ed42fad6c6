"""Sums over all tasks, which triggers keep (migration 0021), so that nobody has to look at each task."""

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from core.platform.database.base import Base
from core.platform.database.types import BigId


class OwnerSums(Base):
    """Number of tasks of each status that somebody owns, and of those that are finished, and the time that these took.

    As in every table of sums, a sum is that of all rows of its key: a transaction of PostgreSQL takes a row
    that no other one has, or adds one. Rows may be negative, and may be left with zeros.
    """

    __tablename__ = "task_sums_by_owner"
    __table_args__ = {"sqlite_with_rowid": False}

    owner_id: Mapped[int] = mapped_column(
        BigId, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    shard: Mapped[str] = mapped_column(String(36), primary_key=True)
    pending: Mapped[int] = mapped_column(BigId)
    in_progress: Mapped[int] = mapped_column(BigId)
    completed: Mapped[int] = mapped_column(BigId)
    cancelled: Mapped[int] = mapped_column(BigId)
    finished: Mapped[int] = mapped_column(BigId)
    # In two parts, because 64 bits hold only 300,000 years of microseconds.
    seconds: Mapped[int] = mapped_column(BigId)
    microseconds: Mapped[int] = mapped_column(BigId)


class QuarterSums(Base):
    """Number of tasks that were created and completed in a quarter of an hour, counted from the beginning of year 1."""

    __tablename__ = "task_sums_by_quarter"
    __table_args__ = {"sqlite_with_rowid": False}

    quarter: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    shard: Mapped[str] = mapped_column(String(36), primary_key=True)
    created: Mapped[int] = mapped_column(BigId)
    completed: Mapped[int] = mapped_column(BigId)
