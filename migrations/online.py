"""Changing tables of PostgreSQL while others write to them, and beginning again where a transaction was in the way.

What asks for a lock that others hold makes everybody wait who comes after it. So a
migration waits for a moment only, gives up everything, and is tried again. What takes
long (an index, looking at all rows, changing all rows) is done under locks that let
others write, in transactions of its own. A migration that was interrupted there runs
again from its beginning; so these functions do nothing that has been done.

On SQLite, which has one writer at a time and takes back a whole migration, they do
the same in the plain way.
"""

import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from core.platform.database.trouble import Trouble, trouble_of

log = logging.getLogger("tasklane.migrations")

LOCK = 7_461_736_102  # Any number, as long as every migration takes the same.
# Milliseconds. So long everybody else waits at most because of one attempt at one lock.
LOCK_TIMEOUT = 150
# Seconds for which one migration is tried in vain before an operator has to look at who is in the way.
PATIENCE = 600.0
LONGEST_PAUSE = 2.0
# Rows whose locks are held at once. Whoever wants one of them waits for some tenths of a second.
BATCH = 500


# --- for env.py ---------------------------------------------------------------------


@contextmanager
def alone(engine: Engine) -> Iterator[None]:
    """Be the only one who migrates, for which several release processes wait as long as it takes.

    The lock belongs to a connection of its own, because a transaction that were open all
    the time would be waited for by the very indexes that are made meanwhile.
    """
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # Asked for and not waited for: a statement that waits is waited for, too.
        while not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": LOCK}):
            time.sleep(random.uniform(0.1, 0.3))  # noqa: S311
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": LOCK})


def repeated(connection: Connection, migrate: Callable[[], None]) -> None:
    """Call `migrate`, and again as long as locks are in its way; what was committed stays. Raises DBAPIError."""
    before = connection.scalar(text("SHOW lock_timeout"))
    _wait_at_most(connection, f"{LOCK_TIMEOUT}ms")
    connection.commit()
    try:
        _repeat(migrate, connection.rollback)
    finally:
        connection.rollback()
        _wait_at_most(connection, before)
        connection.commit()


def _repeat(work: Callable[[], Any], undo: Callable[[], None] = lambda: None) -> Any:
    until, pause, attempt = time.monotonic() + PATIENCE, 0.1, 0
    while True:
        try:
            return work()
        except DBAPIError as error:
            undo()
            if trouble_of(error) is not Trouble.LOCKED or time.monotonic() > until:
                raise
        attempt += 1
        if attempt % 10 == 0:
            log.warning("A migration waits for locks that others hold; %s attempts so far.", attempt)
        # By chance, so that it does not meet the same others in the same rhythm.
        time.sleep(random.uniform(pause / 2, pause))  # noqa: S311
        pause = min(pause * 1.5, LONGEST_PAUSE)


def _wait_at_most(connection: Connection, timeout: str) -> None:
    connection.execute(text("SELECT set_config('lock_timeout', :timeout, false)"), {"timeout": timeout})


# --- for migrations -----------------------------------------------------------------


def is_postgresql() -> bool:
    """Return whether this is PostgreSQL."""
    return op.get_context().dialect.name == "postgresql"


def end_transaction() -> None:
    """Commit what the migration has done so far, so that no other transaction waits for its locks while it goes on."""
    if is_postgresql():
        with op.get_context().autocommit_block():
            pass


def add_column(table: str, column: sa.Column[Any]) -> None:
    """Add a column that may be null, or has a default of the server, unless it is there."""
    op.add_column(table, column, if_not_exists=True if is_postgresql() else None)


def add_reference(table: str, column: str, target: str, *, name: str) -> None:
    """Add a column with the number of a row of another table; the rows are not looked at while others wait."""
    if not is_postgresql():
        # Inside the definition of the column it needs no copy of the table, which would lose AUTOINCREMENT.
        op.execute(f"ALTER TABLE {table} ADD COLUMN {column} INTEGER CONSTRAINT {name} REFERENCES {target} (id)")
        return
    op.execute(f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {column} BIGINT")
    add_constraint(table, name, f"FOREIGN KEY ({column}) REFERENCES {target} (id)")


def add_constraint(table: str, name: str, definition: str) -> None:
    """Add a constraint to PostgreSQL that holds for what is written from now on, then look at what exists."""
    op.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}")
    op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition} NOT VALID")
    with _patient_block():
        op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")


def create_index(
    name: str, table: str, columns: Sequence[Any], *, unique: bool = False, where: Any = None, **options: Any
) -> None:
    """Create an index while others write, unless it is there."""
    if where is not None:
        options |= {"sqlite_where": where, "postgresql_where": where}
    if not is_postgresql():
        op.create_index(name, table, columns, unique=unique, **options)
        return
    with _patient_block():
        if _is_invalid(name):
            # Of an attempt that was interrupted: it is kept up, and never used.
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        op.create_index(
            name, table, columns, unique=unique, if_not_exists=True, postgresql_concurrently=True, **options
        )


def drop_index(name: str, table: str) -> None:
    """Drop an index while others write, if it is there."""
    if not is_postgresql():
        op.drop_index(name, table)
        return
    with _patient_block():
        op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)


def analyse(table: str) -> None:
    """Refresh the planner's statistics of a table that has changed."""
    if is_postgresql():
        with _patient_block():
            op.execute(f"ANALYZE {table}")


def update_in_batches(table: str, change: str, condition: str) -> None:
    """Change all rows for which a condition holds, some at a time; afterwards it must not hold for them any more."""
    if not is_postgresql() or op.get_context().as_sql:
        op.execute(f"UPDATE {table} SET {change} WHERE {condition}")
        return
    part = f"SELECT id FROM {table} WHERE id > :last AND ({condition}) ORDER BY id LIMIT {BATCH} FOR UPDATE"
    statement = text(
        f"WITH part AS ({part}), changed AS (UPDATE {table} SET {change} WHERE id IN (SELECT id FROM part))"
        " SELECT max(id) FROM part"
    )
    with op.get_context().autocommit_block():
        last = 0
        while last is not None:
            last = _repeat(lambda last=last: op.get_bind().scalar(statement, {"last": last}))


@contextmanager
def _patient_block() -> Iterator[None]:
    """Run statements outside transactions that wait for others, and let others go first."""
    with op.get_context().autocommit_block():
        op.execute("SET lock_timeout = 0")
        try:
            yield
        finally:
            op.execute(f"SET lock_timeout = {LOCK_TIMEOUT}")


def _is_invalid(index: str) -> bool:
    if op.get_context().as_sql:
        return False
    found = "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass(:name) AND NOT indisvalid"
    return op.get_bind().scalar(text(found), {"name": index}) is not None
