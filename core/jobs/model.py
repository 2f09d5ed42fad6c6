"""The job row."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, Text, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from core.platform import clock
from core.platform.database.base import Base
from core.platform.database.types import BigId, enum_type


class JobState(StrEnum):
    QUEUED = "queued"
    STARTED = "started"
    RETRYING = "retrying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN_STATES = (JobState.QUEUED, JobState.STARTED, JobState.RETRYING)
WAITING_STATES = (JobState.QUEUED, JobState.RETRYING)

_IS_OPEN = text("state IN ('queued', 'started', 'retrying')")


class Job(Base):
    """One piece of background work.

    `due_at` is when the relay has to act next: send the job (queued, retrying)
    or send it again, because no sign of life came for one lease (started).
    `lease_token` names the one run that may write the outcome. `key_id` is the API key with which it was ordered;
    it is no foreign key, because a job must not be allowed more when the key's row
    goes. `grounds` are what its owner could see when its files were made.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint("progress BETWEEN 0 AND 100", name="progress"),
        Index("ix_jobs_owner_id_created_at_id", "owner_id", "created_at", "id"),
        Index("ix_jobs_created_at_id", "created_at", "id"),
        # Only open jobs are ever due, so the index stays as small as the backlog.
        Index(
            "ix_jobs_due_at",
            "due_at",
            sqlite_where=_IS_OPEN,
            postgresql_where=_IS_OPEN,
        ),
        Index("uq_jobs_dedupe_key", "dedupe_key", unique=True, sqlite_where=_IS_OPEN, postgresql_where=_IS_OPEN),
        # The history of a kind, and when the cleanup may forget a job.
        Index("ix_jobs_kind_created_at_id", "kind", "created_at", "id"),
        Index("ix_jobs_finished_at", "finished_at"),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, default=uuid4)
    kind: Mapped[str] = mapped_column(String(60))
    payload: Mapped[dict[str, Any]] = mapped_column(JSON)
    owner_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("users.id", ondelete="SET NULL"))
    key_id: Mapped[int | None] = mapped_column(BigId)
    state: Mapped[JobState] = mapped_column(
        enum_type(JobState, "state"),
        default=JobState.QUEUED,
    )
    progress: Mapped[int] = mapped_column(default=0)
    attempts: Mapped[int] = mapped_column(default=0)
    max_attempts: Mapped[int]
    error: Mapped[str | None] = mapped_column(Text)
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    grounds: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    due_at: Mapped[datetime] = mapped_column(default=clock.now)
    lease_token: Mapped[str | None] = mapped_column(String(32))
    # Not used any more. It goes with the next release: processes of the former one name it in every insert.
    dedupe_key: Mapped[str | None] = mapped_column(String(120))
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    started_at: Mapped[datetime | None]
    # When the run that holds it last reported its progress.
    reported_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class ScheduledSlot(Base):
    """One moment of one schedule entry that has been dealt with: its job was ordered, or it was passed over.

    The key lets that happen once, whoever tries.
    """

    __tablename__ = "scheduled_slots"
    __table_args__ = (Index("ix_scheduled_slots_slot", "slot"),)

    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    slot: Mapped[datetime] = mapped_column(primary_key=True)
    job_id: Mapped[UUID | None] = mapped_column(Uuid)
