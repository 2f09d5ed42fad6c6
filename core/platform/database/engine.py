"""Set-up of an engine: settings of a connection to SQLite or PostgreSQL when it opens and begins."""

import math
import time
from typing import Any

from flask import Flask, current_app
from sqlalchemy import Engine, event
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler
from sqlalchemy.engine import Connection, make_url

from core.platform.config.urls import sqlite_file
from core.platform.database import outage_log
from core.platform.database.base import db
from core.platform.database.reader import Reader
from core.platform.database.trouble import guard_file
from core.platform.database.writer_turns import begin_to_write
from core.platform.disk.private_files import new_empty_file

# How long a transaction waits for what another one has locked. Then its request is answered with
# 503, and its thread is free for another request.
LOCK_SECONDS = 15.0

# What keeps a request from waiting for a server that has gone without a word. The names are libpq's.
_POSTGRESQL_PATIENCE = {
    "connect_timeout": 5,
    "tcp_user_timeout": 15_000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}

WRITING = "tasklane_writing"
DEADLINE = "tasklane_deadline"
_READER = "tasklane.reader"


def init_db(app: Flask, url: str) -> None:
    """Bind the database at `url` to the application. Connects to nothing yet."""
    parsed = make_url(url)
    options: dict[str, Any]
    if parsed.get_backend_name() == "sqlite":
        options = {"connect_args": {"timeout": LOCK_SECONDS}}
    else:
        # A dead connection in the pool must not become a failed request, and a database that
        # does not answer must not hang one. What the URL says wins.
        patience = {name: value for name, value in _POSTGRESQL_PATIENCE.items() if name not in parsed.query}
        options = {"pool_pre_ping": True, "pool_timeout": 5, "connect_args": patience}
    # Values of statements, hashes of passwords among them, would be part of every error and so of the log.
    options["hide_parameters"] = True
    app.config.update(SQLALCHEMY_DATABASE_URI=url, SQLALCHEMY_ENGINE_OPTIONS=options)
    db.init_app(app)
    with app.app_context():
        engine = db.engine
        event.listen(engine, "connect", lambda *_: outage_log.database_is_back())
        if engine.dialect.name != "sqlite":
            _configure_postgresql(engine)
            app.extensions[_READER] = Reader(engine, path=None, opened=_commit_by_itself)
            return
        _configure_sqlite(engine)
        path = sqlite_file(engine.url)
        if path is not None:
            guard_file(engine, path)
            event.listen(engine, "do_connect", lambda *_: new_empty_file(path))
        app.extensions[_READER] = Reader(engine, path=path, opened=_wait_for_locks)


def current_reader() -> Reader:
    """Return what asks single statements of the database of the application in whose context this runs."""
    return reader_of(current_app)


def reader_of(app: Flask) -> Reader:
    """Return what asks single statements of the database of this application."""
    reader: Reader = app.extensions[_READER]
    return reader


def _commit_by_itself(connection: Any) -> None:
    connection.autocommit = True


def _wait_for_locks(connection: Any) -> None:
    # Whoever had it before may have been in a hurry. Outside of a transaction, SQLite commits by itself.
    connection.execute(f"PRAGMA busy_timeout = {int(LOCK_SECONDS * 1000)}")


def _configure_postgresql(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def set_patience(connection: Any, record: Any) -> None:
        # Said here and not when connecting, because some poolers in between refuse options.
        connection.execute(f"SET lock_timeout = {int(LOCK_SECONDS * 1000)}")
        connection.commit()
        try:
            # Else a statement whose process was stopped goes on, and keeps its locks.
            connection.execute("SET client_connection_check_interval = '1s'")
            connection.commit()
        except engine.dialect.loaded_dbapi.Error:
            connection.rollback()  # A server before version 14, or on a system that cannot notice it.


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


class _WithHints(SQLiteCompiler):
    """SQL of SQLite in which a hint may name the index that is to be used."""

    def get_from_hint_text(self, table: Any, text: str | None) -> str | None:
        return text

    def limit_clause(self, select: Any, **options: Any) -> str:
        # SQLAlchemy would send numbers along that are always the same.
        limit, offset = select._limit_clause, select._offset_clause
        text = f"\n LIMIT {'-1' if limit is None else self.process(limit, **options)}"
        return text if offset is None else f"{text} OFFSET {self.process(offset, **options)}"


def _configure_sqlite(engine: Engine) -> None:
    engine.dialect.statement_compiler = _WithHints

    @event.listens_for(engine, "connect")
    def set_pragmas(connection: Any, record: Any) -> None:
        # SQLite's own lower() knows only ASCII, so that "ÄPFEL" would not find "Äpfel" as it does on PostgreSQL.
        connection.create_function("lower", 1, _lower, deterministic=True)
        # The driver's own BEGIN comes too late and is always deferred, so it is
        # switched off and `begin` below decides.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        # NORMAL may roll back acknowledged commits after a power cut.
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A deferred transaction that reads first and writes later fails with
        # "database is locked" at once, whatever the busy timeout.
        options = connection.get_execution_options()
        deadline = options.get(DEADLINE, time.monotonic() + LOCK_SECONDS)
        driver: Any = connection.connection.driver_connection
        is_writing = options.get(WRITING, False)
        has_begun = is_writing and begin_to_write(driver, deadline)
        driver.execute(f"PRAGMA busy_timeout = {math.ceil(max(deadline - time.monotonic(), 0) * 1000)}")
        if not is_writing:
            driver.execute("BEGIN")
        elif not has_begun:
            # This only says why it cannot begin.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
