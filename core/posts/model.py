"""The post."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from core.platform import clock
from core.platform.database.base import Base
from core.platform.database.declared import checking
from core.platform.database.types import BigId, as_created
from core.posts.fields import FIELDS

# The index that leads to the posts about a task, and to those about none.
BY_TASK = "ix_posts_task_id_created_at_id"


class Post(Base):
    """An update, optionally about a task, with which it goes."""

    __tablename__ = "posts"
    __table_args__ = (
        Index("ix_posts_created_at_id", "created_at", "id"),
        Index("ix_posts_user_id_created_at_id", "user_id", "created_at", "id"),
        Index(BY_TASK, "task_id", "created_at", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    title: Mapped[str] = mapped_column(String(200))
    content: Mapped[str] = mapped_column(Text)
    user_id: Mapped[int] = mapped_column(BigId, ForeignKey("users.id"))
    task_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("tasks.id", ondelete="CASCADE"))
    version: Mapped[int] = mapped_column(BigId, default=1)
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    updated_at: Mapped[datetime] = mapped_column(default=as_created, onupdate=clock.now)

    __mapper_args__ = {"version_id_col": version}

    _valid = checking(FIELDS)
