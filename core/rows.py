"""Many rows in a few statements, below the ORM; whoever uses this keeps the rules of the models."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, insert, update
from sqlalchemy.orm import Session

from core.db import Base
from core.errors import Invalid


def insert_rows(session: Session, model: type[Base], rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Insert rows whose `created_at` grows from each to the next; return their numbers in the given order."""
    columns = model.__table__.c
    # The engine may answer in any order; asking it to keep ours costs a statement a row on SQLite.
    made = session.connection().execute(insert(model.__table__).returning(columns.created_at, columns.id), list(rows))  # type: ignore[arg-type]
    return [row.id for row in sorted(made, key=lambda row: row.created_at)]


def update_rows(session: Session, model: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Update locked rows by their `id`; every row has the same keys, `version` among them where there is one."""
    # The ORM would check each version by a statement of its own.
    table = model.__table__
    names = [name for name in rows[0] if name != "id"]
    statement = update(table).where(table.c.id == bindparam("key")).values({name: bindparam(name) for name in names})  # type: ignore[arg-type]
    session.connection().execute(statement, [{"key": row["id"], **{name: row[name] for name in names}} for row in rows])


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
