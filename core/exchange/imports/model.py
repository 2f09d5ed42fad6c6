"""Names of things in other systems."""

from sqlalchemy import ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from core.platform.database.base import Base
from core.platform.database.types import BigId

EXTERNAL_ID_LENGTH = 200


def _one_each(column: str) -> Index:
    # With the thing first, so that its end finds the row; nulls are most of the column and of no use.
    condition = text(f"{column} IS NOT NULL")
    return Index(
        f"uq_external_ids_{column}_user_id",
        column,
        "user_id",
        unique=True,
        sqlite_where=condition,
        postgresql_where=condition,
    )


class ExternalId(Base):
    """Name by which a user's imports know a task, a post or an item; it goes with the thing and the person.

    It belongs to a person, because two people who import from two systems must
    not meet each other's `1`. Exactly one of the three columns is set.
    """

    __tablename__ = "external_ids"
    __table_args__ = (_one_each("task_id"), _one_each("post_id"), _one_each("item_id"))

    user_id: Mapped[int] = mapped_column(BigId, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20), primary_key=True)
    external_id: Mapped[str] = mapped_column(String(EXTERNAL_ID_LENGTH), primary_key=True)
    task_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("tasks.id", ondelete="CASCADE"))
    post_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("posts.id", ondelete="CASCADE"))
    item_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("items.id", ondelete="CASCADE"))
