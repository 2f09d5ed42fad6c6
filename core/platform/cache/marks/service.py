"""Change marks: a quick comparison shows whether any table has changed that an answer depends on."""

from functools import lru_cache

from sqlalchemy.orm import Session

from core.platform.cache.marks.model import Topic
from core.platform.cache.marks.repository import MarkRepository, digest

_NOTED = "tasklane_marks"


def note(session: Session, marks: str | None) -> None:
    """Remember, for the rest of the running transaction, the value of `all_marks`."""
    session.info[_NOTED] = (session.get_transaction() or session.begin(), marks or "")


def stamp(session: Session, *topics: Topic) -> str:
    """Return a value that differs whenever anything in these tables does.

    Where the transaction began by noting all marks it asks nothing. What is read
    after the stamp may be newer than it, never older; so what is cached under a
    stamp that still holds is true.
    """
    transaction, marks = session.info.get(_NOTED, (None, ""))
    # Another transaction may come after a change by this very request.
    if transaction is None or transaction is not session.get_transaction():
        return MarkRepository(session).stamp(*topics)
    return stamp_of(marks, topics)


@lru_cache(maxsize=64)
def stamp_of(marks: str, topics: tuple[Topic, ...]) -> str:
    """Return the stamp of these tables under all marks of one moment."""
    return digest(line for line in marks.splitlines() if line.partition("/")[0] in topics)
