"""Repetitions of a declaration of fields are held against it here, and a failure names the field.

A new field needs no other change: that is proved by tests/e2e/test_new_field.py.
"""

import re
from enum import StrEnum
from typing import Any

import pytest
from flask_restx.model import Model
from sqlalchemy import BigInteger, Boolean, Date, Enum, Integer, SmallInteger, String, Table

from api.http.input.body_faults import SERVER_OWNED
from api.v1 import exports, items, posts, projects, tasks, users
from core.exchange.columns import COLUMNS, DECLARED, ONLY_IN_ANSWERS, Kind, columns_table
from core.platform.config.load import ROOT
from core.platform.database.base import Base
from core.platform.database.types import Money, UtcDateTime
from core.platform.fields import types
from core.platform.fields.declaration import Field, Fields
from core.projects.fields import FIELDS as PROJECTS
from core.tasks.recording import TOLD

FIELDS: dict[str, Fields] = {str(kind): fields for kind, fields in DECLARED.items()} | {"projects": PROJECTS}
# Columns that are no fields, because nobody sees them; and a field that is no column, because another table has it.
SECRET = {"users": {"password_hash"}}
ELSEWHERE = {"posts": {"author"}}

ANSWERS: dict[str, Model] = {
    "tasks": tasks.task_out,
    "posts": posts.post_out,
    "items": items.item_out,
    "projects": projects.project_out,
    "users": users.user_out,
}
CREATIONS: dict[str, Model] = {
    "tasks": tasks.task_in,
    "posts": posts.post_in,
    "items": items.item_in,
    "projects": projects.project_in,
    "users": users.user_in,
}
REPLACEMENTS: dict[str, Model] = {
    "tasks": tasks.task_replacement,
    "posts": posts.post_replacement,
    "items": items.item_in,
    "projects": projects.project_in,
    "users": users.user_replacement,
}
PATCHES: dict[str, Model] = {
    "tasks": tasks.task_patch,
    "posts": posts.post_patch,
    "items": items.item_patch,
    "projects": projects.project_patch,
    "users": users.user_patch,
}
# The columns of the files that have been released, by their place: programs may read them by it.
RELEASED = {
    "tasks": "external_id id title description status due_date owner_id assignee_id project_id item_id version"
    " created_at updated_at completed_at",
    "posts": "external_id id title content task_id user_id author version created_at updated_at",
    "items": "external_id id name price description sku created_by version created_at updated_at",
    "users": "external_id id username email name role is_active created_at updated_at",
}


def table_of(domain: str) -> Table:
    return Base.metadata.tables[domain]


@pytest.mark.parametrize("domain", FIELDS)
def test_every_column_is_declared_and_every_field_has_a_column(domain: str) -> None:
    columns = {column.name for column in table_of(domain).columns} - SECRET.get(domain, set())
    declared = {field.name for field in FIELDS[domain]} - ELSEWHERE.get(domain, set())
    assert columns - declared == set(), f"columns of {domain} that core/{domain}/fields.py does not declare"
    assert declared - columns == set(), f"fields of {domain} that the table has no column for"


COLUMN_TYPES: dict[type[types.Type], tuple[type, ...]] = {
    types.Line: (String,),
    types.Prose: (String,),
    types.Text: (String,),
    types.Word: (String,),
    types.Email: (String,),
    types.Zone: (String,),
    types.Choice: (Enum,),
    types.Flag: (Boolean,),
    types.Whole: (Integer, SmallInteger, BigInteger),
    types.Amount: (Money,),
    types.Day: (Date,),
    types.Moment: (UtcDateTime,),
    types.Id: (BigInteger,),
    types.Ref: (BigInteger,),
}


def differences(field: Field, table: Table) -> list[str]:
    """Return in what a field and its column differ."""
    column = table.c[field.name]
    of: Any = column.type
    is_bounded = not isinstance(of, Enum) and getattr(of, "length", None) is not None
    default = column.default.arg if column.default is not None and column.default.is_scalar else None
    needs_value = field.is_writable and not column.nullable and default is None
    indexes = [str(part) for index in table.indexes if index.unique for part in index.expressions]
    compared = {
        "type": (True, isinstance(of, COLUMN_TYPES[type(field.type)])),
        "length": (getattr(field.type, "longest", None), of.length) if is_bounded else (None, None),
        "words": (getattr(field.type, "words", None), getattr(of, "enum_class", None)),
        "reference": (getattr(field.type, "table", None), *(key.column.table.name for key in column.foreign_keys)),
        "nullable": (field.nullable, column.nullable),
        "required": (field.required, needs_value),
        "default": (field.default, default if field.default is not None else None),
        "unique": (field.unique is not None, any(re.search(rf"\b{field.name}\b", part) for part in indexes)),
    }
    return [
        f"{table.name}.{field.name}: {name}, declared {declared}, in the table {real or [None]}"
        for name, (declared, *real) in compared.items()
        if (real or [None]) != [declared]
    ]


