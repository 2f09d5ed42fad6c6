"""The rows of a list in its order, and after a row of it, said so that an index finds each part.

Planners look for rows of an OR by looking at all rows, and PostgreSQL's indexes have no
descending order with nulls at its end. So a list is put together of parts that have neither:
one for each way to see a row, and one each for rows with and without a value to sort by.
Each part gives no more rows than the page has.
"""

from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Select,
    SelectBase,
    and_,
    func,
    literal_column,
    or_,
    select,
    true,
    tuple_,
    union,
)
from sqlalchemy.orm import InstrumentedAttribute

from core.platform.database.kept_queries import named
from core.platform.errors import Malformed


@dataclass(frozen=True, slots=True)
class Way:
    """Way to rows of a list: those with one of some values in a column, and the index that leads to them in an order.

    Without such an index being named, SQLite would guess. PostgreSQL knows better, but for many
    values it would rather look at all rows in their order; so it is asked for those of each value.
    """

    column: InstrumentedAttribute[Any]
    values: Any
    index: str
    sorted_by: str = "created_at"

    @property
    def condition(self) -> ColumnElement[bool]:
        if isinstance(self.values, SelectBase):
            return self.column.in_(self.values)
        return self.column.is_(None) if self.values is None else self.column == self.values

    def narrow(self, query: Select[Any]) -> Select[Any]:
        return query.where(self.condition).with_hint(self.column.parent, f"INDEXED BY {self.index}", "sqlite")

    def first(self, query: Select[Any], most: BindParameter[int], *, sort: str | None, is_sqlite: bool) -> Select[Any]:
        """Return the query for at most so many of the rows, the first ones in the order of `query`, or for more.

        `sort` names the first key of that order, if there is one.
        """
        if is_sqlite:
            return select(self.narrow(query).limit(most).subquery())
        if sort not in (None, self.sorted_by):
            # Else it might walk along the order of all rows. What is in front of an OFFSET is planned by itself.
            return select(self.narrow(query).order_by(None).offset(_NOTHING).subquery())
        if not isinstance(self.values, SelectBase):
            return select(self.narrow(query).limit(most).subquery())
        given = self.values.subquery()
        rows = query.where(self.column == given.c[0]).limit(most).lateral()
        return select(rows).select_from(given.join(rows, true()))


@dataclass(frozen=True, slots=True)
class Guide:
    """Indexes for a list that is narrowed: the one that leads to its rows, and those of sorts, by their first key.

    A planner may look for a few rows along the order of all, as if they were everywhere; and
    SQLite may collect and sort most of a table for one page.
    """

    to_few: str
    by_sort: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Key:
    """One part of the sort order."""

    column: InstrumentedAttribute[Any]
    name: str
    descending: bool
    nullable: bool

    def ordered(self, column: Any = None) -> ColumnElement[Any]:
        """Return the order by this key, or by a column that has its values, nulls last."""
        column = self.column if column is None else column
        directed: ColumnElement[Any] = column.desc() if self.descending else column.asc()
        return directed.nulls_last() if self.nullable else directed


@dataclass(frozen=True, slots=True)
class Span:
    """Rows of a list: so many behind a row that has these values of the keys, and behind those that are skipped."""

    after: Sequence[Any] | None
    skipped: int
    size: int

    @property
    def shape(self) -> Hashable:
        """All that the text of a query depends on: whether rows are skipped, and which values are null."""
        return bool(self.skipped), None if self.after is None else tuple(value is None for value in self.after)

    def values(self, keys: Sequence[Key]) -> dict[str, Any]:
        """Return the values of a query for these rows, by their names."""
        after = {} if self.after is None else {_after(k): v for k, v in zip(keys, self.after, strict=True)}
        return {"page_size": self.size, "page_most": self.skipped + self.size, "page_skipped": self.skipped, **after}

    @property
    def most(self) -> BindParameter[int]:
        """So many rows of each part may be among them."""
        return named("page_most", self.skipped + self.size, BigInteger())

    def cut(self, query: Select[Any]) -> Select[Any]:
        """Return the query for just these rows of one that is behind and in order."""
        shown = query.limit(named("page_size", self.size, BigInteger()))
        return shown.offset(named("page_skipped", self.skipped, BigInteger())) if self.skipped else shown


