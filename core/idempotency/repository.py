"""Queries over stored answers."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, or_, select, tuple_, update
from sqlalchemy.orm import Session

from core.idempotency.model import StoredAnswer
from core.platform.database.session import lock_patience
from core.platform.database.statements import insert_if_absent

# Seconds; beyond it the first request is said to be still running.
LONGEST_WAIT = 10


class StoredAnswerRepository:
    """Stored answers of repeatable requests. Never commits and never authorises."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def find(self, caller: str, identity: str, key_hashes: Collection[str]) -> StoredAnswer | None:
        """Return the row of a key, by which of its names ever."""
        query = select(StoredAnswer).where(_names(caller, identity, key_hashes)).limit(1)
        return self.session.scalar(query, execution_options={"populate_existing": True})

    def claim(self, **values: Any) -> bool:
        """Insert a row; return False if there is one, after waiting a little for whoever is inserting it."""
        with lock_patience(self.session, LONGEST_WAIT):
            return insert_if_absent(self.session, StoredAnswer, **values)

    def complete(self, caller: str, key_hash: str, answer: bytes) -> None:
        self.session.execute(update(StoredAnswer).where(*_is(caller, key_hash)).values(answer=answer))

    def make_way(
        self, caller: str, identity: str, key_hashes: Collection[str], now: datetime, *, claimed_before: datetime
    ) -> None:
        """Delete a row that no longer counts: its time is over, or no process works on its request any more."""
        abandoned = and_(StoredAnswer.answer.is_(None), StoredAnswer.created_at < claimed_before)
        over = or_(StoredAnswer.expires_at <= now, abandoned)
        condition = and_(_names(caller, identity, key_hashes), over)
        self.session.execute(delete(StoredAnswer).where(condition))

    def give_up(self, caller: str, key_hash: str) -> None:
        """Delete a row that has no answer."""
        self.session.execute(delete(StoredAnswer).where(*_is(caller, key_hash), StoredAnswer.answer.is_(None)))

    def list_expired(self, now: datetime, limit: int) -> list[tuple[str, str]]:
        query = select(StoredAnswer.caller, StoredAnswer.key_hash).where(StoredAnswer.expires_at <= now).limit(limit)
        return [(row[0], row[1]) for row in self.session.execute(query)]

    def delete_all(self, keys: Collection[tuple[str, str]]) -> None:
        self.session.execute(delete(StoredAnswer).where(tuple_(StoredAnswer.caller, StoredAnswer.key_hash).in_(keys)))


def _names(caller: str, identity: str, key_hashes: Collection[str]) -> ColumnElement[bool]:
    of_hash = and_(StoredAnswer.caller == caller, StoredAnswer.key_hash.in_(key_hashes))
    return or_(StoredAnswer.identity == identity, of_hash)


def _is(caller: str, key_hash: str) -> tuple[Any, Any]:
    return StoredAnswer.caller == caller, StoredAnswer.key_hash == key_hash
