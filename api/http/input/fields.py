"""Fields that Flask-RESTX lacks: nullable ones, trimmed text, exact 64-bit ids.

Swagger 2.0 cannot say that a value may be null; `x-nullable` is the extension
that its tools understand, and what our validation reads.
"""

from functools import cached_property
from typing import Any, TypeVar

from flask_restx import fields

from core.platform.text.checks import MAX_ID, MONEY_LIMIT, NOT_SEEN

# Regular expressions of ECMA 262, as the document has them, but without `\s` alone, which each language understands in
# its own way, and without `$`, which some take for the end of the last line.
_END = r"(?![\s\S])"
# Neither NUL nor core.platform.text.checks.WHITE_SPACE.
_EDGE = r"[^\u0000\u0009-\u000d\u0020\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]"
STORABLE = rf"^[^\u0000]*{_END}"
# Something of it is no white space. What cannot be seen may be looked for.
NOT_EMPTY = rf"^[^\u0000]*{_EDGE}[^\u0000]*{_END}"
# Something of it can be seen.
NOT_BLANK = rf"^[^\u0000]*[^{NOT_SEEN}][^\u0000]*{_END}"
# And there is no white space at either end.
TRIMMED = rf"^(?:{_EDGE}[^\u0000]*)?[^{NOT_SEEN}](?:[^\u0000]*{_EDGE})?{_END}"

Field = TypeVar("Field", bound=fields.Raw)


class _Nullable:
    """Mixed into a field by `nullable`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.shows_null = kwargs.get("example", ...) is None
        super().__init__(*args, **kwargs)

    @cached_property
    def __schema__(self) -> dict[str, Any]:
        # Flask-RESTX drops what is None. Without an example, Swagger UI fills an id in with its upper bound.
        schema: dict[str, Any] = super().__schema__  # type: ignore[misc]
        return {**schema, "example": None} if self.shows_null else schema

    def schema(self) -> dict[str, Any]:
        return {**super().schema(), "x-nullable": True}  # type: ignore[misc]


def nullable(cls: type[Field]) -> type[Field]:
    """Return such fields whose value may be null, which is also their example if that is said to be None."""
    return type(f"Nullable{cls.__name__}", (_Nullable, cls), {})


class Text(fields.String):
    """Text, kept as it was sent."""

    def schema(self) -> dict[str, Any]:
        schema = super().schema()
        return {**schema, "pattern": schema.get("pattern") or STORABLE}


class Line(fields.String):
    """Text that is trimmed before its length is checked, and not blank."""

    trim = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("min_length", 1)
        super().__init__(*args, **kwargs)

    def schema(self) -> dict[str, Any]:
        # Of other text, it depends on what is left of it, which only the pattern tells those who read the document.
        schema = super().schema()
        return {**schema, "pattern": schema.get("pattern") or TRIMMED}


class Email(Line):
    __schema_format__ = "email"


class Zone(Line):
    """The name of a time zone."""

    __schema_format__ = "time-zone"


class Prose(fields.String):
    """Text that is kept as it was sent, and is not blank."""

    def schema(self) -> dict[str, Any]:
        return {**super().schema(), "pattern": NOT_BLANK}


class Password(fields.String):
    __schema_format__ = "password"


class Id(fields.Integer):
    """A number that names a row."""

    __schema_format__ = "int64"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"min": 1, "max": MAX_ID, "example": 7, **kwargs})


class Money(fields.NumberMixin, fields.Raw):
    """An exact amount from 0 with at most two decimal places: Decimal in, Decimal out."""

    # Not `multipleOf: 0.01`: whoever checks that in floats refuses 19.99.
    __schema_format__ = "decimal"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"min": 0, "max": int(MONEY_LIMIT), "exclusiveMax": True, "example": 19.99, **kwargs})


class Date(fields.String):
    """A calendar day, ISO 8601."""

    __schema_format__ = "date"


class Moment(fields.String):
    """A moment, RFC 3339 in UTC with `Z`."""

    __schema_format__ = "date-time"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"example": "2026-11-20T09:30:00Z", **kwargs})


class Anything(fields.Raw):
    """Any JSON value. Swagger 2.0 says that by naming no type."""

    __schema_type__ = None

    def schema(self) -> dict[str, Any]:
        return {**super().schema(), "x-any-type": True}


NullableBoolean = nullable(fields.Boolean)
NullableId = nullable(Id)
NullableInteger = nullable(fields.Integer)
NullableLine = nullable(Line)
NullableList = nullable(fields.List)
NullableMoment = nullable(Moment)
NullableNumber = nullable(fields.Float)
NullableObject = nullable(fields.Raw)
NullableText = nullable(Text)
