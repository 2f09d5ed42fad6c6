"""Queries over sessions and refresh tokens."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.orm import Session

from core.access import Role
from core.auth.model import LoginSession, RefreshToken
from core.users.model import User


class SessionRepository:
    """Sessions in the database. Never commits and never authorises."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def add(self, row: LoginSession | RefreshToken) -> None:
        self.session.add(row)
        self.session.flush()

    def find_holder(self, session_id: str) -> Row[int, Role, bool, datetime | None, datetime] | None:
        """Return who holds the session and whether it still counts, in one statement."""
        query = (
            select(User.id, User.role, User.is_active, LoginSession.revoked_at, LoginSession.expires_at)
            .join(User, User.id == LoginSession.user_id)
            .where(LoginSession.id == session_id)
        )
        return self.session.execute(query).one_or_none()

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
