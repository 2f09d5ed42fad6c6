"""Many rows in a few statements, below the ORM; whoever uses this keeps the rules of the models.

SQLite is fastest with one short statement again and again. PostgreSQL is with
one statement that takes each column as an array: it is parsed once, and what
triggers do for each statement is done once.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Table, bindparam, cast, func, insert, literal, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from core.platform.database.base import Base
from core.platform.errors import Invalid

Rows = Sequence[Mapping[str, Any]]


def insert_rows(session: Session, model: type[Base], rows: Rows) -> list[int]:
    """Insert rows whose `created_at` grows from each to the next; return their numbers in the given order."""
    table: Any = model.__table__
    connection = session.connection()
    if connection.dialect.name == "sqlite":
        # It may answer in any order; asking it to keep ours costs a statement a row.
        made = connection.execute(insert(table).returning(table.c.created_at, table.c.id), list(rows))
        return [row.id for row in sorted(made, key=lambda row: row.created_at)]
    sequence = func.pg_get_serial_sequence(table.name, "id")
    numbers = select(func.nextval(sequence)).select_from(func.generate_series(1, len(rows)))
    row_ids = sorted(connection.scalars(numbers))
    add_rows(session, model, [{**row, "id": row_id} for row, row_id in zip(rows, row_ids, strict=True)])
    return row_ids


def add_rows(session: Session, model: type[Base], rows: Rows) -> None:
    """Insert rows that have all their keys; every row has the same columns."""
    table: Any = model.__table__
    connection = session.connection()
    if connection.dialect.name == "sqlite":
        connection.execute(insert(table), list(rows))
    else:
        connection.execute(insert(table).from_select(list(rows[0]), select(*_as_table(table, rows).c)))


def update_rows(session: Session, model: type[Base], rows: Rows) -> None:
    """Update locked rows by their `id`; every row has the same columns, `version` among them where there is one."""
    # The ORM would check each version by a statement of its own.
    table: Any = model.__table__
    connection = session.connection()
    names = [name for name in rows[0] if name != "id"]
    if connection.dialect.name == "sqlite":
        one = update(table).where(table.c.id == bindparam("key")).values({name: bindparam(name) for name in names})
        connection.execute(one, [{"key": row["id"], **{name: row[name] for name in names}} for row in rows])
    else:
        given = _as_table(table, rows).c
        connection.execute(update(table).where(table.c.id == given.id).values({name: given[name] for name in names}))


def _as_table(table: Table, rows: Rows) -> Any:
    """Return rows as something to select from, on PostgreSQL."""
    arrays = []
    for name in rows[0]:
        kind: Any = ARRAY(table.c[name].type)
        arrays.append(cast(literal([row[name] for row in rows], kind), kind))
    return func.unnest(*arrays).table_valued(*rows[0]).render_derived(name="given")


def validated(model: type[Base], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as the model would take them. Raises Invalid naming every wrong field at once."""
    validators: Mapping[str, Any] = model.__mapper__.validators
    clean = dict(values)
    details: dict[str, list[str]] = {}
    for name in values:
        if name in validators:
            try:
                # A validator judges a value and never looks at the rest of the row.
                clean[name] = validators[name][0](model, name, values[name])
            except Invalid as refusal:
                details.update({field: list(sentences) for field, sentences in (refusal.details or {}).items()})
    if details:
        raise Invalid("The request has invalid fields.", details=details)
    return clean
