"""Scopes that an API key needs for every indirect way to data: each scope alone is missing once.

The other matrix asks for the one scope that an operation names. Here stands what
an operation needs besides, because it leads to what another scope guards.
"""

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask

from core.platform.access import SCOPES
from tests.support.engines import on_sqlite
from tests.support.imports import run
from tests.support.people import Person
from tests.support.world import TABLE, World, make_world

Headers = dict[str, str]
Ask = Callable[[Person, Headers], Any]


@dataclass(frozen=True)
class Way:
    """A way to something: what must be there before, by the person, and what is then tried with keys of theirs."""

    scopes: frozenset[str]
    prepare: Callable[[World, Person], Ask]
    who: str = "owner"


def ok(response: Any) -> Any:
    assert response.status_code < 300, response.text
    return response.get_json(silent=True)


def _process(world: World, person: Person, **options: Any) -> Any:
    return person.post(f"/tasks/{world.task_id}/process", **options)


def _export(kind: str) -> Callable[..., Any]:
    return lambda world, person, **options: person.post("/exports", {"kind": kind, "format": "csv"}, **options)


FILES = {
    "tasks": b"title\nPaint\n",
    "posts": b"title,content\nPaint,Blue\n",
    "items": b"name,price\nPaint,5\n",
    "users": b"username,email\npainter,painter@example.com\n",
}


def _import(kind: str) -> Callable[..., Any]:
    def order(world: World, person: Person, **options: Any) -> Any:
        form = {"kind": kind, "file": (io.BytesIO(FILES[kind]), f"{kind}.csv")}
        return person.post("/imports", data=form, **options)

    return order


def _report(world: World, person: Person, **options: Any) -> Any:
    return person.post("/reports", {}, **options)


def direct(order: Callable[..., Any]) -> Callable[[World, Person], Ask]:
    return lambda world, person: lambda asking, headers: order(world, asking, token="", headers=headers)


def on_job(
    order: Callable[..., Any], method: str, path: str, *, cancelled: bool = False, done: bool = False
) -> Callable[[World, Person], Ask]:
    """Order something, bring it as far as is wanted, and try something with its job."""

    def prepare(world: World, person: Person) -> Ask:
        job_id = ok(order(world, person))["data"]["job_id"]
        if cancelled:
            ok(person.delete(f"/jobs/{job_id}"))
        if done:
            assert run(world.app, job_id).error is None
        place = path.format(job_id)
        return lambda asking, headers: asking.open(method, place, token="", headers=headers)

    return prepare


def replay(order: Callable[..., Any]) -> Callable[[World, Person], Ask]:
    """Order a job by a key that may, and repeat the order under its idempotency key by another."""

    def prepare(world: World, person: Person) -> Ask:
        again = {"Idempotency-Key": "once"}
        first = key_of(person, ["jobs:write", "tasks:read"])
        ok(order(world, person, token="", headers={**first, **again}))
        return lambda asking, headers: order(world, asking, token="", headers={**headers, **again})

    return prepare


def restore(world: World, person: Person) -> Ask:
    ok(person.delete(f"/tasks/{world.task_id}"))
    return lambda asking, headers: asking.post(f"/tasks/{world.task_id}/restore", token="", headers=headers)


def leave(world: World, person: Person) -> Ask:
    place = f"/users/{person.user_id}?transfer_to={world.people['stranger'].user_id}"
    return lambda asking, headers: asking.delete(place, token="", headers=headers)


def by_row(name: str) -> Callable[[World, Person], Ask]:
    """Ask as the other table does."""
    row, (method, rule) = TABLE[name], name.split(" ")

    def prepare(world: World, person: Person) -> Ask:
        body = row.body(world) if row.body else None
        return lambda asking, headers: asking.open(method, world.path(rule), body, token="", headers=headers)

    return prepare


def way(scopes: str, prepare: Callable[[World, Person], Ask], who: str = "owner") -> Way:
    return Way(frozenset(scopes.split()), prepare, who)


JOB, RETRY, RESULT = "/jobs/{}", "/jobs/{}/retry", "/jobs/{}/result"
ALIAS = "/tasks/process/status/{}"
WRITES = {"tasks": "tasks:write", "posts": "posts:write", "items": "items:write", "users": "users:admin"}
ORDERS: dict[str, tuple[Callable[..., Any], str, str]] = {
    "processing": (_process, "tasks:write", "owner"),
    "a report": (_report, "tasks:read", "owner"),
    **{
        f"an export of {kind}": (_export(kind), f"{kind}:read", "admin" if kind == "users" else "owner")
        for kind in FILES
    },
    **{
        f"an import of {kind}": (_import(kind), WRITES[kind], "admin" if kind == "users" else "owner") for kind in FILES
    },
}

WAYS: dict[str, Way] = {
    "processing": way("tasks:write", direct(_process)),
    "a bulk": way("tasks:write", by_row("POST /api/v1/tasks/bulk"), "project_owner"),
    "a transfer": way("tasks:write", by_row("POST /api/v1/tasks/transfer")),
    "a restoration": way("tasks:write", restore),
    "an account's deletion": way("users:write tasks:write posts:write items:write projects:write", leave),
    "a repeated order of an export": way("jobs:write tasks:read", replay(_export("tasks"))),
    "a repeated order of a report": way("jobs:write tasks:read", replay(_report)),
    **{
        f"an order of {name}": way(f"jobs:write {scope}", direct(order), who)
        for name, (order, scope, who) in ORDERS.items()
        if name != "processing"
    },
    **{
        f"another try of {name}": way(f"jobs:write {scope}", on_job(order, "POST", RETRY, cancelled=True), who)
        for name, (order, scope, who) in ORDERS.items()
    },
    **{
        f"the end of {name}": way(f"jobs:write {scope}", on_job(order, "DELETE", JOB), who)
        for name, (order, scope, who) in ORDERS.items()
    },
    "the end of processing, by its other name": way("jobs:write tasks:write", on_job(_process, "DELETE", ALIAS)),
    **{
        f"the file of {name}": way(f"jobs:read {scope}", on_job(order, "GET", RESULT, done=True), who)
        for name, (order, scope, who) in ORDERS.items()
        if name not in ("processing", "a report")
    },
}


def key_of(person: Person, scopes: Iterable[str]) -> Headers:
    made = person.post("/auth/keys", {"name": "Some", "scopes": list(scopes)})
    return {"X-API-Key": ok(made)["data"]["key"]}


@on_sqlite  # What a key includes is no question of the engine.
@pytest.mark.parametrize("name", WAYS)
def test_a_key_needs_every_scope_of_what_it_leads_to(app: Flask, name: str) -> None:
    found = WAYS[name]
    world = make_world(app)
    person = world.people[found.who]
    ask = found.prepare(world, person)
    everything = {str(scope) for scope in SCOPES} - {"users:admin"} | found.scopes
    for scope in found.scopes:
        refusal = ask(person, key_of(person, everything - {scope}))
        assert refusal.status_code == 403, f"without {scope}: {refusal.text}"
    assert ask(person, key_of(person, found.scopes)).status_code < 300
