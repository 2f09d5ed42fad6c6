"""Column types, alike on both engines."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Enum, Integer, Numeric
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.types import TypeDecorator, TypeEngine


class UtcDateTime(TypeDecorator[datetime]):
    """A timezone-aware moment, stored and returned in UTC on every engine."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("A moment without a time zone cannot be stored.")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None] | None:
        # Text, of which a moment is made at once: a page of a list has a hundred of them.
        return _moment_of_text if dialect.name == "sqlite" else super().result_processor(dialect, coltype)


def _moment_of_text(value: str | None) -> datetime | None:
    if value is None:
        return None
    moment = datetime.fromisoformat(value)
    # Only what another program has written has an offset.
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class Money(TypeDecorator[Decimal]):
    """An exact amount with two decimal places.

    SQLite has no decimal type and would store a float, so there it is a whole
    number of cents, which also compares and sorts as an amount should.
    """

    impl = Numeric(12, 2)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(BigInteger())
        return dialect.type_descriptor(Numeric(12, 2))

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        if value is None or dialect.name != "sqlite":
            return value
        return int(value * 100)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        if value is None:
            return None
        return Decimal(value).scaleb(-2) if dialect.name == "sqlite" else value


# SQLite numbers rows by itself only in a column declared exactly INTEGER.
BigId = BigInteger().with_variant(Integer, "sqlite")


def enum_type(choices: type[StrEnum], name: str) -> Enum:
    """Return the type of a column that holds one of `choices`, as text with a check constraint."""
    values = [str(choice) for choice in choices]
    return Enum(
        choices, native_enum=False, length=20, name=name, create_constraint=True, values_callable=lambda _: values
    )


def as_created(context: DefaultExecutionContext) -> Any:
    """Return, as the default of a new row's `updated_at`, when it was created: the same moment, not one just after."""
    return context.get_current_parameters()["created_at"]  # type: ignore[no-untyped-call]
