"""Locking a user out: sessions and keys that end with a password, a deactivation or an account."""

from sqlalchemy.orm import Session

from core.auth.model import LoginSession
from core.auth.repository import KeyRepository, ResetRepository, SessionRepository
from core.platform import clock


def end_access(session: Session, *, user_id: int, except_session: str | None = None) -> None:
    """End the sessions, but for one, all API keys and all links for a new password, in the caller's transaction."""
    now = clock.now()
    conditions = [LoginSession.user_id == user_id]
    if except_session is not None:
        conditions.append(LoginSession.id != except_session)
    SessionRepository(session).revoke(now, *conditions)
    KeyRepository(session).revoke_all(user_id, now)
    ResetRepository(session).end_all(user_id, now)
