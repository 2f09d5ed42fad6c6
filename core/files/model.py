"""The file and its pieces."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import ForeignKey, Index, LargeBinary, String, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from core.platform import clock
from core.platform.database.base import Base
from core.platform.database.types import BigId

CHUNK_BYTES = 512 * 1024


class StoredFile(Base):
    """File that is complete. Without a job it has no owner yet, and cleanup deletes it in time.

    Platforms run web and worker processes on machines without a common disk, so
    the database holds the bytes. `size` is in bytes; `number` orders the files of
    a job, and is null for one that the job was given to read.
    """

    __tablename__ = "files"
    __table_args__ = (
        Index("ix_files_job_id", "job_id"),
        Index("ix_files_expires_at", "expires_at"),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True, default=uuid4)
    job_id: Mapped[UUID | None] = mapped_column(Uuid, ForeignKey("jobs.id", ondelete="CASCADE"))
    number: Mapped[int | None]
    name: Mapped[str] = mapped_column(String(120))
    media_type: Mapped[str] = mapped_column(String(120))
    size: Mapped[int] = mapped_column(BigId, default=0)
    sha256: Mapped[str] = mapped_column(String(64), default="")
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    expires_at: Mapped[datetime]


class FileChunk(Base):
    """One piece of a file; all but the last have CHUNK_BYTES."""

    __tablename__ = "file_chunks"

    file_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("files.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    data: Mapped[bytes] = mapped_column(LargeBinary)
