"""Queries over sessions, refresh tokens, links for new passwords and API keys."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, Select, bindparam, delete, func, or_, select, update

from core.auth.model import ApiKey, LoginSession, PasswordReset, RefreshToken
from core.platform.access import Role
from core.platform.cache.marks.repository import all_marks
from core.platform.database.reader import Reader
from core.platform.database.repository import Repository
from core.platform.database.statements import delete_some, find_locked, insert_if_absent
from core.users.model import User

# Made once, because every request asks one of them, and to make it takes as long as to ask it.
_HOLDER = (
    select(
        User.id,
        User.role,
        User.is_active,
        LoginSession.revoked_at,
        LoginSession.expires_at,
        all_marks().label("marks"),
    )
    .join(User, User.id == LoginSession.user_id)
    .where(LoginSession.id == bindparam("session_id", ""))
)
_KEY_HOLDER = (
    select(
        ApiKey.id,
        ApiKey.scopes,
        ApiKey.expires_at,
        ApiKey.revoked_at,
        ApiKey.last_used_at,
        ApiKey.key_hash,
        User.id.label("user_id"),
        User.role,
        User.is_active,
        all_marks().label("marks"),
    )
    .join(User, User.id == ApiKey.user_id)
    .where(ApiKey.key_hash.in_(bindparam("key_hashes", expanding=True)))
)


class Holder(NamedTuple):
    """The holder of a session, and all change marks of the same moment."""

    user_id: int
    role: Role
    is_active: bool
    revoked_at: datetime | None
    expires_at: datetime
    marks: str | None


def read_holder(reader: Reader, session_id: str) -> Holder | None:
    """Return who holds a session now, in one statement and outside of any transaction."""
    row = reader.first(_HOLDER, {"session_id": session_id})
    return None if row is None else Holder(*row)


class SessionRepository(Repository):
    """Sessions in the database."""

    def find_holder(self, session_id: str) -> Holder | None:
        """Return who holds the session, as the running transaction sees it."""
        row = self.session.execute(_HOLDER, {"session_id": session_id}).one_or_none()
        return None if row is None else Holder(*row)

    def find_for_update(self, session_id: str) -> LoginSession | None:
        return find_locked(self.session, LoginSession, session_id)

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

    def delete_ended(self, before: datetime, limit: int) -> int:
        """Delete sessions whose time was over before the moment; return how many."""
        return delete_some(self.session, LoginSession, LoginSession.expires_at < before, limit=limit)

    def delete_expired_tokens(self, before: datetime, limit: int) -> int:
        """Delete refresh tokens whose time was over before the moment: they are refused without their row."""
        return delete_some(self.session, RefreshToken, RefreshToken.expires_at < before, limit=limit)


class ResetRepository(Repository):
    """Links for new passwords in the database."""

    def add_link(self, *, token_hash: str, user_id: int, created_at: datetime, expires_at: datetime) -> None:
        """Add a link, unless it is there, used or not."""
        values = {"token_hash": token_hash, "user_id": user_id, "created_at": created_at, "expires_at": expires_at}
        insert_if_absent(self.session, PasswordReset, **values)

    def count_others(self, user_id: int, token_hash: str, now: datetime) -> int:
        """Return how many links of a user, but for this one, have time left, used or not."""
        query = select(func.count()).where(
            PasswordReset.user_id == user_id, PasswordReset.expires_at > now, PasswordReset.token_hash != token_hash
        )
        return self.session.scalar(query) or 0

    def find_user_id(self, token_hash: str, now: datetime) -> int | None:
        """Return whose link this is, if it still holds."""
        return self.session.scalar(select(PasswordReset.user_id).where(*_holds(token_hash, now)))

    def use(self, token_hash: str, now: datetime) -> bool:
        """Mark a link as used; return whether it still held (compare and set)."""
        statement = update(PasswordReset).where(*_holds(token_hash, now)).values(used_at=now)
        return bool(self.session.execute(statement).rowcount)  # type: ignore[attr-defined]

    def end_all(self, user_id: int, now: datetime) -> None:
        """End all links of a user."""
        is_open = (PasswordReset.user_id == user_id, PasswordReset.used_at.is_(None))
        self.session.execute(update(PasswordReset).where(*is_open).values(used_at=now))

    def delete_expired(self, before: datetime) -> None:
        self.session.execute(delete(PasswordReset).where(PasswordReset.expires_at < before))


def _holds(token_hash: str, now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (PasswordReset.token_hash == token_hash, PasswordReset.used_at.is_(None), PasswordReset.expires_at > now)


class KeyRepository(Repository):
    """API keys in the database."""

    def find(self, key_id: int) -> ApiKey | None:
        return self.session.get(ApiKey, key_id)

    def find_for_update(self, key_id: int) -> ApiKey | None:
        return find_locked(self.session, ApiKey, key_id)

    def select(self, *conditions: ColumnElement[bool]) -> Select[Any]:
        """Return a query for plain rows, without the hash."""
        columns = [column for column in ApiKey.__table__.columns if column.name != "key_hash"]
        return select(*columns).where(*conditions)

    def find_holder(self, *key_hashes: str) -> Row[*tuple[Any, ...]] | None:
        """Return whose key this is, what it may do, whether it still counts, and all change marks, in one statement."""
        return self.session.execute(_KEY_HOLDER, {"key_hashes": key_hashes}).one_or_none()

    def replace_hash(self, key_id: int, old: str, new: str) -> None:
        statement = update(ApiKey).where(ApiKey.id == key_id, ApiKey.key_hash == old).values(key_hash=new)
        self.session.execute(statement, execution_options={"synchronize_session": False})

    def note_use(self, key_id: int, now: datetime, *, unless_after: datetime) -> None:
        """Record the use of a key, unless another request has just recorded one."""
        is_due = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at <= unless_after)
        statement = update(ApiKey).where(ApiKey.id == key_id, is_due).values(last_used_at=now)
        self.session.execute(statement, execution_options={"synchronize_session": False})

    def revoke_all(self, user_id: int, now: datetime) -> None:
        """End all keys of a user that have not ended yet."""
        statement = update(ApiKey).where(ApiKey.user_id == user_id, ApiKey.revoked_at.is_(None)).values(revoked_at=now)
        self.session.execute(statement)
