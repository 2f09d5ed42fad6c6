"""Causes of a database's refusal, and the check that its file is still where it was."""

import errno
import re
import sqlite3
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.exc import (
    DBAPIError,
    DisconnectionError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout


class Trouble(StrEnum):
    """Cause that keeps a database from doing its work."""

    LOCKED = "locked"
    FULL = "full"
    READ_ONLY = "read_only"
    FAILING = "failing"
    NO_CONNECTIONS = "no_connections"


# https://www.postgresql.org/docs/current/errcodes-appendix.html
_POSTGRESQL = {
    "55P03": Trouble.LOCKED,
    "40P01": Trouble.LOCKED,
    "53100": Trouble.FULL,
    "25006": Trouble.READ_ONLY,
    "53300": Trouble.NO_CONNECTIONS,
}
# Who is not let in gets a sentence of the server only, because libpq keeps its code for itself. The last are poolers'.
_NOT_LET_IN = re.compile(
    r"too many clients already|too many connections|remaining connection slots|53300"
    r"|no more connections allowed|max_client_conn|max clients reached"
)
# Without migrations there is no table, or an index that SQLite is told to use is missing; and some tables may be
# another program's. None of it is a statement's fault.
_OF_THE_INSTALLATION = ("42P01", "42501")
_NOT_THERE = re.compile(r"no such (table|index)")
# What a server says of itself that stops, starts or crashed because of another client: 57P01 to 57P03.
_STOPPING = "57P"
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_SQLITE = {
    sqlite3.SQLITE_BUSY: Trouble.LOCKED,
    sqlite3.SQLITE_LOCKED: Trouble.LOCKED,
    sqlite3.SQLITE_FULL: Trouble.FULL,
    sqlite3.SQLITE_READONLY: Trouble.READ_ONLY,
    # Also what a quota or a limit of the size of files refuses.
    sqlite3.SQLITE_IOERR: Trouble.FAILING,
}


def trouble_of(error: BaseException) -> Trouble | None:
    """Return what an error of the driver says of the database, or None if it says nothing of this sort."""
    cause = getattr(error, "orig", error)
    code = getattr(cause, "sqlite_errorcode", None)
    if code is not None:
        return _SQLITE.get(code & 0xFF)  # The rest of an extended code says more than is asked.
    state = getattr(cause, "sqlstate", None)
    if state is None and _is_about_connecting(error) and _NOT_LET_IN.search(str(cause)):
        return Trouble.NO_CONNECTIONS
    return _POSTGRESQL.get(state or "")


def _is_about_connecting(error: BaseException) -> bool:
    return not isinstance(error, DBAPIError) or error.statement is None


def is_mistake(error: BaseException) -> bool:
    """Return whether an error is a mistake of the code, which must not be answered as an outage."""
    if isinstance(error, ProgrammingError):
        return getattr(error.orig, "sqlstate", None) not in _OF_THE_INSTALLATION
    cause = getattr(error, "orig", error)
    if isinstance(cause, sqlite3.InterfaceError | sqlite3.ProgrammingError):
        return True
    # SQLite has one name for all that is wrong with a statement.
    is_nameless = getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR
    return is_nameless and not _NOT_THERE.search(str(cause))


def is_away(error: BaseException) -> bool:
    """Return whether the server cannot be asked at all: it is gone, stops, starts, or takes no connection."""
    if trouble_of(error) is Trouble.NO_CONNECTIONS:
        return True
    if not isinstance(error, DBAPIError) or is_mistake(error):
        return False
    state = getattr(error.orig, "sqlstate", None) or ""
    is_operational = isinstance(error, OperationalError | InterfaceError)
    return error.connection_invalidated or state.startswith(_STOPPING) or (is_operational and error.statement is None)


# Serialization failure and deadlock; on SQLite, what was read is no longer what is there.
_LOST = ("40001", "40P01")
_SQLITE_LOST = sqlite3.SQLITE_BUSY_SNAPSHOT


def asks_for_repetition(error: BaseException) -> bool:
    """Return whether the database has undone a transaction in favour of another, so that it has to be begun again."""
    cause = getattr(error, "orig", error)
    return getattr(cause, "sqlstate", None) in _LOST or getattr(cause, "sqlite_errorcode", None) == _SQLITE_LOST


def is_outage(error: BaseException) -> bool:
    """Return whether an error is of the database, or of the disk, which passes, and not of the statement."""
    if isinstance(error, OSError):
        return error.errno in _NO_ROOM
    if isinstance(error, PoolTimeout):
        return True
    if is_mistake(error):
        return False
    if isinstance(error, OperationalError | InterfaceError | ProgrammingError):
        return True
    # A server that has become a stand-by, and a connection that broke in the middle, have other names.
    return isinstance(error, DBAPIError) and (error.connection_invalidated or trouble_of(error) is not None)


def locked() -> OperationalError:
    """Return the error that SQLite raises when another connection writes for too long."""
    cause = sqlite3.OperationalError("database is locked")
    cause.sqlite_errorcode = sqlite3.SQLITE_BUSY
    return OperationalError("BEGIN IMMEDIATE", None, cause)


def guard_file(engine: Engine, path: Path) -> None:
    """Refuse to work on an SQLite file that has been moved, deleted or replaced since it was opened.

    An open connection would not notice, and what it stores would be gone with the
    file; a new one would make an empty database.
    """
    known: set[tuple[int, int]] = set()

    @event.listens_for(engine, "do_connect")
    def require_file(dialect: Any, record: Any, arguments: Any, options: Any) -> None:
        if known and not path.exists():
            raise sqlite3.OperationalError("The database file is gone.")

    @event.listens_for(engine, "connect")
    def remember(connection: Any, record: Any) -> None:
        record.info["file"] = identity_of(path)
        known.add(record.info["file"])

    @event.listens_for(engine, "checkout")
    def require_same_file(connection: Any, record: Any, proxy: Any) -> None:
        if record.info["file"] != identity_of(path):
            raise DisconnectionError("The database file is another one, or gone.")


def identity_of(path: Path) -> tuple[int, int]:
    """Return which file a path leads to now, zeros if none."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_dev, status.st_ino
