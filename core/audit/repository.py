"""Queries over security events and what locks accounts."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, func, select, update

from core.audit.model import KnownAddress, LoginFailures, SecurityEvent
from core.platform.database.repository import Repository
from core.platform.database.statements import insert_if_absent


class AuditRepository(Repository):
    """Security events in the database."""

    def select(self, *conditions: ColumnElement[bool]) -> Select[Any]:
        return select(*SecurityEvent.__table__.columns).where(*conditions)

    def locked_until(self, *name_hashes: str) -> datetime | None:
        query = select(func.max(LoginFailures.locked_until)).where(LoginFailures.name_hash.in_(name_hashes))
        return self.session.scalar(query)

    def count_failure(self, name_hash: str, now: datetime, *, forgotten_before: datetime) -> int:
        """Count one more wrong password in a row and return how many that are; old ones do not count."""
        insert_if_absent(self.session, LoginFailures, name_hash=name_hash, count=0, last_at=now)
        is_this = LoginFailures.name_hash == name_hash
        old = update(LoginFailures).where(is_this, LoginFailures.last_at < forgotten_before).values(count=0)
        self.session.execute(old, execution_options=_BULK)
        one_more = update(LoginFailures).where(is_this).values(count=LoginFailures.count + 1, last_at=now)
        self.session.execute(one_more, execution_options=_BULK)
        return self.session.scalar(select(LoginFailures.count).where(is_this)) or 0

    def lock(self, name_hash: str, until: datetime) -> None:
        statement = update(LoginFailures).where(LoginFailures.name_hash == name_hash).values(locked_until=until)
        self.session.execute(statement, execution_options=_BULK)

    def forgive(self, *name_hashes: str) -> None:
        self.session.execute(delete(LoginFailures).where(LoginFailures.name_hash.in_(name_hashes)))

    def is_known(self, user_id: int, *address_hashes: str) -> bool:
        of_address = KnownAddress.address_hash.in_(address_hashes)
        query = select(func.count()).where(KnownAddress.user_id == user_id, of_address)
        return bool(self.session.scalar(query))

    def know(self, user_id: int, address_hash: str, now: datetime) -> None:
        """Remember that the user has logged in from the address."""
        if insert_if_absent(self.session, KnownAddress, user_id=user_id, address_hash=address_hash, last_at=now):
            return
        is_this = (KnownAddress.user_id == user_id, KnownAddress.address_hash == address_hash)
        self.session.execute(update(KnownAddress).where(*is_this).values(last_at=now), execution_options=_BULK)

    def forget_before(self, *, events: datetime, failures: datetime, addresses: datetime) -> int:
        """Delete what is older; return how many events that were."""
        self.session.execute(delete(LoginFailures).where(LoginFailures.last_at < failures))
        self.session.execute(delete(KnownAddress).where(KnownAddress.last_at < addresses))
        deleted = self.session.execute(delete(SecurityEvent).where(SecurityEvent.at < events))
        return int(deleted.rowcount)  # type: ignore[attr-defined]


# Nothing of these rows is kept in the session.
_BULK = {"synchronize_session": False}
