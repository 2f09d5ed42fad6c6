"""Columns that a caller may not set stay as they are: every column of every table, in every body."""

import json
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Table, select

from core.exchange.columns import COLUMNS as IMPORTED
from core.exchange.columns import ONLY_IN_ANSWERS, Kind
from core.platform.database.base import Base, db
from tests.support.document import document_of
from tests.support.imports import counts, imported
from tests.support.people import Person
from tests.support.world import TABLE, make_world

# It relays any JSON to another service, and stores nothing.
RELAYS = {"POST /api/v1/upstreams/<name>/<path:path>"}
# What nothing here has by itself.
ODD = 7_777_777
COLUMNS = sorted({column.name for table in Base.metadata.sorted_tables for column in table.columns})


def stored(app: Flask) -> dict[str, list[Any]]:
    """Return all rows of all tables."""
    with app.app_context():
        rows = {table.name: _rows(table) for table in Base.metadata.sorted_tables}
        db.session.remove()
    return rows


def _rows(table: Table) -> list[Any]:
    return sorted(map(repr, db.session.execute(select(table))))


def fields_of(app: Flask, operation: str) -> set[str] | None:
    """Return what the document says that the body of an operation has, or None if it takes none."""
    document = document_of(app)
    method, rule = operation.split(" ")
    template = rule.removeprefix("/api").replace("<int:", "<").replace("<path:", "<").replace("<rest:", "<")
    described = document["paths"][template.replace("<", "{").replace(">", "}")][method.lower()]
    (body,) = [one for one in described.get("parameters", []) if one["in"] == "body"] or [None]
    if body is None:
        return None
    name = body["schema"]["$ref"].rpartition("/")[2]
    return set(document["definitions"][name]["properties"])


def test_a_column_that_is_no_field_is_refused_by_name_and_nothing_changes(app: Flask) -> None:
    world = make_world(app)
    before = stored(app)
    wrong = []
    operations = {operation: fields_of(app, operation) for operation in TABLE if operation not in RELAYS}
    for operation, fields in operations.items():
        if fields is None:
            assert TABLE[operation].body is None, operation
            continue
        method, rule = operation.split(" ")
        row = TABLE[operation]
        person = world.people[next(name for name in ("admin", "owner") if name in row.allowed)]
        assert row.body is not None, operation
        unknown = [column for column in COLUMNS if column not in fields]
        body = {**row.body(world), **dict.fromkeys(unknown, ODD)}
        answer = person.open(method, world.path(rule) + row.query(world), body)
        named = set(answer.get_json()["error"].get("details", {})) if answer.status_code == 422 else set()
        if not named >= set(unknown):
            wrong.append((operation, answer.status_code, sorted(set(unknown) - named)))
    assert wrong == []
    assert sum(fields is not None for fields in operations.values()) > 20
    assert stored(app) == before


@pytest.mark.parametrize("op", ["create", "update"])
def test_a_bulk_takes_no_more_than_a_single_change(app: Flask, op: str) -> None:
    world = make_world(app)
    before = stored(app)
    operation = "POST /api/v1/tasks" if op == "create" else "PATCH /api/v1/tasks/<int:task_id>"
    fields = fields_of(app, operation) or set()
    unknown = [column for column in COLUMNS if column not in fields]
    entry = {"op": op, "task": {"title": "New", **dict.fromkeys(unknown, ODD)}}
    entry |= {"id": world.task_id} if op == "update" else {}
    answer = world.people["owner"].post("/tasks/bulk", {"operations": [entry]})
    assert answer.status_code == 422
    assert set(answer.get_json()["error"]["details"]) >= {f"operations.0.task.{column}" for column in unknown}
    assert stored(app) == before


NEEDED = {
    "tasks": {"title": "Water"},
    "posts": {"title": "Done", "content": "All of it."},
    "items": {"name": "Printer", "price": 5},
    "users": {"username": "grace", "email": "grace@example.com"},
}


@pytest.mark.parametrize("kind", NEEDED)
def test_an_import_sets_nothing_that_is_the_servers(app: Flask, admin: Person, kind: str) -> None:
    before = stored(app)[kind]
    table = Base.metadata.tables[kind]
    known = {column.name: column for column in IMPORTED[Kind(kind)]}
    shown = ONLY_IN_ANSWERS[Kind(kind)]
    servers = [column.name for column in table.columns if column.name in known and not known[column.name].writable]
    servers += [column.name for column in table.columns if column.name in shown]
    foreign = [column.name for column in table.columns if column.name not in (*known, *shown)]
    row = {**NEEDED[kind], **dict.fromkeys(servers, ODD)}
    assert counts(imported(admin, json.dumps([row]), kind=kind, name="t.json")) == {"created": 1}
    with app.app_context():
        made = db.session.execute(select(table).order_by(table.c.id.desc())).mappings().first()
        db.session.remove()
    assert made is not None
    assert [name for name in servers if made[name] == ODD] == []
    after = stored(app)[kind]
    assert len(after) == len(before) + 1
    for column in foreign:
        refused = imported(admin, json.dumps([{**NEEDED[kind], column: ODD}]), kind=kind, name="t.json")
        assert counts(refused) == {"failed": 1}, column
    assert stored(app)[kind] == after


def test_fields_that_only_administrators_set_are_refused_to_everybody_else(app: Flask) -> None:
    world = make_world(app)
    before = stored(app)
    owner = world.people["owner"]
    for field, value in (("role", "admin"), ("is_active", False)):
        for method, body in (("PATCH", {}), ("PUT", {"username": "owner", "email": "owner@example.com"})):
            refused = owner.open(method, f"/users/{owner.user_id}", {**body, field: value})
            assert refused.status_code == 403, (method, field)
        refused = owner.patch("/auth/me", {field: value})
        assert (refused.status_code, list(refused.get_json()["error"]["details"])) == (422, [field])
        newcomer = {"username": "new", "email": "new@example.com", "password": "a long password", field: value}
        assert owner.post("/auth/register", newcomer, token="").status_code == 422
    after = stored(app)
    # That somebody tried is what is stored.
    assert len(after.pop("security_events")) == len(before.pop("security_events")) + 4
    assert after == before
