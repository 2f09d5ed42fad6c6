"""The user."""

from datetime import datetime

from sqlalchemy import Index, String, func
from sqlalchemy.orm import Mapped, mapped_column, validates

from core.platform import clock
from core.platform.access import Role
from core.platform.database.base import Base
from core.platform.database.types import BigId, as_created, enum_type
from core.platform.text import checks


def name_of_person(value: str) -> str:
    """Return a name as it is kept; raise Invalid for one that cannot be used."""
    return checks.line("name", value, shortest=2, longest=80)


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

    @validates("username")
    def _valid_username(self, key: str, value: str) -> str:
        return checks.username(value)

    @validates("email")
    def _valid_email(self, key: str, value: str) -> str:
        return checks.email(value)

    @validates("name")
    def _valid_name(self, key: str, value: str | None) -> str | None:
        return None if value is None else name_of_person(value)

    @validates("time_zone")
    def _valid_time_zone(self, key: str, value: str) -> str:
        return checks.time_zone("time_zone", value)


# Unique without regard to case; both columns are ASCII where case matters, so
# lower() means the same on every engine.
Index("uq_users_username", func.lower(User.username), unique=True)
Index("uq_users_email", func.lower(User.email), unique=True)
