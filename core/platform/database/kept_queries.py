"""Queries of lists, each put into words once for all requests that differ in nothing but values.

To put together the query of a list and to find its text takes longer than the database does. So whoever asks says
by a shape on what the text depends, and gives the values by name. What a kept query was made of is forgotten: each of
its values has to come with the request, else it is not kept.
"""

import threading
from collections import namedtuple
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cachetools import LRUCache
from sqlalchemy import BindParameter, Dialect, Select, bindparam
from sqlalchemy.orm import Session

from core.platform.database.prepared import Statement, prepare, readers_of

# Of combinations of filters and sorts that were asked for last.
MAX_QUERIES = 500


def named(name: str, value: Any, type_: Any = None) -> BindParameter[Any]:
    """Return a value of a query under a name, by which another request can give another one."""
    return bindparam(name, value, type_=type_)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Recipe of a query: its maker, all that its text depends on, if that can be said, and its values by name."""

    make: Callable[[], Any]
    shape: Hashable = None
    values: Mapping[str, Any] = field(default_factory=dict)

    def then(self, shape: Hashable, make: Callable[[Any], Any], **values: Any) -> "Recipe":
        """Return the recipe of what is made of this; `shape` says what."""
        whole = None if self.shape is None else (self.shape, shape)
        return Recipe(lambda: make(self.make()), whole, {**self.values, **values})


class _KeptQuery:
    """A query as the driver takes it, and what makes rows of what it returns."""

    def __init__(self, query: Select[Any], dialect: Dialect) -> None:
        self._statement: Statement = prepare(dialect, query)
        self._row: Any = namedtuple("Row", [column.key for column in query.selected_columns])  # type: ignore[misc]
        readers = enumerate(readers_of(dialect, query))
        self._readers = [(place, read) for place, read in readers if read is not None]

    def is_made_of(self, values: Mapping[str, Any]) -> bool:
        """Return whether all of its values are among these."""
        return self._statement.names <= values.keys()

    def rows(self, session: Session, values: Mapping[str, Any]) -> list[Any]:
        """Ask for the rows."""
        statement = self._statement
        result = session.connection().exec_driver_sql(statement.text, statement.parameters(values))
        found = []
        for row in result.all():
            cells = list(row)
            for place, read in self._readers:
                cells[place] = read(cells[place])
            found.append(self._row._make(cells))
        return found


_lock = threading.Lock()
# None for a query that cannot be kept.
_kept: LRUCache[Hashable, _KeptQuery | None] = LRUCache(MAX_QUERIES)


def rows_of(session: Session, recipe: Recipe) -> Sequence[Any]:
    """Return the rows of a query, whose text is made once if it can be kept."""
    if recipe.shape is None:
        return session.execute(recipe.make()).all()
    dialect = session.get_bind().dialect
    key = (dialect.name, recipe.shape)
    with _lock:
        is_known, kept = key in _kept, _kept.get(key)
    if kept is not None:
        return kept.rows(session, recipe.values)
    query = recipe.make()
    if not is_known:
        made = _KeptQuery(query, dialect)
        with _lock:
            _kept[key] = made if made.is_made_of(recipe.values) else None
    return session.execute(query).all()


def forget() -> None:
    """Forget all kept queries."""
    with _lock:
        _kept.clear()
