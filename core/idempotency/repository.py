"""Queries over stored answers."""

from datetime import datetime
from typing import Any

from sqlalchemy import and_, delete, or_, select, update

from core.idempotency.model import StoredAnswer
from core.platform.database.repository import Repository
from core.platform.database.session import lock_patience
from core.platform.database.statements import delete_some, insert_if_absent

# Seconds; beyond it the first request is said to be still running.
LONGEST_WAIT = 10


class StoredAnswerRepository(Repository):
    """Stored answers of repeatable requests."""

    def find(self, identity: str) -> StoredAnswer | None:
        query = select(StoredAnswer).where(StoredAnswer.identity == identity)
        return self.session.scalar(query, execution_options={"populate_existing": True})

    def claim(self, **values: Any) -> bool:
        """Insert a row; return False if there is one, after waiting a little for whoever is inserting it."""
        with lock_patience(self.session, LONGEST_WAIT):
            return insert_if_absent(self.session, StoredAnswer, **values)

    def complete(self, identity: str, answer: bytes) -> None:
        self.session.execute(update(StoredAnswer).where(StoredAnswer.identity == identity).values(answer=answer))

    def make_way(self, identity: str, now: datetime, *, claimed_before: datetime) -> None:
        """Delete a row that no longer counts: its time is over, or no process works on its request any more."""
        abandoned = and_(StoredAnswer.answer.is_(None), StoredAnswer.created_at < claimed_before)
        over = or_(StoredAnswer.expires_at <= now, abandoned)
        self.session.execute(delete(StoredAnswer).where(StoredAnswer.identity == identity, over))

    def give_up(self, identity: str) -> None:
        """Delete a row that has no answer."""
        self.session.execute(
            delete(StoredAnswer).where(StoredAnswer.identity == identity, StoredAnswer.answer.is_(None))
        )

    def delete_expired(self, now: datetime, limit: int) -> int:
        """Delete answers whose time is over; return how many."""
        return delete_some(self.session, StoredAnswer, StoredAnswer.expires_at <= now, limit=limit)
