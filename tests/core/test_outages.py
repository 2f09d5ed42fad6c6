"""An outage is told from a mistake in the code, which must not be answered as one."""

import errno
import logging
import sqlite3
from typing import Any

import psycopg
import pytest
from redis.exceptions import ConnectionError as RedisGone
from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from core.platform import clock
from core.platform.database import outage_log
from core.platform.database.trouble import Trouble, is_away, is_mistake, is_outage, trouble_of


def wrapped(cause: Exception, *, statement: str | None = "SELECT 1") -> DBAPIError:
    """Return an error of the driver as SQLAlchemy hands it on."""
    kind = psycopg.Error if isinstance(cause, psycopg.Error) else sqlite3.Error
    found: Any = DBAPIError.instance(statement, None, cause, kind)
    return found  # type: ignore[no-any-return]


def of_sqlite(statement: str, parameters: Any = ()) -> DBAPIError:
    engine = create_engine("sqlite://")
    try:
        with engine.connect() as connection, pytest.raises(DBAPIError) as caught:
            connection.exec_driver_sql(statement, parameters)
    finally:
        engine.dispose()
    return caught.value


def connecting(sentence: str) -> DBAPIError:
    return wrapped(psycopg.OperationalError(sentence), statement=None)


@pytest.mark.parametrize(
    "error",
    [
        of_sqlite("SELEKT 1"),
        of_sqlite("SELECT nothing"),
        of_sqlite("SELECT nothing()"),
        of_sqlite("SELECT ?", ()),
        of_sqlite("SELECT ?", (object(),)),
        wrapped(psycopg.errors.SyntaxError("syntax error")),
        wrapped(psycopg.errors.UndefinedColumn("no such column")),
        wrapped(psycopg.ProgrammingError("the query has 1 placeholder but 0 parameters were passed")),
        TypeError("of a programmer"),
        ValueError("of a programmer"),
        FileNotFoundError(errno.ENOENT, "No such file"),
        SQLAlchemyError("used wrongly"),
    ],
    ids=lambda error: str(error).partition("\n")[0],
)
def test_a_mistake_is_no_outage(error: Exception) -> None:
    assert not is_outage(error)
    assert not is_away(error)


@pytest.mark.parametrize(
    ("error", "trouble", "away"),
    [
        (connecting("connection failed: Connection refused"), None, True),
        (connecting("FATAL:  sorry, too many clients already"), Trouble.NO_CONNECTIONS, True),
        (connecting('FATAL:  too many connections for role "tasklane"'), Trouble.NO_CONNECTIONS, True),
        (
            connecting("FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute"),
            Trouble.NO_CONNECTIONS,
            True,
        ),
        (wrapped(psycopg.errors.TooManyConnections("too many")), Trouble.NO_CONNECTIONS, True),
        (wrapped(psycopg.errors.AdminShutdown("terminating connection")), None, True),
        (wrapped(psycopg.errors.LockNotAvailable("lock timeout")), Trouble.LOCKED, False),
        (wrapped(psycopg.errors.DeadlockDetected("deadlock")), Trouble.LOCKED, False),
        (wrapped(psycopg.errors.DiskFull("no room")), Trouble.FULL, False),
        (wrapped(psycopg.errors.ReadOnlySqlTransaction("a stand-by")), Trouble.READ_ONLY, False),
        (wrapped(psycopg.errors.UndefinedTable("nobody has migrated")), None, False),
        (of_sqlite("SELECT * FROM tasks"), None, False),
        (of_sqlite("SELECT * FROM sqlite_master INDEXED BY what_a_later_migration_makes"), None, False),
        (PoolTimeout("all are in use"), None, False),
        (OSError(errno.ENOSPC, "No space left on device"), None, False),
    ],
    ids=str,
)
def test_an_outage_is_told_as_what_it_is(error: Exception, trouble: Trouble | None, away: bool) -> None:
    assert is_outage(error)
    assert not is_mistake(error)
    assert trouble_of(error) is trouble
    assert is_away(error) is away


def test_what_a_statement_says_of_connections_is_not_taken_for_the_server() -> None:
    assert trouble_of(wrapped(psycopg.OperationalError("too many connections, says a title"))) is None


def test_an_outage_is_a_line_with_a_count(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    now = 1000.0
    monkeypatch.setattr(clock, "monotonic", lambda: now)
    monkeypatch.setattr(outage_log, "_outages", {})
    log = logging.getLogger("tasklane.test")
    gone = connecting("connection failed: Connection refused")
    for _ in range(83):
        outage_log.tell(log, gone)
    outage_log.tell(log, RedisGone("Connection refused"))
    now += outage_log.TELL_EVERY
    outage_log.tell(log, gone)
    for _ in range(4):
        outage_log.tell(log, gone)
    outage_log.database_is_back()
    outage_log.database_is_back()
    assert [record.getMessage() for record in caplog.records] == [
        "The database does not answer: OperationalError: connection failed: Connection refused",
        "Redis does not answer: ConnectionError: Connection refused",
        (
            "The database does not answer: OperationalError: connection failed: Connection refused"
            " (83 times since the last line)"
        ),
        "The database answers again; it had not 4 times since the last line.",
    ]
