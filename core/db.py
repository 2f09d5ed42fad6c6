"""The database glue: engine set-up, column types, and the one way to write.

A service wraps every change in `transaction()`. Reads use `db.session`
directly; what a request has read before it writes is ended first, because
SQLite cannot turn a read transaction into a write transaction safely.
"""

import re
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from flask import Flask
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    Dialect,
    Engine,
    Enum,
    Integer,
    MetaData,
    Numeric,
    event,
    inspect,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.types import TypeDecorator, TypeEngine

from core import outage_log, preconditions, texts
from core.durable import new_empty_file
from core.environment_mark import Database
from core.errors import Conflict
from core.outages import Trouble, asks_for_repetition, guard_file, locked, trouble_of

# Explicit names let a later migration drop a constraint on either engine.
NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

MAX_ID = 2**63 - 1

# How long a transaction waits for what another one has locked. Then its request is answered with
# 503, and its thread is free for somebody else.
LOCK_SECONDS = 15.0

# What keeps a request from waiting for a server that has gone without a word. The names are libpq's.
_POSTGRESQL_PATIENCE = {
    "connect_timeout": 5,
    "tcp_user_timeout": 15_000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}


class UtcDateTime(TypeDecorator[datetime]):
    """A timezone-aware moment, stored and returned in UTC on every engine."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("A moment without a time zone cannot be stored.")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Money(TypeDecorator[Decimal]):
    """An exact amount with two decimal places.

    SQLite has no decimal type and would store a float, so there it is a whole
    number of cents, which also compares and sorts as an amount should.
    """

    impl = Numeric(12, 2)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(BigInteger())
        return dialect.type_descriptor(Numeric(12, 2))

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        if value is None or dialect.name != "sqlite":
            return value
        return int(value * 100)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        if value is None:
            return None
        return Decimal(value).scaleb(-2) if dialect.name == "sqlite" else value


# SQLite numbers rows by itself only in a column declared exactly INTEGER.
BigId = BigInteger().with_variant(Integer, "sqlite")


def enum_type(choices: type[StrEnum], name: str) -> Enum:
    """Return the type of a column that holds one of `choices`, as text with a check constraint."""
    values = [str(choice) for choice in choices]
    return Enum(
        choices, native_enum=False, length=20, name=name, create_constraint=True, values_callable=lambda _: values
    )


def as_created(context: DefaultExecutionContext) -> Any:
    """Return, as the default of a new row's `updated_at`, when it was created: the same moment, not one just after."""
    return context.get_current_parameters()["created_at"]  # type: ignore[no-untyped-call]