@pytest.mark.parametrize("domain", FIELDS)
def test_a_declaration_and_its_column_say_the_same(domain: str) -> None:
    fields = [field for field in FIELDS[domain] if field.name not in ELSEWHERE.get(domain, set())]
    assert [text for field in fields for text in differences(field, table_of(domain))] == []


@pytest.mark.parametrize("domain", FIELDS)
def test_the_models_of_the_api_have_the_declared_fields(domain: str) -> None:
    fields = FIELDS[domain]
    own = {"password"} if domain == "users" else set()
    assert list(ANSWERS[domain]) == [field.name for field in fields]
    assert set(CREATIONS[domain]) == {*fields.writable, *own}
    assert set(REPLACEMENTS[domain]) == set(fields.changeable)
    assert set(PATCHES[domain]) == set(fields.changeable)
    for field in fields:
        schema: dict[str, Any] = ANSWERS[domain][field.name].__schema__
        assert bool(schema.get("x-nullable")) == field.nullable, field.name


@pytest.mark.parametrize("domain", FIELDS)
def test_what_a_body_may_not_set_is_said_to_be_the_servers(domain: str) -> None:
    servers = {field.name for field in FIELDS[domain] if not field.is_writable}
    # That a task is in the trash is no field that anybody would think of setting.
    assert servers - SERVER_OWNED - {"deleted_at"} == set()
    # Written down, because all else follows from the declaration, also where that is wrong.
    owned = "id version created_at updated_at completed_at deleted_at owner_id created_by user_id author"
    assert set(owned.split()).isdisjoint(FIELDS[domain].writable)


def test_the_history_of_a_task_tells_all_but_what_its_entries_say_themselves() -> None:
    columns = {column.name for column in table_of("tasks").columns}
    assert columns - set(TOLD) == {"id", "version", "created_at", "updated_at"}


@pytest.mark.parametrize("kind", list(Kind))
def test_a_column_of_a_file_keeps_its_place_and_a_new_one_comes_last(kind: Kind) -> None:
    names = [column.name for column in COLUMNS[kind]]
    released = RELEASED[kind].split()
    assert names[: len(released)] == released
    assert [field.column for field in DECLARED[kind].in_files] == list(range(2, len(names) + 1))


@pytest.mark.parametrize("kind", list(Kind))
def test_imports_set_what_bodies_set(kind: Kind) -> None:
    writable = {column.name for column in COLUMNS[kind] if column.writable}
    assert writable <= set(CREATIONS[kind])
    # How an account's days begin is nothing that a list of people brings along.
    assert set(CREATIONS[kind]) - writable == ({"password", "time_zone"} if kind is Kind.USERS else set())
    listed = users.user_entry_out if kind is Kind.USERS else ANSWERS[kind]
    assert set(listed) - {column.name for column in COLUMNS[kind]} == ONLY_IN_ANSWERS[kind]


def test_every_kind_can_be_exported_by_the_filters_of_its_list() -> None:
    assert set(exports.LISTS) == set(Kind)
    for kind, parser in exports.LISTS.items():
        parameters = {argument.name for argument in parser.args}
        filtered = set(DECLARED[kind].names(lambda field: field.filter))
        assert filtered - parameters == set()


def test_the_page_about_files_has_the_columns() -> None:
    page = (ROOT / "docs" / "exchange.md").read_text()
    assert "\n".join(columns_table()) in page, "write it anew: manage.py reference --columns"


@pytest.mark.parametrize("fields", FIELDS.values(), ids=FIELDS)
def test_a_value_that_no_field_takes_is_refused_and_not_lost(fields: Fields) -> None:
    with pytest.raises(TypeError, match="no_such_field"):
        fields.require_writable({"no_such_field": 5})
    with pytest.raises(TypeError, match="version"):
        fields.require_changeable({"version": 5})
    with pytest.raises(TypeError, match=fields.required[0]):
        fields.require_new({})


def test_what_only_a_new_thing_has_a_choice_of_is_not_changed() -> None:
    with pytest.raises(TypeError, match="task_id"):
        DECLARED[Kind.POSTS].require_changeable({"task_id": 1})


class _Word(StrEnum):
    A = "a"


@pytest.mark.parametrize(
    "declared",
    [types.Line(10), types.Choice(_Word), types.Whole(1, 3), types.Ref("users")],
    ids=lambda declared: type(declared).__name__,
)
def test_a_difference_is_named(declared: types.Type) -> None:
    """Of the title of a task, which is a line of 150 characters that has to be there."""
    (first, *_) = differences(Field("title", declared, nullable=True), table_of("tasks"))
    assert first.startswith("tasks.title: ")
