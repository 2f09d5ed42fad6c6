"""Logging in, staying logged in, logging out.

This module decides; it does not know how tokens are spelled. `api.http.door.tokens`
turns a `Grant` into JWTs.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

from sqlalchemy.orm import Session

from core.audit import service as audit
from core.audit.model import EventKind
from core.auth import lockout, revocation
from core.auth.model import LoginSession, RefreshToken
from core.auth.repository import Holder, SessionRepository, read_holder
from core.platform import clock, passwords
from core.platform.access import Actor, Role
from core.platform.cache.marks import service as marks
from core.platform.database.base import db
from core.platform.database.engine import current_reader
from core.platform.database.reader import Reader
from core.platform.database.repeats import repeated
from core.platform.database.session import transaction
from core.platform.errors import Invalid, InvalidToken, Unauthenticated
from core.platform.text import checks
from core.users.model import User
from core.users.repository import UserRepository

WRONG_CREDENTIALS = "The username or the password is wrong."
SESSION_ENDED = "This session has ended. Log in again."


@dataclass(frozen=True, slots=True)
class Grant:
    """Result of a login or a refresh: the ids that go into the two tokens."""

    user_id: int
    role: Role
    session_id: str
    refresh_jti: str


@repeated
def login(*, username: str, password: str, lifetime: timedelta, address: str, secret_keys: Sequence[str]) -> Grant:
    """Open a session for a username or an e-mail address; it ends after `lifetime` without a refresh.

    Raises Unauthenticated with the same words, in about the same time, whether
    the account is unknown or inactive or the password is wrong; and
    TooManyAttempts while the name is locked, whether or not it is an account's.
    """
    user = UserRepository(db.session()).find_by_login(username)
    lockout.require_unlocked(username, user, address, secret_keys=secret_keys)
    # Longer passwords than 128 characters cannot have been set; hashing them would only cost time.
    right = passwords.verify_password(user.password_hash if user else None, password[:129])
    if user is None or not right or not user.is_active:
        lockout.note_failure(username, user, secret_key=secret_keys[0])
        raise Unauthenticated(WRONG_CREDENTIALS)
    proven = user.password_hash
    stronger = passwords.hash_password(password) if passwords.needs_rehash(user.password_hash) else None
    with transaction() as session:
        current = UserRepository(session).find_for_update(user.id)
        # While the password was verified, it may have been changed or its owner locked out.
        if current is None or not current.is_active or not _still_proves(current, password, proven=proven):
            raise Unauthenticated(WRONG_CREDENTIALS)
        if stronger and current.password_hash == proven:
            current.password_hash = stronger
        lockout.note_success(session, current, address, secret_keys=secret_keys)
        audit.record(session, EventKind.LOGIN, user_id=user.id, actor_id=user.id)
        return open_session(session, current, lifetime=lifetime)


def _still_proves(current: User, password: str, *, proven: str) -> bool:
    """Return whether a password that was right for the hash `proven` is still the account's.

    Another hash need not be that of another password: a log-in beside this one may
    have replaced a hash that had become too weak.
    """
    return current.password_hash == proven or passwords.verify_password(current.password_hash, password[:129])


def open_session(session: Session, user: User, *, lifetime: timedelta) -> Grant:
    """Open a session for a user whose identity is proven, in the caller's transaction."""
    sessions = SessionRepository(session)
    row = LoginSession(id=secrets.token_hex(16), user_id=user.id, expires_at=clock.now() + lifetime)
    sessions.add(row)
    token = RefreshToken(jti=str(uuid4()), session_id=row.id, expires_at=row.expires_at)
    sessions.add(token)
    return Grant(user.id, user.role, row.id, token.jti)


def authenticate(*, session_id: str) -> Actor:
    """Return who holds the session. Raises InvalidToken if it has ended or the account is inactive.

    Asked for every request, so that a logout or a deactivation holds at once.
    """
    actor, noted = recognize(current_reader(), session_id=session_id)
    marks.note(db.session(), noted)
    return actor


def recognize(reader: Reader, *, session_id: str) -> tuple[Actor, str]:
    """Return who holds the session, and all change marks as they were then. Raises like `authenticate`."""
    holder = read_holder(reader, session_id)
    return _actor_of(holder, session_id), "" if holder is None else holder.marks or ""


def confirm(session: Session, *, session_id: str) -> Actor:
    """Return who holds the session, as a transaction sees it that has locked them. Raises like `authenticate`."""
    return _actor_of(SessionRepository(session).find_holder(session_id), session_id)


def _actor_of(holder: Holder | None, session_id: str) -> Actor:
    if holder is None or holder.revoked_at is not None or holder.expires_at <= clock.now() or not holder.is_active:
        raise InvalidToken(SESSION_ENDED)
    return Actor(holder.user_id, holder.role, session_id)


@repeated
def refresh(actor: Actor, *, jti: str, lifetime: timedelta) -> Grant:
    """Exchange a refresh token for a new one.

    A token that was used before means that it was stolen, by its first user or
    by its second; the whole session is revoked (RFC 9700, section 4.14.2).
    Raises InvalidToken.
    """
    session_id = actor.session_id or ""
    now = clock.now()
    replacement = RefreshToken(jti=str(uuid4()), session_id=session_id, expires_at=now + lifetime)
    with transaction() as session:
        sessions = SessionRepository(session)
        # The session before its token, as whatever ends sessions locks them.
        holder = sessions.find_for_update(session_id)
        is_first = holder is not None and sessions.use(jti, session_id, now)
        if holder is not None and is_first:
            sessions.add(replacement)
            holder.expires_at = replacement.expires_at
        else:
            sessions.revoke(now, LoginSession.id == session_id)
            audit.record(session, EventKind.TOKEN_REUSED, user_id=actor.user_id)
    if not is_first:
        raise InvalidToken("This refresh token was used before, so its session has been ended. Log in again.")
    return Grant(actor.user_id, actor.role, session_id, replacement.jti)


@repeated
def logout(actor: Actor) -> None:
    """End the actor's session: none of its tokens is accepted any more."""
    with transaction() as session:
        SessionRepository(session).revoke(clock.now(), LoginSession.id == actor.session_id)
        audit.record(session, EventKind.LOGOUT, user_id=actor.user_id, actor_id=actor.user_id)


@repeated
def logout_everywhere(actor: Actor) -> None:
    """End every session of the actor."""
    with transaction() as session:
        SessionRepository(session).revoke(clock.now(), LoginSession.user_id == actor.user_id)
        audit.record(session, EventKind.LOGOUT, user_id=actor.user_id, actor_id=actor.user_id, everywhere=True)


@repeated
def change_password(actor: Actor, *, old_password: str, new_password: str) -> None:
    """Set a new password and end all other sessions and all API keys.

    Raises Invalid if the old one is wrong or the new one weak.
    """
    checks.password(new_password, field="new_password")
    user = UserRepository(db.session()).find(actor.user_id)
    if user is None or not passwords.verify_password(user.password_hash, old_password[:129]):
        raise Invalid("The request has invalid fields.", details={"old_password": ["This is not your password."]})
    proven = user.password_hash
    new_hash = passwords.hash_password(new_password)
    with transaction() as session:
        locked = UserRepository(session).find_for_update(actor.user_id)
        if locked is None or not _still_proves(locked, old_password, proven=proven):
            raise InvalidToken(SESSION_ENDED)
        locked.password_hash = new_hash
        revocation.end_access(session, user_id=actor.user_id, except_session=actor.session_id)
        audit.record(session, EventKind.PASSWORD_CHANGED, user_id=actor.user_id, actor_id=actor.user_id)
