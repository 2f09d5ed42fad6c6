"""What is wrong with a database that refuses, and a file that is no longer where it was."""

import sqlite3
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError, OperationalError


class Trouble(StrEnum):
    """What keeps a database that can be read from being written."""

    LOCKED = "locked"
    FULL = "full"
    READ_ONLY = "read_only"
    FAILING = "failing"


# https://www.postgresql.org/docs/current/errcodes-appendix.html
_POSTGRESQL = {"55P03": Trouble.LOCKED, "40P01": Trouble.LOCKED, "53100": Trouble.FULL, "25006": Trouble.READ_ONLY}
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
    return _POSTGRESQL.get(getattr(cause, "sqlstate", None) or "")


def is_outage(error: BaseException) -> bool:
    """Return whether an error is the database's, which passes, and not the statement's."""
    if isinstance(error, OperationalError | InterfaceError):
        return True
    # A server that has become a stand-by, and a connection that broke in the middle, have other names.
    return isinstance(error, DBAPIError) and (error.connection_invalidated or trouble_of(error) is not None)


def locked() -> OperationalError:
    """Return the error that SQLite raises when somebody else writes for too long."""
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
        record.info["file"] = _identity(path)
        known.add(record.info["file"])

    @event.listens_for(engine, "checkout")
    def require_same_file(connection: Any, record: Any, proxy: Any) -> None:
        if record.info["file"] != _identity(path):
            raise DisconnectionError("The database file is another one, or gone.")


def _identity(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_dev, status.st_ino
