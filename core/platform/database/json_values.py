"""Values of any type as plain JSON and back, for cursors and for the payloads of jobs."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID


def to_json(value: Any) -> Any:
    """Return a value as JSON that `from_json` turns back into it. A StrEnum equals its text, so it stays."""
    if isinstance(value, datetime):
        return {"at": value.isoformat()}
    if isinstance(value, date):
        return {"on": value.isoformat()}
    if isinstance(value, UUID):
        return {"id": value.hex}
    if isinstance(value, Decimal):
        return {"of": str(value)}
    return value


def from_json(value: Any) -> Any:
    """Return the value that `to_json` has made JSON of."""
    match value:
        case {"at": text}:
            return datetime.fromisoformat(text)
        case {"on": text}:
            return date.fromisoformat(text)
        case {"id": text}:
            return UUID(hex=text)
        case {"of": text}:
            return Decimal(text)
    return value
