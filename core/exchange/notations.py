"""Notations of values in files, written and read back.

A cell of a CSV file is text, and so has to say what a value is: an empty cell is
null, and an apostrophe in front marks a text that a spreadsheet would take for a
formula, or that would be read as something else without it. What `to_cell`
writes, `from_cell` reads as the same value; so do `to_json` and `from_json`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, StrEnum, auto
from typing import Any

from core.platform.fields import types
from core.platform.text import checks
from core.platform.text.checks import MAX_ID


class Cell(Enum):
    """Type of a cell in a workbook."""

    TEXT = auto()
    NUMBER = auto()
    AMOUNT = auto()
    DAY = auto()
    BOOLEAN = auto()


@dataclass(frozen=True, slots=True)
class Notation:
    """Notation of the values of a type in files; nulls are dealt with before. `from_*` raise ValueError."""

    to_cell: Callable[[Any], str]
    from_cell: Callable[[str], Any]
    to_json: Callable[[Any], Any]
    from_json: Callable[[Any], Any]
    cell: Cell = Cell.TEXT


# --- text -------------------------------------------------------------------------

# What spreadsheets take for the beginning of a formula (OWASP, "CSV Injection"), the full-width
# signs of East Asian keyboards included. Some skip white space in front of it.
_SIGN = r"[=+\-@\uFF1D\uFF0B\uFF0D\uFF20]"
_FORMULA = rf"\s*(?:{_SIGN}|[\t\r\n])"
# A text after an apostrophe that was put in front of it: a formula, another apostrophe, or nothing.
_MARKED = re.compile(rf"{_FORMULA}|'|\Z")
_TO_MARK = re.compile(rf"{_FORMULA}|'(?:{_FORMULA}|'|\Z)|\Z")


# A reader that takes another sign than the comma for the separator, as spreadsheets do in half of the
# world, sees quotes that are not its own, and then a new cell behind each separator and line break in the
# text: also at its end, where the quote that closes our cell opens one for that reader.
_BREAK = r"[;|\t\n\x0b\x0c\r\x1c-\x1e\x85\u2028\u2029]"
# White space that is no break, and quotes. No possessive repetition of groups here: Python 3.11.2 matches them wrongly.
_BLANK = r"""[ \x1f\xa0\u1680\u2000-\u200a\u202f\u205f\u3000"]*"""
_CELL_INSIDE = rf"{_BLANK}(?:{_SIGN}|\t|\Z)"
_INSIDE_TO_MARK = re.compile(rf"({_BREAK})(?='*{_CELL_INSIDE})")
_INSIDE_MARKED = re.compile(rf"({_BREAK})'(?='*{_CELL_INSIDE})")


def guard(text: str) -> str:
    """Return the text as a cell in which no spreadsheet sees a formula, and that `unguard` reads as it was."""
    inside = _INSIDE_TO_MARK.sub(r"\1'", text)
    return "'" + inside if _TO_MARK.match(inside) else inside


def unguard(cell: str) -> str:
    """Return the text of a cell. Marks are removed, while an apostrophe that the writer meant, as in 'tis, stays."""
    inside = cell[1:] if cell.startswith("'") and _MARKED.match(cell, 1) else cell
    return _INSIDE_MARKED.sub(r"\1", inside)


def _same(value: Any) -> Any:
    return value


def _text_of_json(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("Must be a string.")
    return value


TEXT = Notation(guard, unguard, _same, _text_of_json)


def choice(words: type[StrEnum]) -> Notation:
    """Return the notation of one of a few words."""

    def read(value: Any) -> StrEnum:
        try:
            return words(checks.strip(value) if isinstance(value, str) else value)
        except ValueError:
            raise ValueError(f"Must be one of {', '.join(words)}.") from None

    return Notation(str, read, str, read)


# --- everything else --------------------------------------------------------------


def whole(least: int, most: int) -> Notation:
    """Return the notation of a whole number."""

    def bounded(value: int | None) -> int:
        if value is None or not least <= value <= most:
            raise ValueError(f"Must be a whole number from {least} to {most}.")
        return value

    def of_cell(cell: str) -> int:
        return bounded(int(cell) if re.fullmatch(r"\s*-?[0-9]{1,19}\s*", cell, re.ASCII) else None)

    def of_json(value: Any) -> int:
        return bounded(value if isinstance(value, int) and not isinstance(value, bool) else None)

    return Notation(str, of_cell, _same, of_json, Cell.NUMBER)


def _amount(value: Decimal) -> Decimal:
    if not value.is_finite() or not 0 <= value < checks.MONEY_LIMIT or not checks.has_whole_cents(value):
        raise ValueError("Must be an amount such as 19.99.")
    return value


def _amount_of_cell(cell: str) -> Decimal:
    return _amount(Decimal(cell if re.fullmatch(r"\s*[0-9]{1,10}(\.[0-9]{1,2})?\s*", cell, re.ASCII) else "NaN"))


def _amount_of_json(value: Any) -> Decimal:
    # A float has lost already what it was.
    return _amount(Decimal(value if isinstance(value, int | Decimal) and not isinstance(value, bool) else "NaN"))


def _day(value: Any) -> date:
    try:
        return checks.day(checks.strip(_text_of_json(value)))
    except ValueError:
        raise ValueError(checks.NO_DAY) from None


def _moment(value: Any) -> datetime:
    try:
        return checks.moment(checks.strip(_text_of_json(value)))
    except ValueError:
        raise ValueError(checks.NO_MOMENT) from None


def _moment_to_text(value: datetime) -> str:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _boolean_to_cell(value: bool) -> str:
    return "true" if value else "false"


def _boolean_of_cell(cell: str) -> bool:
    # Spreadsheets write TRUE.
    word = checks.strip(cell).lower()
    if word not in ("true", "false"):
        raise ValueError("Must be true or false.")
    return word == "true"


def _boolean_of_json(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("Must be true or false.")
    return value


NUMBER = whole(1, MAX_ID)
AMOUNT = Notation("{:f}".format, _amount_of_cell, _same, _amount_of_json, Cell.AMOUNT)
DAY = Notation(date.isoformat, _day, date.isoformat, _day, Cell.DAY)
MOMENT = Notation(_moment_to_text, _moment, _moment_to_text, _moment)
BOOLEAN = Notation(_boolean_to_cell, _boolean_of_cell, _same, _boolean_of_json, Cell.BOOLEAN)


def notation_of(of: types.Type) -> Notation:
    """Return how the values of a declared type are written."""
    match of:
        case types.Choice(words):
            return choice(words)
        case types.Whole(least, most):
            return whole(least, most)
        case types.Id() | types.Ref():
            return NUMBER
        case types.Amount():
            return AMOUNT
        case types.Day():
            return DAY
        case types.Moment():
            return MOMENT
        case types.Flag():
            return BOOLEAN
    return TEXT


def name_of_json(value: Any) -> str:
    """Return the name that JSON means, which may be a number there: other systems number their things."""
    # 1e3 can be written as 1000 too, so it names nothing.
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError("Must be a string or a number.")
    if isinstance(value, Decimal) and (value.adjusted() > 20 or value.as_tuple().exponent > 0):  # type: ignore[operator]
        raise ValueError("Must be a string, or a number without an exponent.")
    return f"{value:f}" if isinstance(value, Decimal) else str(value)
