"""The project and its members."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from core.platform import clock
from core.platform.database.base import Base
from core.platform.database.declared import checking
from core.platform.database.types import BigId, as_created, enum_type
from core.projects.fields import FIELDS


class ProjectRole(StrEnum):
    """Role of a member; each one includes the rights of those before it."""

    VIEWER = "viewer"
    EDITOR = "editor"
    OWNER = "owner"


class Project(Base):
    """A team's tasks under one key."""

    __tablename__ = "projects"
    __table_args__ = (
        Index("uq_projects_key", "key", unique=True),
        Index("ix_projects_created_at_id", "created_at", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    key: Mapped[str] = mapped_column(String(10))
    name: Mapped[str] = mapped_column(String(120))
    description: Mapped[str | None] = mapped_column(Text)
    archived: Mapped[bool] = mapped_column(default=False)
    version: Mapped[int] = mapped_column(BigId, default=1)
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    updated_at: Mapped[datetime] = mapped_column(default=as_created, onupdate=clock.now)

    __mapper_args__ = {"version_id_col": version}

    _valid = checking(FIELDS)


class ProjectMember(Base):
    """Role of a user in a project."""

    __tablename__ = "project_members"
    __table_args__ = (
        # From a person to their projects, with the role, without touching the table.
        Index("ix_project_members_user_id_project_id_role", "user_id", "project_id", "role"),
    )

    project_id: Mapped[int] = mapped_column(BigId, ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[int] = mapped_column(BigId, ForeignKey("users.id"), primary_key=True)
    role: Mapped[ProjectRole] = mapped_column(enum_type(ProjectRole, "role"))
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
