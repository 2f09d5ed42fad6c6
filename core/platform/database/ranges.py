"""Lower and upper bounds of a filter such as `due_date[gte]`, and filters as JSON."""

import operator
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from sqlalchemy import ColumnElement

from core.platform.database.json_values import plain, rich

OPERATORS = {"eq": operator.eq, "gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}


@dataclass(frozen=True, slots=True)
class Range:
    """Bounds by operator name; every one of them must hold."""

    bounds: dict[str, Any]

    def conditions(self, column: Any) -> list[ColumnElement[bool]]:
        return [OPERATORS[name](column, value) for name, value in self.bounds.items()]


Filter = TypeVar("Filter")


def filter_to_json(narrowed: Any) -> dict[str, Any]:
    """Return what a list is narrowed to, a dataclass such as TaskFilter, as plain JSON for the payload of a job."""
    values = {field.name: getattr(narrowed, field.name) for field in fields(narrowed)}
    given = {name: value for name, value in values.items() if value is not None and name != "ranges"}
    bounds = {name: found.bounds for name, found in values.get("ranges", {}).items()}
    return {**given, "ranges": {name: {op: plain(value) for op, value in by.items()} for name, by in bounds.items()}}


def filter_from_json(filter_type: type[Filter], values: Mapping[str, Any]) -> Filter:
    """Return the filter that `filter_to_json` has made JSON of."""
    given = {name: value for name, value in values.items() if name != "ranges"}
    ranges = {
        name: Range({op: rich(value) for op, value in bounds.items()})
        for name, bounds in values.get("ranges", {}).items()
    }
    return filter_type(**given, **({"ranges": ranges} if ranges else {}))
