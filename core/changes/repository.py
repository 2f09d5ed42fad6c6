"""Queries over change marks."""

import hashlib

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.changes.model import ChangeMark, Topic


class ChangeRepository:
    """Change marks in the database. Never commits; only triggers write them."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def stamp(self, *topics: Topic) -> str:
        """Return a value that differs whenever anything in these tables does."""
        query = select(ChangeMark.topic, ChangeMark.shard, ChangeMark.mark).where(ChangeMark.topic.in_(topics))
        marks = sorted("/".join(row) for row in self.session.execute(query))
        return hashlib.blake2b("\n".join(marks).encode(), digest_size=16).hexdigest()
