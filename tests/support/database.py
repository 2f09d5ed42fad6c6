"""The database of a test's application."""

from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask
from sqlalchemy import Engine, event

from core.platform.database.base import Base, db


def forget_power_cuts(engine: Engine) -> None:
    """Let SQLite wait for no disk, as the PostgreSQL of the tests does not: thousands of commits are what costs time.

    What holds over a power cut is a setting, which tests/core/test_transactions.py looks at on an engine of its own.
    """
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous = OFF"))


def empty(app: Flask) -> None:
    """Delete every row, in one go: this happens after each of thousands of tests."""
    everything = ";".join(f"DELETE FROM {table.name}" for table in reversed(Base.metadata.sorted_tables))
    with app.app_context(), db.engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            connection.connection.cursor().executescript(f"BEGIN;{everything};COMMIT")
        else:
            connection.exec_driver_sql(everything)


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
