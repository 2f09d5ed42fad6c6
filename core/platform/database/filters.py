"""Filters of lists: what a caller asks for, and the conditions that it means.

The declarations of a domain say by what its list can be narrowed; what is no column (`q`, `overdue`) is an
`Extra`. `Filters` is made of both once, at import, and the API's parser of the same two.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from sqlalchemy import ColumnElement

from core.platform.database.base import Base
from core.platform.database.json_values import from_json, to_json
from core.platform.database.kept_queries import named
from core.platform.database.ranges import Range
from core.platform.fields.declaration import AnyOf, Exact, Fields, InRange
from core.platform.fields.types import Line, Ref, Type

# Text to look for.
WORDS = Line(200)

Condition = Callable[[Any], ColumnElement[bool] | None]


@dataclass(frozen=True, slots=True)
class Filter:
    """Filter of a list: values by the names of its filters, and bounds by those of its fields."""

    values: Mapping[str, Any] = field(default_factory=dict)
    ranges: Mapping[str, Range] = field(default_factory=dict)

    def get(self, name: str) -> Any:
        """Return the value for a filter, or None if the list is not narrowed by it."""
        return self.values.get(name)

    def also(self, **values: Any) -> "Filter":
        """Return this filter with further values."""
        return replace(self, values={**self.values, **values})

    def to_json(self) -> dict[str, Any]:
        """Return the filter as plain JSON, for the payload of a job."""
        bounds = {name: found.bounds for name, found in self.ranges.items()}
        ranges = {name: {op: to_json(value) for op, value in by.items()} for name, by in bounds.items()}
        return {**{name: value for name, value in self.values.items() if value is not None}, "ranges": ranges}

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> "Filter":
        """Return the filter that `to_json` has made JSON of."""
        given = {name: value for name, value in values.items() if name != "ranges"}
        return cls(
            given,
            {
                name: Range({op: from_json(value) for op, value in bounds.items()})
                for name, bounds in values.get("ranges", {}).items()
            },
        )


@dataclass(frozen=True, slots=True)
class Extra:
    """A filter that is no column. Without a condition, the service itself heeds it."""

    name: str
    type: Type
    description: str
    condition: Condition = lambda value: None


class Filters:
    """The conditions of a list by the names of its filters, in one order for every request."""

    def __init__(self, model: type[Base], fields: Fields, *extras: Extra) -> None:
        self.fields = fields
        self.extras = extras
        self._exact: dict[str, Condition] = {}
        self._ranged: dict[str, Any] = {}
        for one in fields:
            match one.filter:
                case Exact():
                    self._exact[one.name] = _equals(getattr(model, one.name))
                case AnyOf():
                    self._exact[one.name] = _any_of(getattr(model, one.name))
                case InRange():
                    self._ranged[one.name] = getattr(model, one.name)
        self._exact |= {extra.name: extra.condition for extra in extras}
        self.exact, self.ranged = tuple(self._exact), tuple(self._ranged)
        self.of_users = fields.names(lambda one: isinstance(one.filter, Exact) and one.type == Ref("users"))

    def shape(self, filters: Filter) -> Hashable:
        """Return all that the text of the conditions depends on."""
        exact = {name: _shape(value) for name, value in filters.values.items() if value is not None}
        return tuple(exact.items()), tuple((name, tuple(found.bounds)) for name, found in filters.ranges.items())

    def values(self, filters: Filter) -> dict[str, Any]:
        """Return the values of the conditions by their names in a query."""
        found = dict(chain.from_iterable(_values(name, value) for name, value in filters.values.items()))
        for name, bounds in filters.ranges.items():
            found |= bounds.values(name)
        return found

    def conditions(self, filters: Filter) -> Iterable[ColumnElement[bool]]:
        """Yield what a row must meet. Raises KeyError for a filter that is not declared."""
        if unknown := (filters.values.keys() - self._exact.keys()) | (filters.ranges.keys() - self._ranged.keys()):
            raise KeyError(*sorted(unknown))
        for name, condition in self._exact.items():
            value = filters.values.get(name)
            found = None if value is None else condition(value)
            if found is not None:
                yield found
        for name, column in self._ranged.items():
            if name in filters.ranges:
                yield from filters.ranges[name].conditions(column)


def _shape(value: Any) -> Hashable:
    """Return what of a value is a part of the text: what is either true or not, and how many there are."""
    return value if isinstance(value, bool) else len(value) if isinstance(value, list) else None


def _equals(column: Any) -> Condition:
    def condition(value: Any) -> ColumnElement[bool]:
        if isinstance(value, bool):
            return column.is_(value)  # type: ignore[no-any-return]
        [(name, wanted)] = _values(column.key, value)
        found: ColumnElement[bool] = column == named(name, wanted, column.type)
        return found

    return condition


def _any_of(column: Any) -> Condition:
    def condition(values: Any) -> ColumnElement[bool]:
        found: ColumnElement[bool] = column.in_(
            [named(name, value, column.type) for name, value in _values(column.key, values)]
        )
        return found

    return condition


def _values(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the values of a filter by their names in a query."""
    for number, one in enumerate(value if isinstance(value, list) else [value]):
        yield f"wanted_{name}_{number}", one
