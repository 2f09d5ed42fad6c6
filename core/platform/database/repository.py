"""Repositories: the queries of a domain in one session."""

from typing import TypeVar

from sqlalchemy.orm import Session

from core.platform.database.base import Base

Stored = TypeVar("Stored", bound=Base)


class Repository:
    """Queries in the caller's transaction. Never commits and never authorises."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def add(self, row: Stored) -> Stored:
        """Insert a row, so that it has its number, and return it."""
        self.session.add(row)
        self.session.flush()
        return row

    def delete(self, row: Base) -> None:
        """Delete a row."""
        self.session.delete(row)
        self.session.flush()