# Skipped in front of what is to be planned by itself.
_NOTHING: ColumnElement[int] = literal_column("0")


def _after(key: Key) -> str:
    return f"after_{key.name}"


def keys_of(
    sort: str,
    sortable: Mapping[str, InstrumentedAttribute[Any]],
    identity: InstrumentedAttribute[Any],
    *,
    filled: Collection[str] = (),
) -> list[Key]:
    """Return the keys of a sort order, one of which tells all rows apart. Raises Malformed for a bad sort.

    `filled` are columns in which no row of the list is null, although others may be.
    """
    columns = {**sortable, identity.key: identity}
    keys: list[Key] = []
    for part in sort.split(","):
        name = part.removeprefix("-")
        if name not in columns or any(key.name == name for key in keys):
            raise Malformed(
                "The list cannot be sorted like this.",
                details={"sort": [f"Use each of {', '.join(sorted(columns))} at most once, with '-' for descending."]},
            )
        column = columns[name]
        nullable = bool(column.property.columns[0].nullable) and name not in filled
        keys.append(Key(column, name, part.startswith("-"), nullable))
    if any(key.name == identity.key for key in keys):
        return keys
    # The tie-break runs the same way as the last key, so that one index serves both.
    return [*keys, Key(columns[identity.key], identity.key, keys[-1].descending, False)]


def deciding(keys: Sequence[Key], identity: InstrumentedAttribute[Any]) -> Sequence[Key]:
    """Return the keys up to the one that tells all rows apart, behind which nothing is left to be decided."""
    return keys[: [key.name for key in keys].index(identity.key) + 1]


def order_by(keys: Sequence[Key]) -> list[ColumnElement[Any]]:
    """Return the order of the whole list, nulls last."""
    return [key.ordered() for key in keys]


def count_up_to(
    number: int, query: Select[Any], ways: Sequence[Way], identity: InstrumentedAttribute[Any], *, is_sqlite: bool
) -> Select[int]:
    """Return the query for the number of rows, at most so many, each once. That is its value `most_counted`."""
    most = named("most_counted", number, BigInteger())
    found = query.with_only_columns(identity.label("id"), maintain_column_froms=True)
    # A LIMIT must stand in a query of its own, and a UNION has each row once.
    parts = [way.first(found, most, sort=None, is_sqlite=is_sqlite) for way in ways]
    if not is_sqlite:  # There it stands already, and would be looked at twice for each row.
        parts = [select(part.limit(most).subquery()) for part in parts]
    merged = union(*parts) if parts else found.limit(most)
    return select(func.count().label("number")).select_from(merged.subquery())


def part_of(
    query: Select[Any],
    keys: Sequence[Key],
    ways: Sequence[Way],
    span: Span,
    *,
    is_sqlite: bool,
    lacking: str | None = None,
) -> Select[Any]:
    """Return the query for a span of the rows in the order of `keys`.

    `lacking` is the index of the rows that lack a value of the first key, in the order of their numbers.
    """
    parts = list(_parts(query, keys, span.after, None if ways or len(keys) > 2 else lacking))
    if len(parts) == 1 and not ways:
        return span.cut(parts[0])
    found: list[Select[Any]] = []
    for part in parts:
        listed = _listed(part, keys)
        found += [way.first(listed, span.most, sort=keys[0].name, is_sqlite=is_sqlite) for way in ways]
        found += [] if ways else [select(listed.limit(span.most).subquery())]
    return _merged(query, keys, found, span)


