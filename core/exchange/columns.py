"""The columns of tasks, posts, items and users in files: those of their declarations, each in its place."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from core.exchange.notations import TEXT, Notation, name_of_json, notation_of
from core.items import fields as items
from core.platform.fields.declaration import Fields
from core.posts import fields as posts
from core.tasks import fields as tasks
from core.users import fields as users


class Kind(StrEnum):
    """Kind of thing that can be exported and imported."""

    TASKS = "tasks"
    POSTS = "posts"
    ITEMS = "items"
    USERS = "users"


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
            value = name_of_json(value)
        return None if value is None else self.notation.from_json(value)


# By what a thing is known to whoever exchanges it; null where they have never named it.
EXTERNAL_ID = Column("external_id", TEXT, is_name=True)

DECLARED: dict[Kind, Fields] = {
    Kind.TASKS: tasks.FIELDS,
    Kind.POSTS: posts.FIELDS,
    Kind.ITEMS: items.FIELDS,
    Kind.USERS: users.FIELDS,
}


def columns_of(fields: Fields) -> tuple[Column, ...]:
    """Return the columns of declared fields in files, `external_id` first."""
    return (EXTERNAL_ID, *(Column(one.name, notation_of(one.type), one.is_writable) for one in fields.in_files))


COLUMNS: dict[Kind, tuple[Column, ...]] = {kind: columns_of(fields) for kind, fields in DECLARED.items()}

# What lists and answers have beside these columns. Their rows can be imported as they are.
ONLY_IN_ANSWERS: dict[Kind, frozenset[str]] = {
    kind: frozenset(fields.names(lambda field: field.listed and field.column is None))
    for kind, fields in DECLARED.items()
}


def columns_table() -> list[str]:
    """Return the lines of a table in docs/exchange.md: the columns of each kind, those that imports set in bold."""
    lines = ["| kind | columns |", "|---|---|"]
    for kind, columns in COLUMNS.items():
        names = (f"**{column.name}**" if column.writable else column.name for column in columns)
        lines.append(f"| {kind} | {', '.join(names)} |")
    return lines
