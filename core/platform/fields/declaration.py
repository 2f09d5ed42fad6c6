"""Declarations: what is said once of each field of a domain, and is read everywhere else.

A domain has one table of them (`core/<domain>/fields.py`). From it follow the models and parsers of the API,
filters, sorting, rows of bulks, histories, the columns of files, and the targets of imports. What must repeat
some of it, such as the columns of the database, is compared with it by tests/architecture/test_fields.py.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from enum import Enum, StrEnum, auto
from functools import cached_property
from typing import Any

from core.platform.fields.types import Ref, Type


class Writer(StrEnum):
    """Writer of a field. The rules of a domain (`policy.py`) say who that is for a given row."""

    SERVER = "server"  # nobody: it follows from what happens
    CREATOR = "creator"  # whoever creates the thing; then it stays
    ADMIN = "admin"  # administrators
    EDITOR = "editor"  # whoever may create and change the thing
    ASSIGNEE = "assignee"  # they, and whoever is to do it


class Absent(Enum):
    """Treatment of a field that a replacement (PUT) does not give."""

    CLEARED = auto()  # null, or what the column has by default
    REFUSED = auto()
    STAYS = auto()


@dataclass(frozen=True, slots=True)
class Exact:
    """A filter: only what has exactly this. Numbers of users may be `me`."""

    description: str


@dataclass(frozen=True, slots=True)
class AnyOf:
    """A filter: only what has one of these words."""

    description: str = "Only these, comma-separated or repeated."


@dataclass(frozen=True, slots=True)
class InRange:
    """Filters: exactly this, `[gt]`, `[gte]`, `[lt]`, `[lte]`, whose texts begin with `subject`."""

    subject: str  # "Created" (after this moment)


@dataclass(frozen=True, slots=True)
class Field:
    """One field, in the order in which answers show it.

    `column` is its place in files, from 2, since `external_id` is the first. Programs read columns by their
    place: a new one gets the next number and so comes last, wherever its field is declared.
    """

    name: str
    type: Type
    _: KW_ONLY
    writer: Writer = Writer.SERVER
    required: bool = False  # a new thing needs it
    nullable: bool = False
    default: Any = None  # of a new thing, as the document says it; the column has it too
    absent: Absent = Absent.CLEARED
    unique: Callable[[str], str] | None = None  # no two things have the same, after this
    in_history: bool = True  # where there is one
    sortable: bool = False
    filter: Exact | AnyOf | InRange | None = None
    searched: bool = False  # by the filter `q`
    column: int | None = None
    listed: bool = True  # shown in lists, not only in the answer about one thing
    private: bool = False  # null in lists unless the reader may see details
    description: str | None = None
    hint: str | None = None  # instead of the description, where it is sent
    example: Any = ...  # None is one, too

    @property
    def is_writable(self) -> bool:
        """Return whether users may set it, at least when they create the row."""
        return self.writer is not Writer.SERVER

    @property
    def is_checked(self) -> bool:
        """Return whether its type checks the values."""
        return type(self.type).check is not Type.check

    def check(self, value: Any) -> Any:
        """Return the value as it is stored. Raises Invalid."""
        return None if value is None and self.nullable else self.type.check(self.name, value)


class Fields:
    """The declarations of one domain, by name and in their order."""

    def __init__(self, *fields: Field) -> None:
        self._by_name = {field.name: field for field in fields}

    def __iter__(self) -> Iterator[Field]:
        return iter(self._by_name.values())

    def __getitem__(self, name: str) -> Field:
        return self._by_name[name]

    def names(self, wanted: Callable[[Field], object]) -> tuple[str, ...]:
        """Return the names of those fields for which `wanted` says yes."""
        return tuple(field.name for field in self if wanted(field))

    @cached_property
    def writable(self) -> tuple[str, ...]:
        """The fields that people may set when they create a thing."""
        return self.names(lambda field: field.is_writable)

    @cached_property
    def changeable(self) -> tuple[str, ...]:
        """The fields that people may set afterwards."""
        return self.names(lambda field: field.is_writable and field.writer is not Writer.CREATOR)

    @cached_property
    def required(self) -> tuple[str, ...]:
        """The fields without which there is no new thing."""
        return self.names(lambda field: field.required)

    @cached_property
    def references(self) -> dict[str, tuple[str, ...]]:
        """The fields in which people say what a thing refers to, by the table of that."""
        found: dict[str, tuple[str, ...]] = {}
        for field in self:
            if field.is_writable and isinstance(field.type, Ref):
                found[field.type.table] = (*found.get(field.type.table, ()), field.name)
        return found

    @cached_property
    def checked(self) -> tuple[str, ...]:
        """The fields whose values the model judges."""
        return self.names(lambda field: field.is_writable and field.is_checked)

    @cached_property
    def in_files(self) -> tuple[Field, ...]:
        """The fields that are columns of files, in their places."""
        return tuple(sorted((field for field in self if field.column), key=lambda field: field.column or 0))

    def require_writable(self, values: Mapping[str, Any]) -> None:
        """Raise TypeError for a value that would be lost, because no field of this name can be set."""
        if unknown := values.keys() - self.writable:
            raise TypeError(f"No field that can be set: {', '.join(sorted(unknown))}.")

    def require_changeable(self, values: Mapping[str, Any]) -> None:
        """Raise TypeError for a value that would be lost, or that only a new thing may have."""
        self.require_writable(values)
        if fixed := values.keys() - self.changeable:
            raise TypeError(f"Only a new one has a choice of {', '.join(sorted(fixed))}.")

    def require_new(self, values: Mapping[str, Any]) -> None:
        """Raise TypeError for values that would be lost, and for what a new thing lacks."""
        self.require_writable(values)
        if missing := set(self.required) - values.keys():
            raise TypeError(f"A new one needs {', '.join(sorted(missing))}.")

    def check_sent(self, values: Mapping[str, Any]) -> None:
        """Raise Invalid for values that the model takes, but not from people."""
        for name in self._sent_otherwise:
            if values.get(name) is not None:
                self[name].type.check_sent(name, values[name])

    @cached_property
    def _sent_otherwise(self) -> tuple[str, ...]:
        return self.names(lambda field: type(field.type).check_sent is not Type.check_sent)
