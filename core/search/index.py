"""Search indexes of the databases, which the models do not show.

The database itself keeps it in step with the rows, whoever changes them:

- SQLite: one FTS5 table without content of its own, fed by triggers. Its rowid
  is the row's id plus the first number of its kind.
- PostgreSQL: a column of each table that triggers fill, with a GIN index.

Migrations 0005, 0019 and 0024 make them, and `core.search.folding` says what they hold. The
models do not know them, so that reading a row never reads its index.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, TableClause, column, func, literal_column, table
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import InstrumentedAttribute

from core.items.model import Item
from core.platform.database.base import Base
from core.posts.model import Post
from core.tasks.model import Task

FTS_TABLE = "search_index"
# The words that are in it, in their order (migration 0022).
TERMS_TABLE = f"{FTS_TABLE}_terms"
VECTOR_COLUMN = "search_vector"
# FTS5 writes the distance between two entries in up to nine bytes, and loses entries of common words when it
# reads nine of them backwards: it did with 2**60.
IDS_OF_A_KIND = 2**40


class HitKind(StrEnum):
    """Kind of row that can be found."""

    TASK = "task"
    POST = "post"
    ITEM = "item"


@dataclass(frozen=True, slots=True)
class IndexedTable:
    """A kind of thing to find, and where its texts are. The index treats `code` as part of the title."""

    kind: HitKind
    model: type[Base]
    number: int
    id: InstrumentedAttribute[int]
    created_at: InstrumentedAttribute[Any]
    title: InstrumentedAttribute[str]
    body: InstrumentedAttribute[Any]
    code: InstrumentedAttribute[Any] | None = None

    @property
    def first_rowid(self) -> int:
        """Return the number from which the rows of this kind count in the FTS5 table."""
        return self.number * IDS_OF_A_KIND

    @property
    def texts(self) -> list[ColumnElement[Any]]:
        """Return the texts that the index has of this kind."""
        titles: ColumnElement[Any] = (
            self.title.expression if self.code is None else self.title + " " + func.coalesce(self.code, "")
        )
        return [titles, func.coalesce(self.body, "")]

    @property
    def vector(self) -> ColumnElement[Any]:
        """Return the column of this kind in PostgreSQL."""
        return literal_column(f"{self.model.__tablename__}.{VECTOR_COLUMN}", TSVECTOR)


SOURCES = {
    source.kind: source
    for source in (
        IndexedTable(HitKind.TASK, Task, 0, Task.id, Task.created_at, Task.title, Task.description),
        IndexedTable(HitKind.POST, Post, 1, Post.id, Post.created_at, Post.title, Post.content),
        IndexedTable(HitKind.ITEM, Item, 2, Item.id, Item.created_at, Item.name, Item.description, Item.sku),
    )
}

fts: TableClause = table(FTS_TABLE, column("rowid", BigInteger))


def include_name(name: str | None, kind: str, parents: Mapping[str, Any]) -> bool:
    """Return whether a thing in the database is a matter of the models, for Alembic's comparisons."""
    if name is None:
        return True
    if kind == "table":
        # FTS5 keeps its data in tables that are named after it.
        return name != FTS_TABLE and not name.startswith(f"{FTS_TABLE}_")
    if kind in ("column", "index"):
        return not name.endswith(VECTOR_COLUMN)
    return True
