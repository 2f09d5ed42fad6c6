"""Queries over sessions, refresh tokens and API keys."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, bindparam, delete, or_, select, update
from sqlalchemy.orm import Session

from core.auth.model import ApiKey, LoginSession, RefreshToken
from core.changes import service as changes
from core.db import find_locked
from core.users.model import User

# Made once, because every request asks one of them, and to make it takes as long as to ask it.
_HOLDER = (
    select(
        User.id,
        User.role,
        User.is_active,
        LoginSession.revoked_at,
        LoginSession.expires_at,
        changes.marks_column().label("marks"),
    )
    .join(User, User.id == LoginSession.user_id)
    .where(LoginSession.id == bindparam("session_id"))
)
_KEY_HOLDER = (
    select(
        ApiKey.id,
        ApiKey.scopes,
        ApiKey.expires_at,
        ApiKey.revoked_at,
        ApiKey.last_used_at,
        User.id.label("user_id"),
        User.role,
        User.is_active,
        changes.marks_column().label("marks"),
    )
    .join(User, User.id == ApiKey.user_id)
    .where(ApiKey.key_hash == bindparam("key_hash"))
)


class SessionRepository:
    """Sessions in the database. Never commits and never authorises."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def add(self, row: LoginSession | RefreshToken) -> None:
        self.session.add(row)
        self.session.flush()

    def find_holder(self, session_id: str) -> Row[*tuple[Any, ...]] | None:
        """Return who holds the session, whether it still counts, and all change marks, in one statement."""
        return self.session.execute(_HOLDER, {"session_id": session_id}).one_or_none()

    def use(self, jti: str, session_id: str, now: datetime) -> bool:
        """Mark a refresh token as used; return whether this caller was the first (compare and set)."""
        statement = (
            update(RefreshToken)
            .where(RefreshToken.jti == jti, RefreshToken.session_id == session_id, RefreshToken.used_at.is_(None))
            .values(used_at=now)
        )
        return bool(self.session.execute(statement).rowcount)  # type: ignore[attr-defined]

    def revoke(self, now: datetime, *conditions: Any) -> None:
        """End all sessions that match and have not ended yet."""
        statement = update(LoginSession).where(LoginSession.revoked_at.is_(None), *conditions).values(revoked_at=now)
        self.session.execute(statement)

    def list_ended(self, before: datetime, limit: int) -> list[str]:
        """Return sessions whose time was over before the moment."""
        return list(self.session.scalars(select(LoginSession.id).where(LoginSession.expires_at < before).limit(limit)))

    def delete_sessions(self, session_ids: Collection[str]) -> None:
        self.session.execute(delete(LoginSession).where(LoginSession.id.in_(session_ids)))

    def list_expired_tokens(self, before: datetime, limit: int) -> list[str]:
        """Return refresh tokens whose time was over before the moment: they are refused without their row."""
        return list(self.session.scalars(select(RefreshToken.jti).where(RefreshToken.expires_at < before).limit(limit)))

    def delete_tokens(self, jtis: Collection[str]) -> None:
        self.session.execute(delete(RefreshToken).where(RefreshToken.jti.in_(jtis)))


class KeyRepository:
    """API keys in the database. Never commits and never authorises."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def add(self, key: ApiKey) -> ApiKey:
        self.session.add(key)
        self.session.flush()
        return key

    def find(self, key_id: int) -> ApiKey | None:
        return self.session.get(ApiKey, key_id)

    def find_for_update(self, key_id: int) -> ApiKey | None:
        return find_locked(self.session, ApiKey, key_id)

    def select(self, *conditions: ColumnElement[bool]) -> Select[Any]:
        """Return a query for plain rows, without the hash."""
        columns = [column for column in ApiKey.__table__.columns if column.name != "key_hash"]
        return select(*columns).where(*conditions)

    def find_holder(self, key_hash: str) -> Row[*tuple[Any, ...]] | None:
        """Return whose key this is, what it may do, whether it still counts, and all change marks, in one statement."""
        return self.session.execute(_KEY_HOLDER, {"key_hash": key_hash}).one_or_none()

    def note_use(self, key_id: int, now: datetime, *, unless_after: datetime) -> None:
        """Record the use of a key, unless somebody has just recorded another."""
        is_due = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at <= unless_after)
        statement = update(ApiKey).where(ApiKey.id == key_id, is_due).values(last_used_at=now)
        self.session.execute(statement, execution_options={"synchronize_session": False})

    def revoke_all(self, user_id: int, now: datetime) -> None:
        """End all keys of a user that have not ended yet."""
        statement = update(ApiKey).where(ApiKey.user_id == user_id, ApiKey.revoked_at.is_(None)).values(revoked_at=now)
        self.session.execute(statement)
