"""The countable part of the performance budget: SQL statements and round trips to Redis per request.

A table says what each common operation may cost. What costs less is welcome; then lower the number.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from flask import Flask
from redis.connection import AbstractConnection
from werkzeug.test import TestResponse

from core.platform import redis_scripts
from core.platform.database.base import db
from tests.support.database import recorded_statements
from tests.support.people import PASSWORD, Person

pytestmark = pytest.mark.usefixtures("patient_limits")


class Things(NamedTuple):
    """Things that the operations are about: the number of one of each, and those of ten tasks."""

    task: int
    tagged: str
    trashed: int
    tasks: list[int]
    post: int
    item: int
    project: int
    job: str


class Cost(NamedTuple):
    """The most that an operation may cost: statements on SQLite, on PostgreSQL, and round trips to Redis."""

    sqlite: int
    postgresql: int
    redis: int = 1


# A round trip counts the request. After the commit of an order another one wakes who sends jobs; nothing waits for it.
WAKES = 2

Ask = Callable[[Person, Things], TestResponse]
NEW = {"title": "Water the plants", "description": "All of them."}

OPERATIONS: dict[str, tuple[Ask, Cost]] = {
    "read a task": (lambda ada, it: ada.get(f"/tasks/{it.task}"), Cost(2, 2)),
    "read a task that has not changed": (
        lambda ada, it: ada.get(f"/tasks/{it.task}", headers={"If-None-Match": it.tagged}),
        Cost(2, 2),
    ),
    "list tasks": (lambda ada, it: ada.get("/tasks?per_page=100"), Cost(3, 3)),
    "list tasks, sorted and filtered": (
        lambda ada, it: ada.get("/tasks?per_page=100&status=pending&sort=-due_date,id"),
        Cost(3, 3),
    ),
    "list tasks by cursor": (lambda ada, it: ada.get("/tasks?per_page=5&cursor="), Cost(2, 2)),
    "list the trash": (lambda ada, it: ada.get("/tasks?deleted=true"), Cost(3, 3)),
    "create a task": (lambda ada, it: ada.post("/tasks", NEW), Cost(4, 4, WAKES)),
    "create a task in a project": (
        lambda ada, it: ada.post("/tasks", {**NEW, "project_id": it.project, "item_id": it.item}),
        Cost(6, 6, WAKES),
    ),
    "replace a task": (lambda ada, it: ada.put(f"/tasks/{it.task}", {**NEW, "status": "pending"}), Cost(4, 5)),
    "patch a task": (lambda ada, it: ada.patch(f"/tasks/{it.task}", {"title": "Other"}), Cost(4, 5)),
    "patch nothing": (lambda ada, it: ada.patch(f"/tasks/{it.task}", {"title": "A task"}), Cost(2, 3)),
    "set a status": (lambda ada, it: ada.put(f"/tasks/{it.task}/status", {"status": "completed"}), Cost(4, 5)),
    "delete a task": (lambda ada, it: ada.delete(f"/tasks/{it.task}"), Cost(4, 5)),
    "restore a task": (lambda ada, it: ada.post(f"/tasks/{it.trashed}/restore"), Cost(4, 5)),
    "process a task": (lambda ada, it: ada.post(f"/tasks/{it.task}/process"), Cost(3, 4, WAKES)),
    "read a history": (lambda ada, it: ada.get(f"/tasks/{it.task}/history"), Cost(3, 3)),
    "create ten tasks": (
        lambda ada, it: ada.post("/tasks/bulk", {"operations": [{"op": "create", "task": NEW}] * 10}),
        Cost(4, 4, WAKES),
    ),
    "change ten tasks": (
        lambda ada, it: ada.post(
            "/tasks/bulk", {"operations": [{"op": "update", "id": n, "task": {"title": "New"}} for n in it.tasks]}
        ),
        Cost(4, 5),
    ),
    "delete ten tasks": (
        lambda ada, it: ada.post("/tasks/bulk", {"operations": [{"op": "delete", "id": n} for n in it.tasks]}),
        Cost(4, 5),
    ),
    "publish a post": (lambda ada, it: ada.post("/posts", {"title": "A", "content": "B"}), Cost(3, 3)),
    "publish a post about a task": (
        lambda ada, it: ada.post(f"/tasks/{it.task}/posts", {"title": "A", "content": "B"}),
        Cost(4, 4),
    ),
    "read a post": (lambda ada, it: ada.get(f"/posts/{it.post}"), Cost(2, 2)),
    "list posts": (lambda ada, it: ada.get("/posts"), Cost(3, 3)),
    "patch a post": (lambda ada, it: ada.patch(f"/posts/{it.post}", {"title": "C"}), Cost(4, 4)),
    "delete a post": (lambda ada, it: ada.delete(f"/posts/{it.post}"), Cost(3, 3)),
    "create an item": (lambda ada, it: ada.post("/items", {"name": "Bolt", "price": 1.5, "sku": "B-1"}), Cost(2, 2)),
    "read an item": (lambda ada, it: ada.get(f"/items/{it.item}"), Cost(2, 2)),
    "list items": (lambda ada, it: ada.get("/items"), Cost(3, 3)),
    "patch an item": (lambda ada, it: ada.patch(f"/items/{it.item}", {"name": "Nut"}), Cost(3, 3)),
    "create a project": (lambda ada, it: ada.post("/projects", {"key": "NEW", "name": "x"}), Cost(3, 3)),
    "read a project": (lambda ada, it: ada.get(f"/projects/{it.project}"), Cost(2, 2)),
    "list projects": (lambda ada, it: ada.get("/projects"), Cost(3, 3)),
    "list the tasks of a project": (lambda ada, it: ada.get(f"/tasks?project_id={it.project}"), Cost(4, 4)),
    "search": (lambda ada, it: ada.get("/search?q=task"), Cost(2, 2)),
    "read statistics": (lambda ada, it: ada.get("/stats"), Cost(5, 5)),
    "read one's profile": (lambda ada, it: ada.get("/auth/me"), Cost(1, 1)),
    "look at a job": (lambda ada, it: ada.get(f"/jobs/{it.job}"), Cost(4, 4)),
    "list jobs": (lambda ada, it: ada.get("/jobs"), Cost(3, 3)),
    "log in": (lambda ada, it: ada.post("/auth/login", {"username": "ada", "password": PASSWORD}), Cost(8, 8, 8)),
    "log out": (lambda ada, it: ada.post("/auth/logout"), Cost(3, 3)),
}


@pytest.fixture(scope="module")
def counted(remake_for_module: Callable[..., Flask]) -> Flask:
    """The application with limits of two windows, which Redis counts."""
    windows = "100000 per minute; 1000000 per hour"
    return remake_for_module(
        ratelimit_enabled=True,
        limits__user=windows,
        limits__address=windows,
        auth__login_limit=windows,
        auth__address_limit=windows,
    )


@pytest.fixture
def trips(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the list of what is sent to Redis, each time that something is."""
    sent: list[Any] = []
    real = AbstractConnection.send_packed_command

    def send(self: AbstractConnection, command: Any, check_health: bool = True) -> Any:
        sent.append(command)
        return real(self, command, check_health)

    monkeypatch.setattr(AbstractConnection, "send_packed_command", send)
    exchange = redis_scripts._Line.exchange

    def ask(self: redis_scripts._Line, command: bytes) -> bytes | None:
        sent.append(command)
        return exchange(self, command)

    monkeypatch.setattr(redis_scripts._Line, "exchange", ask)
    return sent


