"""The database glue: engine set-up, column types, and the one way to write.

A service wraps every change in `transaction()`. Reads use `db.session`
directly; what a request has read before it writes is ended first, because
SQLite cannot turn a read transaction into a write transaction safely.
"""

import re
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeVar

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
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
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.types import TypeDecorator, TypeEngine

from core import preconditions, texts
from core.errors import Conflict

# Explicit names let a later migration drop a constraint on either engine.
NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

MAX_ID = 2**63 - 1
SQLITE_BUSY_SECONDS = 15


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


class Base(DeclarativeBase):
    """The base of all models."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = {datetime: UtcDateTime()}


db = SQLAlchemy(metadata=Base.metadata, session_options={"expire_on_commit": False})

# SQLite has one writer at a time. Queueing the threads of this process here, in
# order of arrival, costs less than letting them spin in SQLite's busy handler.
_sqlite_writer = threading.Lock()

_WRITING = "tasklane_writing"


def init_db(app: Flask, url: str) -> None:
    """Bind the database at `url` to the application. Connects to nothing yet."""
    parsed = make_url(url)
    options: dict[str, Any]
    if parsed.get_backend_name() == "sqlite":
        options = {"connect_args": {"timeout": SQLITE_BUSY_SECONDS}}
    else:
        # A dead connection in the pool must not become a failed request, and
        # a database that does not answer must not hang one.
        options = {"pool_pre_ping": True, "pool_timeout": 5, "connect_args": {"connect_timeout": 5}}
    # Values of statements, hashes of passwords among them, would be part of every error and so of the log.
    options["hide_parameters"] = True
    app.config.update(SQLALCHEMY_DATABASE_URI=url, SQLALCHEMY_ENGINE_OPTIONS=options)
    db.init_app(app)
    with app.app_context():
        if db.engine.dialect.name == "sqlite":
            _configure_sqlite(db.engine)


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
        writing = connection.get_execution_options().get(_WRITING, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


@event.listens_for(Session, "before_flush")
def _refuse_stray_writes(session: Session, context: Any, instances: Any) -> None:
    if not session.info.get(_WRITING):
        raise RuntimeError("A change outside transaction() would not be committed.")


@contextmanager
def transaction() -> Iterator[Session]:
    """Run one write transaction: all of it is stored, or nothing.

    A service called inside another's transaction joins it. Raises Conflict,
    naming the field, when a unique constraint refuses the change.
    """
    session: Session = db.session()
    if session.info.get(_WRITING):
        yield session
        session.flush()  # What the caller has done shows its faults, and its numbers, where a commit would.
        return
    if session.in_transaction():
        session.commit()  # Ends the reading so far; nothing can be pending.
    is_sqlite = db.engine.dialect.name == "sqlite"
    with _sqlite_writer if is_sqlite else nullcontext():
        session.info[_WRITING] = True
        try:
            session.connection(execution_options={_WRITING: True})
            yield session
            preconditions.require_checked()
            session.commit()
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


def is_writing() -> bool:
    """Return whether this thread is inside `transaction()`."""
    return bool(db.session().info.get(_WRITING))


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


def find_locked(session: Session, model: type[Row], row_id: Any, *conditions: ColumnElement[bool]) -> Row | None:
    """Return a row as it is now, if it meets the conditions, locked where the engine locks rows.

    So changes queue up instead of failing.
    Unlike `Session.get` it does not mind that an earlier version of the row is
    in the session: nothing was decided by that one.
    """
    query = select(model).where(inspect(model).primary_key[0] == row_id, *conditions).with_for_update()
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
    session.execute(text(f"SET LOCAL lock_timeout = '{seconds}s'"))
    try:
        yield
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) == "55P03":  # lock_not_available
            raise LockedTooLong from error
        raise
    session.execute(text("SET LOCAL lock_timeout = DEFAULT"))


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
