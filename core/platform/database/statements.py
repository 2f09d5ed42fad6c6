"""Statements that the ORM has no word for, alike on both engines."""

from collections.abc import Sequence
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, delete, inspect, select, tuple_
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from core.platform.database.base import Base

Row = TypeVar("Row", bound=Base)


def find_locked(
    session: Session, model: type[Row], row_id: Any, *conditions: ColumnElement[bool], to_delete: bool = False
) -> Row | None:
    """Return a row as it is now, if it meets the conditions, locked where the engine locks rows.

    So changes queue up instead of failing. Others may still refer to the row, unless
    it is locked `to_delete` it. docs/decisions.md has the order of locks.
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


def insert_if_absent(session: Session, model: type[Base], **values: Any) -> bool:
    """Insert a row unless its key is taken; return whether it was inserted.

    Waits for another transaction that is inserting the same key.
    """
    # Its result shows whether it inserted; the number of rows does not, on every driver.
    statement = insert_new(session, model, [values]).returning(inspect(model).primary_key[0])
    return session.execute(statement).first() is not None


def delete_some(session: Session, model: type[Base], *conditions: ColumnElement[bool], limit: int) -> int:
    """Delete at most so many of the rows that meet the conditions; return how many these were."""
    keys = inspect(model).primary_key
    some = select(*keys).where(*conditions).limit(limit)
    # The conditions once more: another transaction may have changed a row meanwhile.
    statement = delete(model).where(tuple_(*keys).in_(some), *conditions)
    result = session.execute(statement, execution_options={"synchronize_session": False})
    return int(result.rowcount)  # type: ignore[attr-defined]
