"""Stored answers of repeatable requests."""

from datetime import datetime

from sqlalchemy import Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from core.platform import clock
from core.platform.database.base import Base


class StoredAnswer(Base):
    """Stored answer to a request with an idempotency key.

    Neither the key nor the answer can be read from the row: `identity` is a digest
    of caller and key, and `answer` is encrypted under the key itself, because some
    answers hold tokens. It is null while the request is still being worked on.
    `key_hash` repeats `identity`, which came later.
    """

    __tablename__ = "kept_answers"
    __table_args__ = (
        Index("ix_kept_answers_expires_at", "expires_at"),
        Index("uq_kept_answers_identity", "identity", unique=True),
    )

    caller: Mapped[str] = mapped_column(String(80), primary_key=True)
    key_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    identity: Mapped[str | None] = mapped_column(String(64))
    fingerprint: Mapped[str] = mapped_column(String(64))
    answer: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    expires_at: Mapped[datetime]
