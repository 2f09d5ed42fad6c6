"""Telling whether anything has changed that somebody depends on."""

from sqlalchemy import ScalarSelect
from sqlalchemy.orm import Session

from core.changes.model import Topic
from core.changes.repository import ChangeRepository, all_marks, digest

_NOTED = "tasklane_marks"


def marks_column() -> ScalarSelect[str]:
    """Return all marks as one more column of a query that is asked anyway."""
    return all_marks()


def note(session: Session, marks: str | None) -> None:
    """Remember, for the rest of the transaction that has read it, the value of `marks_column`."""
    session.info[_NOTED] = (session.get_transaction(), marks or "")


def stamp(session: Session, *topics: Topic) -> str:
    """Return a value that differs whenever anything in these tables does.

    It is from the beginning of the transaction if that noted all marks. What is
    read later in it may be newer than the stamp, never older.
    """
    transaction, marks = session.info.get(_NOTED, (None, ""))
    if transaction is None or transaction is not session.get_transaction():
        return ChangeRepository(session).stamp(*topics)
    return digest(line for line in marks.splitlines() if line.partition("/")[0] in topics)
