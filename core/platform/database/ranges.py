"""Lower and upper bounds of a filter such as `due_date[gte]`."""

import operator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement

OPERATORS = {"eq": operator.eq, "gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le}


@dataclass(frozen=True, slots=True)
class Range:
    """Bounds by operator name; every one of them must hold."""

    bounds: dict[str, Any]

    def conditions(self, column: Any) -> list[ColumnElement[bool]]:
        return [OPERATORS[name](column, value) for name, value in self.bounds.items()]
