"""The columns of tasks, posts, items and users in files, and how their values are written and read back.

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
from enum import StrEnum
from typing import Any

from core.platform.access import Role
from core.platform.text import checks
from core.platform.text.checks import MAX_ID
from core.tasks.model import TaskStatus


class Kind(StrEnum):
    """What can be exported and imported."""

    TASKS = "tasks"
    POSTS = "posts"
    ITEMS = "items"
    USERS = "users"


@dataclass(frozen=True, slots=True)
class Notation:
    """How the values of a type are written in files; nulls are dealt with before. `from_*` raise ValueError."""

    to_cell: Callable[[Any], str]
    from_cell: Callable[[str], Any]
    to_json: Callable[[Any], Any]
    from_json: Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Column:
    """One column. Imports set those that are `writable`, look at `external_id`, and ignore all others.

    In JSON, what `is_name` may be a number, because other systems number their things.
    """

    name: str
    notation: Notation
    writable: bool = False
    is_name: bool = False

    def to_cell(self, value: Any) -> str:
        """Return the text of a value in a CSV file; null is an empty cell."""
        return "" if value is None else self.notation.to_cell(value)

    def from_cell(self, cell: str) -> Any:
        """Return the value that a cell of a CSV file means. Raises ValueError with a sentence for its author."""
        return None if cell == "" else self.notation.from_cell(cell)

    def to_json(self, value: Any) -> Any:
        """Return a value as JSON knows it: text, whole number, Decimal, boolean or null."""
        return None if value is None else self.notation.to_json(value)

    def from_json(self, value: Any) -> Any:
        """Return the value that JSON means, its numbers int or Decimal. Raises ValueError with a sentence."""
        if self.is_name and value is not None:
            value = _name_of_json(value)
        return None if value is None else self.notation.from_json(value)


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
    """Return the text of a cell. Marks are removed, while an apostrophe that somebody meant, as in 'tis, stays."""
    inside = cell[1:] if cell.startswith("'") and _MARKED.match(cell, 1) else cell
    return _INSIDE_MARKED.sub(r"\1", inside)


def _same(value: Any) -> Any:
    return value


def _text_of_json(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("Must be a string.")
    return value


def _name_of_json(value: Any) -> str:
    # 1e3 can be written as 1000 too, so it names nothing.
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError("Must be a string or a number.")
    if isinstance(value, Decimal) and (value.adjusted() > 20 or value.as_tuple().exponent > 0):  # type: ignore[operator]
        raise ValueError("Must be a string, or a number without an exponent.")
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


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


def _number(value: int) -> int:
    if not 1 <= value <= MAX_ID:
        raise ValueError(f"Must be a whole number from 1 to {MAX_ID}.")
    return value


def _number_of_cell(cell: str) -> int:
    return _number(int(cell) if re.fullmatch(r"\s*[0-9]{1,19}\s*", cell, re.ASCII) else 0)


def _number_of_json(value: Any) -> int:
    return _number(value if isinstance(value, int) and not isinstance(value, bool) else 0)


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


NUMBER = Notation(str, _number_of_cell, _same, _number_of_json)
AMOUNT = Notation("{:f}".format, _amount_of_cell, _same, _amount_of_json)
DAY = Notation(date.isoformat, _day, date.isoformat, _day)
MOMENT = Notation(_moment_to_text, _moment, _moment_to_text, _moment)
BOOLEAN = Notation(_boolean_to_cell, _boolean_of_cell, _same, _boolean_of_json)

# --- the columns ------------------------------------------------------------------

# By what a thing is known to whoever exchanges it; null where they have never named it.
EXTERNAL_ID = Column("external_id", TEXT, is_name=True)

_ID = Column("id", NUMBER)
_VERSION = Column("version", NUMBER)
_MADE = (Column("created_at", MOMENT), Column("updated_at", MOMENT))

COLUMNS: dict[Kind, tuple[Column, ...]] = {
    Kind.TASKS: (
        EXTERNAL_ID,
        _ID,
        Column("title", TEXT, writable=True),
        Column("description", TEXT, writable=True),
        Column("status", choice(TaskStatus), writable=True),
        Column("due_date", DAY, writable=True),
        Column("owner_id", NUMBER),
        Column("assignee_id", NUMBER, writable=True),
        Column("project_id", NUMBER, writable=True),
        Column("item_id", NUMBER, writable=True),
        _VERSION,
        *_MADE,
        Column("completed_at", MOMENT),
    ),
    Kind.POSTS: (
        EXTERNAL_ID,
        _ID,
        Column("title", TEXT, writable=True),
        Column("content", TEXT, writable=True),
        Column("task_id", NUMBER, writable=True),
        Column("user_id", NUMBER),
        Column("author", TEXT),
        _VERSION,
        *_MADE,
    ),
    Kind.ITEMS: (
        EXTERNAL_ID,
        _ID,
        Column("name", TEXT, writable=True),
        Column("price", AMOUNT, writable=True),
        Column("description", TEXT, writable=True),
        Column("sku", TEXT, writable=True),
        Column("created_by", NUMBER),
        _VERSION,
        *_MADE,
    ),
    Kind.USERS: (
        EXTERNAL_ID,
        _ID,
        Column("username", TEXT, writable=True),
        Column("email", TEXT, writable=True),
        Column("name", TEXT, writable=True),
        Column("role", choice(Role), writable=True),
        Column("is_active", BOOLEAN, writable=True),
        *_MADE,
    ),
}

# What lists and answers have beside these columns. Their rows can be imported as they are.
ONLY_IN_ANSWERS: dict[Kind, frozenset[str]] = {
    Kind.TASKS: frozenset({"deleted_at"}),
    Kind.POSTS: frozenset(),
    Kind.ITEMS: frozenset(),
    Kind.USERS: frozenset(),
}
