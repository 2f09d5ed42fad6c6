"""A row of an import, from reading to its outcome."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from core.platform.errors import DomainError


class RowOutcome(StrEnum):
    """Outcome of a row."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    NOT_STORED = "not_stored"


@dataclass(slots=True)
class RawRow:
    """One row as it was found. `number` counts rows from 1, `line` is where it begins; a problem concerns all of it."""

    number: int
    line: int
    values: dict[str, Any]
    problem: str | None = None
    field: str = ""


@dataclass(slots=True)
class JudgedRow:
    """One row, understood. Without an outcome it is to be stored; `thing_id` is what it changes, if that exists."""

    number: int
    line: int
    external_id: str | None = None
    thing_id: int | None = None
    outcome: RowOutcome | None = None
    values: dict[str, Any] = field(default_factory=dict)
    problems: list[tuple[str, str]] = field(default_factory=list)

    def fail(self, refusal: DomainError) -> None:
        """Note why this row cannot be stored."""
        self.outcome = RowOutcome.FAILED
        if refusal.details:
            self.problems += [(name, text) for name, sentences in refusal.details.items() for text in sentences]
        else:
            self.problems.append(("", refusal.message))


@dataclass(slots=True)
class Counts:
    """Number of rows, in all and by outcome."""

    rows: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    failed: int = 0

    def add(self, outcome: RowOutcome | None) -> None:
        """Count a row that has an outcome."""
        if outcome is not None and outcome is not RowOutcome.NOT_STORED:
            setattr(self, outcome, getattr(self, outcome) + 1)
