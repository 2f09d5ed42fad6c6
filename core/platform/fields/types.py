"""Types of fields: what a value may be. Bodies, queries, files and rows all obey the same bounds.

`api.http.input.declared` says how each is documented, `core.exchange.notations` how it is written in files.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from core.platform.errors import Invalid
from core.platform.text import checks


class Type:
    """A type of values. By default every value is fine, and JSON knows it as it is."""

    def check(self, name: str, value: Any) -> Any:
        """Return the value of a field as it is stored. Raises Invalid."""
        return value

    def check_sent(self, name: str, value: Any) -> None:
        """Raise Invalid for what is fine in a row, where a worker may have put it, but not from people."""

    def restore(self, plain: Any) -> Any:
        """Return the value that was written as JSON, where JSON has no type for it."""
        return plain


@dataclass(frozen=True, slots=True)
class Line(Type):
    """Text that is trimmed, and not blank."""

    longest: int
    shortest: int = 1

    def check(self, name: str, value: Any) -> str:
        return checks.line(name, value, shortest=self.shortest, longest=self.longest)


@dataclass(frozen=True, slots=True)
class Prose(Type):
    """Text that is kept as it was sent, and not blank."""

    longest: int

    def check(self, name: str, value: Any) -> str:
        return checks.body(name, value, longest=self.longest)


@dataclass(frozen=True, slots=True)
class Text(Type):
    """Text that is kept as it was sent. One that `grows` is only bounded for people: workers append to it."""

    longest: int
    grows: bool = False

    def check(self, name: str, value: Any) -> str:
        text = checks.storable(name, value)
        return text if self.grows else checks.at_most(name, text, self.longest)

    def check_sent(self, name: str, value: Any) -> None:
        checks.at_most(name, value, self.longest)


@dataclass(frozen=True, slots=True)
class Word(Type):
    """Text of a pattern; `refusal` is the sentence for any other."""

    pattern: re.Pattern[str]
    shortest: int
    longest: int
    refusal: str

    def check(self, name: str, value: Any) -> str:
        return checks.matching(name, value, self.pattern, self.refusal)


@dataclass(frozen=True, slots=True)
class Email(Type):
    """An address, ASCII before the at sign."""

    longest: int

    def check(self, name: str, value: Any) -> str:
        return checks.email(value)


@dataclass(frozen=True, slots=True)
class Zone(Type):
    """The name of a time zone."""

    longest: int

    def check(self, name: str, value: Any) -> str:
        return checks.time_zone(name, value)


@dataclass(frozen=True, slots=True)
class Label(Type):
    """Text that the server makes."""


@dataclass(frozen=True, slots=True)
class Choice(Type):
    """One of a few words."""

    words: type[StrEnum]

    def restore(self, plain: Any) -> StrEnum:
        return self.words(plain)


@dataclass(frozen=True, slots=True)
class Flag(Type):
    """True or false."""


@dataclass(frozen=True, slots=True)
class Whole(Type):
    """A whole number."""

    least: int
    most: int

    def check(self, name: str, value: Any) -> int:
        if not self.least <= value <= self.most:
            sentence = f"Must be a whole number from {self.least} to {self.most}."
            raise Invalid("The request has invalid fields.", details={name: [sentence]})
        return int(value)


@dataclass(frozen=True, slots=True)
class Amount(Type):
    """An exact amount of money."""

    def check(self, name: str, value: Any) -> Decimal:
        return checks.money(name, value)

    def restore(self, plain: Any) -> Decimal:
        return Decimal(plain)


@dataclass(frozen=True, slots=True)
class Day(Type):
    """A calendar day."""

    def restore(self, plain: Any) -> date:
        return date.fromisoformat(plain)


@dataclass(frozen=True, slots=True)
class Moment(Type):
    """A moment, in UTC."""

    def restore(self, plain: Any) -> datetime:
        return datetime.fromisoformat(plain)


@dataclass(frozen=True, slots=True)
class Id(Type):
    """The number of the thing itself."""


@dataclass(frozen=True, slots=True)
class Ref(Type):
    """The number of another thing, in `table`."""

    table: str
