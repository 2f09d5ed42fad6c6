"""The security event."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from core.platform import clock
from core.platform.database.base import Base
from core.platform.database.types import BigId, enum_type


class EventKind(StrEnum):
    LOGIN = "login"
    LOGIN_REFUSED = "login_refused"
    LOCKED_OUT = "locked_out"
    TOKEN_REUSED = "token_reused"  # noqa: S105 - the name of an event
    LOGOUT = "logout"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - the name of an event
    PASSWORD_FORGOTTEN = "password_forgotten"  # noqa: S105 - the name of an event
    RESET_LINK_MADE = "reset_link_made"
    PASSWORD_RESET = "password_reset"  # noqa: S105 - the name of an event
    KEY_CREATED = "key_created"
    KEY_USED = "key_used"
    KEY_REVOKED = "key_revoked"
    ACCOUNT_CREATED = "account_created"
    ACCOUNT_CHANGED = "account_changed"
    ACCOUNT_DELETED = "account_deleted"
    FORBIDDEN = "forbidden"


class SecurityEvent(Base):
    """One thing that happened to an account. Holds no secrets, and outlives the account.

    `actor_id` is the account that did it, None for an unverified caller or an operator on the
    server; `user_id` is whose account it is about. Neither is a foreign key,
    because what happened does not change when the account is deleted.
    """

    __tablename__ = "security_events"
    __table_args__ = (
        Index("ix_security_events_at_id", "at", "id"),
        Index("ix_security_events_user_id_at_id", "user_id", "at", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    at: Mapped[datetime] = mapped_column(default=clock.now)
    kind: Mapped[EventKind] = mapped_column(enum_type(EventKind, "kind"))
    user_id: Mapped[int | None] = mapped_column(BigId)
    actor_id: Mapped[int | None] = mapped_column(BigId)
    address: Mapped[str | None] = mapped_column(String(64))
    request_id: Mapped[str | None] = mapped_column(String(128))
    detail: Mapped[dict[str, Any]] = mapped_column(JSON)


class LoginFailures(Base):
    """Count of wrong passwords in a row for one login name, whether or not there is such an account.

    `name_hash` is an HMAC of the name: people type passwords into the wrong field.
    """

    __tablename__ = "login_failures"
    __table_args__ = (Index("ix_login_failures_last_at", "last_at"),)

    name_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    count: Mapped[int]
    last_at: Mapped[datetime]
    locked_until: Mapped[datetime | None]


class KnownAddress(Base):
    """Address from which a user has logged in; a lock does not hold there. Stored as an HMAC."""

    __tablename__ = "known_addresses"
    __table_args__ = (Index("ix_known_addresses_last_at", "last_at"),)

    user_id: Mapped[int] = mapped_column(BigId, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    address_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    last_at: Mapped[datetime]


class KnownSecret(Base):
    """A secret of the installation that was accepted, by a digest. `is_kept`: as a former one, when last seen."""

    __tablename__ = "known_secrets"

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    last_at: Mapped[datetime]
    is_kept: Mapped[bool]
