"""The item."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, validates

from core.platform import clock
from core.platform.database.base import Base
from core.platform.database.types import BigId, Money, as_created
from core.platform.text import checks

NAME_LENGTH = 120
SKU_LENGTH = 64
DESCRIPTION_LENGTH = 10_000


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
    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    price: Mapped[Decimal] = mapped_column(Money)
    description: Mapped[str | None] = mapped_column(Text)
    sku: Mapped[str | None] = mapped_column(String(SKU_LENGTH))
    created_by: Mapped[int] = mapped_column(BigId, ForeignKey("users.id"), index=True)
    version: Mapped[int] = mapped_column(BigId, default=1)
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    updated_at: Mapped[datetime] = mapped_column(default=as_created, onupdate=clock.now)

    __mapper_args__ = {"version_id_col": version}

    @validates("name")
    def _valid_name(self, key: str, value: str) -> str:
        return checks.line("name", value, longest=NAME_LENGTH)

    @validates("price")
    def _valid_price(self, key: str, value: Decimal) -> Decimal:
        return checks.money("price", value)

    @validates("description")
    def _valid_description(self, key: str, value: str | None) -> str | None:
        return (
            None
            if value is None
            else checks.at_most("description", checks.storable("description", value), DESCRIPTION_LENGTH)
        )

    @validates("sku")
    def _valid_sku(self, key: str, value: str | None) -> str | None:
        return None if value is None else checks.line("sku", value, longest=SKU_LENGTH)