class Base(DeclarativeBase):
    """The base of all models."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = {datetime: UtcDateTime()}


db = Database(metadata=Base.metadata, session_options={"expire_on_commit": False})

# SQLite has one writer at a time. Queueing the threads of this process here, in
# order of arrival, costs less than letting them spin in SQLite's busy handler.
_sqlite_writer = threading.Lock()

_WRITING = "tasklane_writing"
_DEADLINE = "tasklane_deadline"


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
        event.listen(db.engine, "connect", lambda *_: outage_log.database_is_back())
        if db.engine.dialect.name != "sqlite":
            _configure_postgresql(db.engine)
            return
        _configure_sqlite(db.engine)
        if db.engine.url.database not in (None, "", ":memory:"):
            path = Path(str(db.engine.url.database))
            guard_file(db.engine, path)
            if not str(path).startswith("file:"):  # SQLite can also be told a file as a URI.
                event.listen(db.engine, "do_connect", lambda *_: new_empty_file(path))


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
            connection.rollback()  # A server before version 14, or on a system that cannot tell.


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _configure_sqlite(engine: Engine) -> None:
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
        seconds = max(options[_DEADLINE] - time.monotonic(), 0) if _DEADLINE in options else LOCK_SECONDS
        driver: Any = connection.connection.driver_connection
        driver.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get(_WRITING, False) else "BEGIN")


@event.listens_for(Session, "before_flush")
def _refuse_stray_writes(session: Session, context: Any, instances: Any) -> None:
    if not session.info.get(_WRITING):
        raise RuntimeError("A change outside transaction() would not be committed.")


@contextmanager
def _turn(deadline: float) -> Iterator[None]:
    """Wait for the turn of this thread to write to SQLite. Waiting here is a part of what a transaction may wait."""
    if not _sqlite_writer.acquire(timeout=max(deadline - time.monotonic(), 0)):
        raise locked()
    try:
        yield
    finally:
        _sqlite_writer.release()


@contextmanager
def transaction(*, patience: float | None = None) -> Iterator[Session]:
    """Run one write transaction: all of it is stored, or nothing.

    A service called inside another's transaction joins it. Raises Conflict,
    naming the field, when a unique constraint refuses the change, and
    OperationalError when something is locked for more than `patience` seconds, or
    LOCK_SECONDS.
    """
    session: Session = db.session()
    if session.info.get(_WRITING):
        yield session
        session.flush()  # What the caller has done shows its faults, and its numbers, where a commit would.
        return
    if session.in_transaction():
        session.commit()  # Ends the reading so far; nothing can be pending.
    is_sqlite = db.engine.dialect.name == "sqlite"
    deadline = time.monotonic() + (LOCK_SECONDS if patience is None else patience)
    with _turn(deadline) if is_sqlite else nullcontext():
        session.info[_WRITING] = True
        is_stored = False
        try:
            session.connection(execution_options={_WRITING: True, _DEADLINE: deadline})
            if patience is not None and not is_sqlite:
                set_lock_timeout(session, patience)
            yield session
            preconditions.require_checked()
            session.commit()
            is_stored = True
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
            session.info.pop(_WRITING, None)
            if not is_stored:
                # Whoever does this again decides by another state.
                preconditions.forget_judgement()


def for_writing(connection: Connection) -> Connection:
    """Return a connection whose transactions on SQLite wait for their turn to write when they begin."""
    return connection.execution_options(**{_WRITING: True})


def is_writing() -> bool:
    """Return whether this thread is inside `transaction()`."""
    return bool(db.session().info.get(_WRITING))


def hurry(session: Session, seconds: float) -> None:
    """Begin to read, and wait no longer than this for locks, until the reading ends."""
    session.connection(execution_options={_DEADLINE: time.monotonic() + seconds})
    if db.engine.dialect.name != "sqlite":
        set_lock_timeout(session, seconds)


def set_lock_timeout(session: Session, seconds: float) -> None:
    """Wait no longer than this for each lock of PostgreSQL, until the transaction ends."""
    session.execute(text(f"SET LOCAL lock_timeout = {int(seconds * 1000)}"))


@contextmanager
def snapshot() -> Iterator[Session]:
    """Read one state of the whole database, whatever others commit meanwhile.

    Ends the reading so far, so what was read before may be of an earlier state.
    """
    session: Session = db.session()
    if session.info.get(_WRITING):
        # What it saw could be kept under a change mark that more changes follow.
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


Row = TypeVar("Row", bound=Base)


def find_locked(
    session: Session, model: type[Row], row_id: Any, *conditions: ColumnElement[bool], to_delete: bool = False
) -> Row | None:
    """Return a row as it is now, if it meets the conditions, locked where the engine locks rows.

    So changes queue up instead of failing. Others may still refer to the row, unless
    it is locked `to_delete` it. docs/architecture.md has the order of locks.
    Unlike `Session.get` it does not mind that an earlier version of the row is
    in the session: nothing was decided by that one.
    """
    query = select(model).where(inspect(model).primary_key[0] == row_id, *conditions)
    query = query.with_for_update(key_share=not to_delete)
    return session.scalar(query, execution_options={"populate_existing": True})


def insert_new(session: Session, model: type[Base], rows: Sequence[dict[str, Any]]) -> Any:
    """Return an INSERT of rows, given by column, that leaves out those whose key is there already."""
    insert = sqlite_insert if session.get_bind().dialect.name == "sqlite" else postgresql_insert
    return insert(model).values(list(rows)).on_conflict_do_nothing()


class LockedTooLong(Exception):
    """Somebody else holds what this transaction needs, for longer than it wants to wait."""


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


def insert_if_absent(session: Session, model: type[Base], **values: Any) -> bool:
    """Insert a row unless its key is taken; return whether it was inserted.

    Waits for another transaction that is inserting the same key.
    """
    # What it returns tells whether it inserted; the number of rows does not, on every driver.
    statement = insert_new(session, model, [values]).returning(inspect(model).primary_key[0])
    return session.execute(statement).first() is not None


def conflict_of(error: IntegrityError) -> Conflict | None:
    """Translate a violated unique constraint, whose name ends with the field's; None for any other."""
    diagnosis = getattr(error.orig, "diag", None)
    name = getattr(diagnosis, "constraint_name", None)
    if name is None:
        words = str(error.orig)
        if match := re.search(r"index '(uq_\w+)'", words):
            name = match.group(1)
        elif match := re.search(r"UNIQUE constraint failed: (\w+)\.(\w+)", words):
            name = f"uq_{match.group(1)}_{match.group(2)}"
    if name is None or not name.startswith("uq_"):
        return None
    for table in Base.metadata.tables:
        if name.startswith(f"uq_{table}_"):
            field = name.removeprefix(f"uq_{table}_")
            return Conflict(f"This {field} is already taken.", details={field: [texts.TAKEN]})
    return None
