"""The user."""

from datetime import datetime

from sqlalchemy import Index, String, func
from sqlalchemy.orm import Mapped, mapped_column

from core.platform import clock
from core.platform.access import Role
from core.platform.database.base import Base
from core.platform.database.declared import checking
from core.platform.database.types import BigId, as_created, enum_type
from core.users.fields import FIELDS


class User(Base):
    """A person with an account."""

    __tablename__ = "users"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    username: Mapped[str] = mapped_column(String(80))
    email: Mapped[str] = mapped_column(String(120))
    name: Mapped[str | None] = mapped_column(String(80))
    password_hash: Mapped[str] = mapped_column(String(255))
    role: Mapped[Role] = mapped_column(
        enum_type(Role, "role"),
        default=Role.USER,
    )
    is_active: Mapped[bool] = mapped_column(default=True)
    # In which their days begin and end: a name of the IANA database.
    time_zone: Mapped[str] = mapped_column(String(64), default="UTC", server_default="UTC")
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    updated_at: Mapped[datetime] = mapped_column(default=as_created, onupdate=clock.now)

    _valid = checking(FIELDS)


# Unique without regard to case; both columns are ASCII where case matters, so
# lower() means the same on every engine.
Index("uq_users_username", func.lower(User.username), unique=True)
Index("uq_users_email", func.lower(User.email), unique=True)
