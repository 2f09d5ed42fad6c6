"""The item."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from core.items.fields import FIELDS
from core.platform import clock
from core.platform.database.base import Base
from core.platform.database.declared import checking
from core.platform.database.types import BigId, Money, as_created


class Item(Base):
    """Equipment, a licence, a deliverable: whatever a task is about."""

    __tablename__ = "items"
    __table_args__ = (
        CheckConstraint("price >= 0", name="price"),
        Index("uq_items_sku", "sku", unique=True),
        Index("ix_items_created_at_id", "created_at", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(String(120))
    price: Mapped[Decimal] = mapped_column(Money)
    description: Mapped[str | None] = mapped_column(Text)
    sku: Mapped[str | None] = mapped_column(String(64))
    created_by: Mapped[int] = mapped_column(BigId, ForeignKey("users.id"), index=True)
    version: Mapped[int] = mapped_column(BigId, default=1)
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    updated_at: Mapped[datetime] = mapped_column(default=as_created, onupdate=clock.now)

    __mapper_args__ = {"version_id_col": version}

    _valid = checking(FIELDS)
