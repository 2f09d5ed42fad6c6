"""The one way to write, and the ways to read.

A service wraps every change in `transaction()`. Reads use `db.session`
directly; what a request has read before it writes is ended first, because
SQLite cannot turn a read transaction into a write transaction safely.
"""

import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session

from core.platform.database.base import db
from core.platform.database.engine import DEADLINE, LOCK_SECONDS, WRITING
from core.platform.database.trouble import Trouble, asks_for_repetition, trouble_of
from core.platform.database.violations import conflict_of
from core.platform.database.writer_turns import turn

# What is to be called after the commit of a session's transaction.
AFTER = "tasklane_after"


@event.listens_for(Session, "before_flush")
def _refuse_stray_writes(session: Session, context: Any, instances: Any) -> None:
    if not session.info.get(WRITING):
        raise RuntimeError("A change outside transaction() would not be committed.")


def after_commit(session: Session, call: Callable[[], None]) -> None:
    """Call something, once, when the transaction that runs is committed and holds nothing any more.

    It may be lost, with the process; and it must not fail, because the caller's work is done.
    """
    session.info.setdefault(AFTER, {})[call] = None


@contextmanager
def transaction(*, patience: float | None = None) -> Iterator[Session]:
    """Run one write transaction: all of it is stored, or nothing.

    A service called inside another's transaction joins it. Raises Conflict,
    naming the field, when a unique constraint refuses the change, and
    OperationalError when something is locked for more than `patience` seconds, or
    LOCK_SECONDS.
    """
    session: Session = db.session()
    if session.info.get(WRITING):
        yield session
        session.flush()  # What the caller has done shows its faults, and its numbers, where a commit would.
        return
    if session.in_transaction():
        session.commit()  # Ends the reading so far; nothing can be pending.
    is_sqlite = db.engine.dialect.name == "sqlite"
    deadline = time.monotonic() + (LOCK_SECONDS if patience is None else patience)
    calls: Iterable[Callable[[], None]] = ()
    with turn(deadline) if is_sqlite else nullcontext():
        session.info[WRITING] = True
        try:
            session.connection(execution_options={WRITING: True, DEADLINE: deadline})
            if patience is not None and not is_sqlite:
                set_lock_timeout(session, patience)
            yield session
            session.commit()
            calls = session.info.get(AFTER, ())
        except IntegrityError as error:
            session.rollback()
            conflict = conflict_of(error)
            if conflict is None:
                raise
            raise conflict from error
        except Exception:
            session.rollback()
            raise
        except BaseException as interruption:
            session.rollback()
            # SQLite keeps the write lock for as long as the traceback keeps the interrupted statement.
            traceback.clear_frames(interruption.__traceback__)
            raise
        finally:
            session.info.pop(WRITING, None)
            session.info.pop(AFTER, None)
    for call in calls:
        call()


def for_writing(connection: Connection, *, patience: float) -> Connection:
    """Return a connection whose transactions on SQLite wait for their turn to write when they begin.

    They wait for so many seconds from now.
    """
    return connection.execution_options(**{WRITING: True, DEADLINE: time.monotonic() + patience})


def is_writing() -> bool:
    """Return whether this thread is inside `transaction()`."""
    return bool(db.session().info.get(WRITING))


def hurry(session: Session, seconds: float) -> None:
    """Begin to read, and wait no longer than this for locks, until the reading ends."""
    session.connection(execution_options={DEADLINE: time.monotonic() + seconds})
    if db.engine.dialect.name != "sqlite":
        set_lock_timeout(session, seconds)


def set_lock_timeout(session: Session, seconds: float) -> None:
    """Wait no longer than this for each lock of PostgreSQL, until the transaction ends."""
    session.execute(text(f"SET LOCAL lock_timeout = {int(seconds * 1000)}"))


class LockedTooLong(Exception):
    """Another transaction holds a lock that this one needs, for longer than it wants to wait."""


@contextmanager
def lock_patience(session: Session, seconds: int) -> Iterator[None]:
    """Wait no longer than this for locks. Raises LockedTooLong. On SQLite, who writes holds every lock there is."""
    if session.get_bind().dialect.name == "sqlite":
        yield
        return
    set_lock_timeout(session, seconds)
    try:
        yield
    except OperationalError as error:
        if trouble_of(error) is Trouble.LOCKED and not asks_for_repetition(error):
            raise LockedTooLong from error
        raise
    set_lock_timeout(session, LOCK_SECONDS)


@contextmanager
def snapshot() -> Iterator[Session]:
    """Read one state of the whole database, whatever others commit meanwhile.

    Ends the reading so far, so what was read before may be of an earlier state.
    """
    session: Session = db.session()
    if session.info.get(WRITING):
        # What it saw could be cached under a change mark that more changes follow.
        raise RuntimeError("A transaction that writes has no snapshot.")
    if session.in_transaction():
        session.commit()
    if db.engine.dialect.name != "sqlite":  # SQLite knows no other way to read.
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
    try:
        yield session
    except BaseException:
        session.rollback()
        raise
    session.commit()


@contextmanager
def streaming() -> Iterator[Connection]:
    """Read one state of the whole database row by row, on a connection beside the session, which goes on meanwhile.

    Results come in parts as they are asked for, so their size does not matter.
    """
    options: dict[str, Any] = {"stream_results": True}
    if db.engine.dialect.name != "sqlite":  # SQLite knows no other way to read.
        options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with db.engine.connect() as connection:
        yield connection.execution_options(**options)