@pytest.fixture
def seen(counted: Flask) -> Iterator[list[str]]:
    """Return the statements of that application."""
    with recorded_statements(counted) as statements:
        yield statements


def data(response: TestResponse) -> Any:
    assert response.status_code in (201, 202), response.get_data()
    return response.get_json()["data"]


@pytest.fixture
def things(ada: Person) -> Things:
    tasks = [ada.create_task(title="A task")["id"] for _ in range(12)]
    ada.delete(f"/tasks/{tasks[1]}")
    return Things(
        task=tasks[0],
        tagged=ada.get(f"/tasks/{tasks[0]}").headers["ETag"],
        trashed=tasks[1],
        tasks=tasks[2:],
        post=data(ada.post("/posts", {"title": "A", "content": "B"}))["id"],
        item=data(ada.post("/items", {"name": "Bolt", "price": 1.5, "sku": "A-1"}))["id"],
        project=data(ada.post("/projects", {"key": "OPS", "name": "x"}))["id"],
        job=data(ada.post(f"/tasks/{tasks[2]}/process"))["job_id"],
    )


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_costs_no_more_than_its_budget(
    counted: Flask, ada: Person, things: Things, seen: list[str], trips: list[Any], operation: str
) -> None:
    ask, cost = OPERATIONS[operation]
    person = ada.at(counted)
    # Connections are open, scripts are known, and the token has been verified.
    assert person.get("/auth/me").status_code == 200
    person.post("/auth/login", {"username": "nobody", "password": PASSWORD})
    seen.clear()
    trips.clear()
    answer = ask(person, things)
    assert answer.status_code in (200, 201, 202, 204, 304), answer.get_data()
    with counted.app_context():
        most = getattr(cost, db.engine.dialect.name)
    assert len(seen) <= most, seen
    assert len(trips) <= cost.redis, trips


@pytest.mark.parametrize("path", ["/tasks/{task}", "/tasks", "/posts", "/items", "/projects"])
def test_what_was_read_before_costs_one_statement(
    counted: Flask, ada: Person, things: Things, seen: list[str], trips: list[Any], path: str
) -> None:
    """It says whether the session still counts, and whether anything has changed."""
    person = ada.at(counted)
    whole = path.format(task=things.task)
    first = person.get(whole)
    assert first.status_code == 200
    seen.clear()
    trips.clear()
    assert person.get(whole).get_data() == first.get_data()
    assert len(seen) == 1, seen
    assert len(trips) == 1, trips


def test_a_list_takes_no_more_statements_however_long_it_is(ada: Person, statements: list[str]) -> None:
    for _ in range(30):
        ada.create_task()
    statements.clear()
    assert len(ada.get("/tasks?per_page=100").get_json()["data"]) == 30
    assert len(statements) == 3, statements


def test_a_public_read_takes_none(anonymous: Person, statements: list[str]) -> None:
    anonymous.get("/welcome")
    anonymous.get("/health")
    assert statements == []
