"""Queries over change marks."""

import hashlib
from collections.abc import Iterable

from sqlalchemy import ColumnElement, ScalarSelect, func, select
from sqlalchemy.orm import Session

from core.platform.cache.marks.model import ChangeMark, Topic

_LINE: ColumnElement[str] = ChangeMark.topic + "/" + ChangeMark.shard + "/" + ChangeMark.mark


class MarkRepository:
    """Change marks in the database. Never commits; only triggers write them."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def stamp(self, *topics: Topic) -> str:
        """Return a value that differs whenever anything in these tables does."""
        return digest(self.session.scalars(select(_LINE).where(ChangeMark.topic.in_(topics))))


def all_marks() -> ScalarSelect[str]:
    """Return a scalar query for all marks, one a line in any order; null without any."""
    return select(func.aggregate_strings(_LINE, "\n")).scalar_subquery()


def digest(marks: Iterable[str]) -> str:
    """Return one short value for these marks, whatever their order."""
    return hashlib.blake2b("\n".join(sorted(marks)).encode(), digest_size=16).hexdigest()
