"""Writes of single rows, whose text is made once.

A request that creates a task inserts three rows. The ORM plans, compiles and looks up each of them anew, which takes
several times as long as the database does. What is here knows nothing of models but their tables: every column that
shall not be empty has to be given, and whoever uses it keeps the rules of the models.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import CursorResult, Dialect, FromClause, Select, bindparam, insert, update
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from core.platform.database.base import Base

Row = Mapping[str, Any]

# Values of an UPDATE that say which row it is, beside those that it sets.
_ID, _VERSION = "its_id", "its_version"


@dataclass(frozen=True, slots=True)
class Statement:
    """The text of a statement, and how each of its values is written for the driver, in their order."""

    text: str
    writers: tuple[tuple[str, Callable[[Any], Any] | None], ...]
    is_positional: bool

    @property
    def names(self) -> frozenset[str]:
        """Return the names of its values."""
        return frozenset(name for name, _ in self.writers)

    def parameters(self, row: Row) -> Any:
        """Return the values as the driver takes them."""
        if self.is_positional:
            # A list, because a generator takes longer than all the rest of it.
            return tuple([write(row[name]) if write else row[name] for name, write in self.writers])
        return {name: write(row[name]) if write else row[name] for name, write in self.writers}


_statements: dict[tuple[str, FromClause, str, tuple[str, ...]], Statement] = {}


def insert_row(session: Session, model: type[Base], row: Row) -> int:
    """Insert one row that the database numbers; return its number."""
    number: int = _execute(session, "numbered", model, tuple(row), row).scalar_one()
    return number


def insert_keyed(session: Session, model: type[Base], rows: Sequence[Row]) -> None:
    """Insert rows of the same columns in one statement, whose numbers nobody asks for."""
    _execute(session, "keyed", model, tuple(rows[0]), *rows)


def update_row(session: Session, model: type[Base], row_id: int, row: Row, *, version: int) -> None:
    """Set these columns of one row of this version. Raises StaleDataError if there is no such row any more."""
    given = {**row, _ID: row_id, _VERSION: version}
    if _execute(session, "updated", model, tuple(row), given).rowcount != 1:
        raise StaleDataError(f"{model.__name__} {row_id} is not of version {version} any more.")


def _execute(session: Session, way: str, model: type[Base], names: tuple[str, ...], *rows: Row) -> CursorResult[Any]:
    connection = session.connection()
    key = (way, model.__table__, connection.dialect.name, names)
    statement = _statements.get(key)
    if statement is None:
        statement = _statements[key] = prepare(connection.dialect, _worded(way, model.__table__, names))
    parameters = [statement.parameters(row) for row in rows]
    return connection.exec_driver_sql(statement.text, parameters if len(rows) > 1 else parameters[0])


def _worded(way: str, table: Any, names: tuple[str, ...]) -> Any:
    values = {name: bindparam(name, type_=table.c[name].type) for name in names}
    if way == "updated":
        of_row = (
            table.c.id == bindparam(_ID, type_=table.c.id.type),
            table.c.version == bindparam(_VERSION, type_=table.c.version.type),
        )
        return update(table).where(*of_row).values(values)
    return insert(table).values(values).returning(table.c.id) if way == "numbered" else insert(table).values(values)


def readers_of(dialect: Dialect, query: Select[*tuple[Any, ...]]) -> list[Callable[[Any], Any] | None]:
    """Return what makes values of what the driver returns, column by column; None where they are the same."""
    return [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in query.selected_columns]


def prepare(dialect: Dialect, statement: Any) -> Statement:
    """Return a statement as the driver takes it."""
    compiled: Any = statement.compile(dialect=dialect)
    writers = tuple(
        (name, compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect))
        for name in (compiled.positiontup if compiled.positional else compiled.binds)
    )
    return Statement(str(compiled), writers, compiled.positional)