def guided_part_of(query: Select[Any], keys: Sequence[Key], guide: Guide, span: Span, *, are_few: bool) -> Select[Any]:
    """Return the same for rows of which is known whether they are few; few are collected before they are sorted."""
    model = keys[0].column.parent
    if are_few:
        query_of_few = query.with_hint(model, f"INDEXED BY {guide.to_few}", "sqlite")
        # PostgreSQL plans what is in front of an OFFSET by itself.
        parts = [_listed(part, keys).order_by(None).offset(_NOTHING) for part in _parts(query_of_few, keys, span.after)]
        return _merged(query, keys, [select(part.subquery()) for part in parts], span)
    index = guide.by_sort.get(keys[0].name)
    in_order = query if index is None else query.with_hint(model, f"INDEXED BY {index}", "sqlite")
    parts = list(_parts(in_order, keys, span.after))
    if len(parts) == 1:
        return span.cut(parts[0])
    return _merged(query, keys, [select(_listed(part, keys).limit(span.most).subquery()) for part in parts], span)


def _listed(part: Select[Any], keys: Sequence[Key]) -> Select[Any]:
    columns = (key.column.label(f"key{number}") for number, key in enumerate(keys))
    return part.with_only_columns(*columns, maintain_column_froms=True)


def _merged(query: Select[Any], keys: Sequence[Key], found: Sequence[Select[Any]], span: Span) -> Select[Any]:
    # Whoever sees a row in two ways gets it once.
    merged = union(*found).subquery() if len(found) > 1 else found[0].subquery()
    order = [key.ordered(merged.c[f"key{number}"]) for number, key in enumerate(keys)]
    shown = span.cut(select(merged.c[f"key{len(keys) - 1}"]).order_by(*order))
    return query.where(keys[-1].column.in_(shown)).order_by(*order_by(keys))


def _parts(
    query: Select[Any], keys: Sequence[Key], after: Sequence[Any] | None, lacking: str | None = None
) -> Iterator[Select[Any]]:
    """Yield the rows behind a row of the list, in its order: those with and those without a value of the first key."""
    first, others = keys[0], keys[1:]
    if not first.nullable:
        yield _behind(query, keys, after).order_by(*order_by(keys))
        return
    if after is None or after[0] is not None:
        there = Key(first.column, first.name, first.descending, nullable=False)
        rows = _behind(query.where(first.column.is_not(None)), [there, *others], after)
        yield rows.order_by(*order_by([there, *others]))
    rest = after[1:] if after is not None and after[0] is None else None
    if lacking is not None:
        query = query.with_hint(first.column.parent, f"INDEXED BY {lacking}", "sqlite")
    yield _behind(query.where(first.column.is_(None)), others, rest).order_by(*order_by(others))


def _behind(query: Select[Any], keys: Sequence[Key], values: Sequence[Any] | None) -> Select[Any]:
    """Return the query for rows whose values of the keys come after these."""
    if values is None:
        return query
    first, value = keys[0], values[0]
    if len(keys) == 1:
        return query.where(_beyond(first, value))
    if all(key.descending == first.descending and not key.nullable for key in keys):
        # As a whole, so that an index finds the place among rows that are alike in the first value.
        columns = tuple_(*(key.column for key in keys))
        bounds = tuple_(*(_value(key, value) for key, value in zip(keys, values, strict=True)))
        return query.where(columns < bounds if first.descending else columns > bounds)
    alternatives = []
    for index, (key, value) in enumerate(zip(keys, values, strict=True)):
        if value is not None:  # Nulls are last: nothing comes after them in this column.
            equal = [_equal(k, v) for k, v in zip(keys[:index], values[:index], strict=True)]
            alternatives.append(and_(*equal, _beyond(key, value)))
    if not first.nullable:
        # Redundant, but it lets the engine start its index scan in the right place.
        bound = _value(first, values[0])
        query = query.where(first.column <= bound if first.descending else first.column >= bound)
    return query.where(or_(*alternatives))


def _value(key: Key, value: Any) -> BindParameter[Any]:
    return named(_after(key), value, key.column.type)


def _beyond(key: Key, value: Any) -> ColumnElement[bool]:
    bound = _value(key, value)
    beyond: ColumnElement[bool] = key.column < bound if key.descending else key.column > bound
    return or_(beyond, key.column.is_(None)) if key.nullable else beyond


def _equal(key: Key, value: Any) -> ColumnElement[bool]:
    return key.column.is_(None) if value is None else key.column == _value(key, value)
