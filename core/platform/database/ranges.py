"""Lower and upper bounds of a filter such as `due_date[gte]`."""

import operator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement

from core.platform.database.kept_queries import named

OPERATORS = {"eq": operator.eq, "gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}


@dataclass(frozen=True, slots=True)
class Range:
    """Bounds by operator name; every one of them must hold."""

    bounds: dict[str, Any]

    def conditions(self, column: Any) -> list[ColumnElement[bool]]:
        given = self.values(column.key)
        return [
            OPERATORS[operator](column, named(name, value, column.type))
            for operator, (name, value) in zip(self.bounds, given.items(), strict=True)
        ]

    def values(self, name: str) -> dict[str, Any]:
        """Return the bounds by their names in a query, for a column of this name."""
        return {f"wanted_{name}_{operator}": value for operator, value in self.bounds.items()}
