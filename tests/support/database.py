"""The database of a test's application."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask
from sqlalchemy import Connection, Engine, event, insert, select

from core.platform.database.base import Base, db
from core.platform.database.engine import WRITING
from core.stats.model import OwnerSums, QuarterSums


def forget_power_cuts(engine: Engine) -> None:
    """Let SQLite wait for no disk, as the PostgreSQL of the tests does not: thousands of commits are what costs time.

    What holds over a power cut is a setting, which tests/core/test_transactions.py looks at on an engine of its own.
    """
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous = OFF"))


@contextmanager
def writing(app: Flask) -> Iterator[Connection]:
    """Open a transaction without a session of the ORM, for what is done before or after every test."""
    with app.app_context(), db.engine.execution_options(**{WRITING: True}).begin() as connection:
        yield connection


# Triggers make their rows of those of others.
_SUMS = (OwnerSums.__tablename__, QuarterSums.__tablename__)
_TABLES = tuple(table.name for table in reversed(Base.metadata.sorted_tables))
_WITH_ROWS = " UNION ALL ".join(f"SELECT '{name}' WHERE EXISTS (SELECT 1 FROM {name})" for name in _TABLES)


def empty(app: Flask) -> None:
    """Delete every row, after each of thousands of tests; no statement is compiled for a table that has none."""
    with writing(app) as connection:
        # Rows go away only in the order of the list, whatever the order of the answer.
        found = {name for (name,) in connection.exec_driver_sql(_WITH_ROWS)}
        for name in _TABLES:
            if name in found:
                connection.exec_driver_sql(f"DELETE FROM {name}")


class Snapshot:
    """All rows of a database at one moment, which are put back far quicker than they were made."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._taken_at = time.monotonic()
        with app.app_context(), db.engine.connect() as connection:
            rows = [
                (table, [dict(row._mapping) for row in connection.execute(select(*columns))])
                for table in Base.metadata.sorted_tables
                if table.name not in _SUMS
                and (columns := [column for column in table.columns if column.computed is None])
            ]
        self._rows = [(insert(table), found) for table, found in rows if found]

    @property
    def is_old(self) -> bool:
        """Return whether it is better made anew, because access tokens last for 15 minutes."""
        return time.monotonic() - self._taken_at > 300

    def put_back(self) -> None:
        """Store the rows again, in a database that has none."""
        with writing(self._app) as connection:
            for statement, rows in self._rows:
                connection.execute(statement, rows)


@contextmanager
def recorded_statements(app: Flask) -> Iterator[list[str]]:
    """Yield the SQL statements that are executed meanwhile, without the BEGIN of each transaction."""
    seen: list[str] = []

    def note(connection: object, cursor: object, statement: str, *rest: object) -> None:
        if not statement.startswith("BEGIN"):
            seen.append(statement)

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)
