"""Order of an import, and the refusals of it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from core.exchange.columns import Kind
from core.exchange.imports.parsers import Format
from core.platform.errors import JobFailed


class OnError(StrEnum):
    """Choice for an import in which a row is wrong."""

    ABORT = "abort"
    SKIP = "skip"


class Match(StrEnum):
    """By what a row finds the thing that it changes."""

    EXTERNAL_ID = "external_id"
    ID = "id"


class ImportRefused(JobFailed):
    """Refusal of an import as a whole; the report says why."""


class RowsRefused(ImportRefused):
    """The file was read to its end, and some of its rows cannot be stored."""


@dataclass(frozen=True, slots=True)
class Order:
    """Order for a file: its kind, its format and the choices of the caller."""

    kind: Kind
    format: Format
    dry_run: bool = False
    on_error: OnError = OnError.ABORT
    match: Match = Match.EXTERNAL_ID

    def payload(self) -> dict[str, Any]:
        """Return the order as plain JSON."""
        return {name: str(value) if isinstance(value, StrEnum) else value for name, value in asdict(self).items()}

    @classmethod
    def of(cls, payload: Mapping[str, Any]) -> "Order":
        """Return the order of a payload."""
        return cls(
            kind=Kind(payload["kind"]),
            format=Format(payload["format"]),
            dry_run=payload["dry_run"],
            on_error=OnError(payload["on_error"]),
            match=Match(payload["match"]),
        )
