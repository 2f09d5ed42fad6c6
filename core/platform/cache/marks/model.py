"""The change mark, and what is marked."""

from enum import StrEnum

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from core.platform.database.base import Base


class Topic(StrEnum):
    """A table whose changes are marked by triggers (migrations 0006 and 0011)."""

    TASKS = "tasks"
    USERS = "users"
    POSTS = "posts"
    PROJECTS = "projects"
    PROJECT_MEMBERS = "project_members"
    ITEMS = "items"


class ChangeMark(Base):
    """A random value that every transaction which changes a table replaces.

    Random instead of counted, so that a value never comes back with other
    content: not after a rollback, and not after a backup was restored. A topic
    has several rows on PostgreSQL, where writers must not wait for each other.
    """

    __tablename__ = "change_marks"

    topic: Mapped[str] = mapped_column(String(40), primary_key=True)
    shard: Mapped[str] = mapped_column(String(36), primary_key=True)
    mark: Mapped[str] = mapped_column(String(60))
