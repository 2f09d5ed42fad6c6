"""Parameters of queries: parsers to declare them with, and the types of their values."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from flask_restx import reqparse

from api.http.input.fields import NOT_EMPTY, STORABLE
from core.platform.database.paging import MAX_PAGE, MAX_PER_PAGE
from core.platform.database.ranges import OPERATORS
from core.platform.text import checks, zones
from core.platform.text.checks import MAX_ID
from core.platform.text.faults import nearest

# A day, or a moment (RFC 3339) whose seconds and zone are optional.
MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d)(:\d\d(?:\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?", re.ASCII | re.IGNORECASE)

Converter = Callable[[str], Any]
PAGING = ("page", "per_page", "cursor", "sort")
NO_PARAMETERS = reqparse.RequestParser()


def _documented(convert: Converter, **schema: Any) -> Converter:
    convert.__schema__ = schema  # type: ignore[attr-defined]
    return convert


def _documented_list(items: Mapping[str, Any], convert: Converter) -> Converter:
    # Generated clients that heed this repeat the parameter, and those that do not send commas: both is taken.
    return _documented(convert, type="array", items=items, collectionFormat="multi", minItems=1)


def is_list(argument: reqparse.Argument) -> bool:
    """Return whether a parameter takes several values, repeated or with commas between them."""
    schema: Mapping[str, Any] = getattr(argument.type, "__schema__", {})
    return schema.get("type") == "array"


def integer(*, minimum: int = 1, maximum: int = MAX_ID) -> Converter:
    """Return a converter for whole numbers."""

    def convert(value: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,19}", value) or not minimum <= int(value) <= maximum:
            raise ValueError(f"Must be an integer from {minimum} to {maximum}.")
        return int(value)

    return _documented(convert, type="integer", format="int64", minimum=minimum, maximum=maximum)


def one_or_more(choices: Iterable[str]) -> Converter:
    """Return a converter for a comma-separated list of fixed words or enum values."""
    by_word = {str(choice): choice for choice in choices}

    def convert(value: str) -> list[str]:
        words = set(value.split(","))
        if unknown := words - by_word.keys():
            raise ValueError(f"Must be one of {', '.join(by_word)}.{nearest(min(unknown), by_word)}")
        # In one order and each once, so that one list has one spelling, one tag and one cursor.
        return [choice for word, choice in by_word.items() if word in words]

    return _documented_list({"type": "string", "enum": list(by_word)}, convert)


def one_of(choices: Iterable[str], *, aliases: Mapping[str, str] = MappingProxyType({})) -> Converter:
    """Return a converter for one of some fixed words or enum values; an alias means the word that it leads to."""
    by_word = {str(choice): choice for choice in choices}
    by_word |= {alias: by_word[word] for alias, word in aliases.items()}

    def convert(value: str) -> str:
        if value not in by_word:
            raise ValueError(f"Must be one of {', '.join(by_word)}.{nearest(value, by_word)}")
        return by_word[value]

    return _documented(convert, type="string", enum=list(by_word))


def text(longest: int, *, example: str) -> Converter:
    """Return a converter for text that is not blank. Swagger UI fills the example in."""

    def convert(value: str) -> str:
        if not checks.strip(value) or len(value) > longest or "\x00" in value:
            raise ValueError(f"Must be 1 to {longest} characters long and not blank.")
        return value

    schema = {"type": "string", "minLength": 1, "maxLength": longest, "pattern": NOT_EMPTY, "x-example": example}
    return _documented(convert, **schema)


def boolean(value: str) -> bool:
    """Convert `true` or `false`."""
    if value not in ("true", "false"):
        raise ValueError("Must be true or false.")
    return value == "true"


def day(value: str) -> date:
    """Convert a calendar day, ISO 8601."""
    try:
        return checks.day(value)
    except ValueError:
        raise ValueError(checks.NO_DAY) from None


def moment(value: str) -> datetime:
    """Convert a moment (RFC 3339), or a day, which means its first moment in UTC."""
    # An unencoded '+' arrives as a space.
    found = MOMENT.fullmatch(value.replace(" ", "+", 1))
    try:
        if found is None:
            raise ValueError
        on, minute, second, offset = found.groups()
        return checks.moment(f"{on}T{minute or '00:00'}{second or ':00'}{offset or 'Z'}")
    except ValueError:
        raise ValueError("Must be a moment such as 2026-11-20T09:30:00Z.") from None


def user_reference(value: str) -> int | str:
    """Convert a user id, or `me`."""
    return value if value == "me" else integer()(value)


def amount(value: str) -> Decimal:
    """Convert an exact amount of money."""
    if not re.fullmatch(r"[0-9]{1,10}(\.[0-9]{1,2})?", value):
        raise ValueError("Must be an amount such as 19.99.")
    return Decimal(value)


def zone(value: str) -> ZoneInfo:
    """Convert the name of a time zone."""
    return zones.find(value)


def words(value: str) -> str:
    """Convert text to look for."""
    if not 1 <= len(value) <= 200 or "\x00" in value:
        raise ValueError("Must be 1 to 200 characters long.")
    return value


_documented(boolean, type="boolean")
_documented(day, type="string", format="date")
_documented(moment, type="string", format="date-time")
_documented(user_reference, type="string", pattern="^(me|[1-9][0-9]{0,18})$")
_documented(amount, type="number", format="decimal", minimum=0, maximum=int(checks.MONEY_LIMIT), exclusiveMaximum=True)
_documented(zone, type="string")
_documented(words, type="string", minLength=1, maxLength=200, pattern=STORABLE)


def parser() -> reqparse.RequestParser:
    """Return a parser for the parameters of one operation."""
    return reqparse.RequestParser(bundle_errors=True)


def add(target: reqparse.RequestParser, name: str, convert: Converter, text: str, **options: Any) -> None:
    """Add a query parameter."""
    target.add_argument(name, type=convert, location="args", help=text, store_missing=False, **options)


def list_parser(sortable: Mapping[str, Any], default_sort: str, *, identity: str = "id") -> reqparse.RequestParser:
    """Return a parser with the parameters that every list has."""
    target = parser()
    add(target, "page", integer(maximum=MAX_PAGE), "The number of the page, from 1.")
    add(target, "per_page", integer(maximum=MAX_PER_PAGE), "Entries on a page; 20 by default.")
    add(target, "cursor", str, "next_cursor of the page before; empty for the first. Instead of page.")
    names = sorted({*sortable, identity})
    order = (
        f"Comma-separated or repeated, '-' for descending, each at most once: {', '.join(names)}."
        f" Default: {default_sort}."
    )
    add(target, "sort", _order_by(names), order)
    return target


def _order_by(names: Sequence[str]) -> Converter:
    """Return a converter for a sort order that documents its words, for `core.platform.database.paging`."""
    words = [sign + name for name in names for sign in ("", "-")]
    return _documented_list({"type": "string", "enum": words}, lambda value: value)


# In the order of the words: of moments, of days, of numbers.
_BOUNDS = {
    "eq": ("exactly at", "exactly on", "exactly"),
    "gt": ("after", "after", "greater than"),
    "gte": ("at or after", "on or after", "greater than or equal to"),
    "lt": ("before", "before", "less than"),
    "lte": ("at or before", "on or before", "less than or equal to"),
}


def add_range(target: reqparse.RequestParser, name: str, convert: Converter, subject: str) -> None:
    """Add `name` and `name[gte]` and so on, each with a sentence that begins with `subject`."""
    for operator in OPERATORS:
        of_moments, of_days, of_numbers = _BOUNDS[operator]
        if convert is moment:
            bound = f"{of_moments} this moment"
        elif convert is day:
            bound = f"{of_days} this day"
        else:
            bound = f"{of_numbers} this"
        add(target, name if operator == "eq" else f"{name}[{operator}]", convert, f"{subject} {bound}.")
