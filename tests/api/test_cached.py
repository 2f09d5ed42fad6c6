"""Cached answers: a hit costs no rows, no caller gets another's, and nothing is stale, with either backend."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask

from core.platform.cache import answers
from core.platform.cache.answers import cache
from core.platform.database.base import db
from core.platform.database.session import transaction
from core.tasks.model import Task
from core.users.model import User
from tests.support.database import recorded_statements
from tests.support.people import Person, make_person
from tests.support.servers import RedisServer


@pytest.fixture(scope="module", params=["memory", "redis"])
def _cached_app(
    request: pytest.FixtureRequest, remake_for_module: Callable[..., Flask], redis_server: RedisServer
) -> Flask:
    return remake_for_module(cache__backend=request.param, cache__url=redis_server.url)


@pytest.fixture
def cached_app(_cached_app: Flask, app: Flask) -> Flask:
    """Another application, which goes on through the file as an installation does while rows come and go."""
    return _cached_app


@pytest.fixture
def cached_statements(cached_app: Flask) -> Iterator[list[str]]:
    with recorded_statements(cached_app) as seen:
        yield seen


@pytest.fixture
def world(cached_app: Flask, ada: Person, bob: Person) -> dict[str, str]:
    task = ada.create_task()
    post = ada.create_post(task_id=task["id"])
    item = ada.create_item(sku="PRT/0042")
    project = ada.post("/projects", {"key": "OPS", "name": "Operations"}).get_json()["data"]
    ada.put(f"/projects/{project['id']}/members/{bob.user_id}", {"role": "viewer"})
    return {
        "task": f"/tasks/{task['id']}",
        "tasks": "/tasks?per_page=50&sort=-due_date",
        "cursor": "/tasks?cursor=",
        "own tasks": f"/users/{ada.user_id}/tasks",
        "post": f"/posts/{post['id']}",
        "posts": "/posts",
        "posts of a task": f"/tasks/{task['id']}/posts",
        "item": f"/items/{item['id']}",
        "sku": "/items/by-sku/PRT/0042",
        "items": "/items?q=printer",
        "me": "/auth/me",
        "user": f"/users/{ada.user_id}",
        "users": "/users",
        "project": f"/projects/{project['id']}",
        "projects": "/projects",
        "member": f"/projects/{project['id']}/members/{bob.user_id}",
        "members": f"/projects/{project['id']}/members",
        "search": "/search?q=water",
        "stats": "/stats",
        "profile": f"/users/{ada.user_id}/profile",
    }


def test_a_hit_and_a_304_take_only_the_statement_that_lets_the_caller_in(
    cached_app: Flask, ada: Person, world: dict[str, str], cached_statements: list[str]
) -> None:
    person = ada.at(cached_app)
    for name, path in world.items():
        cached_statements.clear()
        made = person.get(path)
        assert made.status_code == 200, made.text
        assert len(cached_statements) <= {"search": 6, "stats": 6, "profile": 6, "members": 4, "member": 4}.get(name, 3)
        cached_statements.clear()
        found = person.get(path)
        assert found.data == made.data
        assert {n: v for n, v in found.headers.items() if n != "X-Request-ID"} == {
            n: v for n, v in made.headers.items() if n != "X-Request-ID"
        }
        assert len(cached_statements) == 1, (name, cached_statements)
        assert "login_sessions" in cached_statements[0]
        cached_statements.clear()
        assert person.get(path, headers={"If-None-Match": made.headers["ETag"]}).status_code == 304
        assert len(cached_statements) == 1, (name, cached_statements)


def test_nobody_gets_what_was_cached_for_another(
    cached_app: Flask, ada: Person, bob: Person, admin: Person, world: dict[str, str]
) -> None:
    scope = ["tasks:read", "users:read"]
    key = admin.post("/auth/keys", {"name": "Narrow", "scopes": scope}).get_json()["data"]["key"]
    plain = {name: {who.username: who.get(path) for who in (ada, bob, admin)} for name, path in world.items()}
    people = [who.at(cached_app) for who in (admin, ada, bob)]
    for _ in range(2):
        for name, path in world.items():
            for who in people:
                answer, expected = who.get(path), plain[name][who.username]
                assert answer.status_code == expected.status_code, (name, who.username)
                if answer.status_code == 200:
                    assert _timeless(answer.get_json()) == _timeless(expected.get_json()), (name, who.username)
            stranger = Person(cached_app)
            assert stranger.get(path).status_code == 401
            assert stranger.get(path, headers={"If-None-Match": answer.headers.get("ETag", "*")}).status_code == 401
        keyed = {name: stranger.get(world[name], headers={"X-API-Key": key}) for name in ("tasks", "posts")}
        assert keyed["tasks"].get_json() == people[0].get(world["tasks"]).get_json()
        assert keyed["posts"].status_code == 403


def _timeless(answer: Any) -> Any:
    """Return the answer without the cursor, which is signed at a moment."""
    answer.get("meta", {}).get("pagination", {}).pop("next_cursor", None)
    return answer


def test_a_right_that_ends_ends_what_was_cached_as_well(
    app: Flask, cached_app: Flask, ada: Person, bob: Person, admin: Person, world: dict[str, str]
) -> None:
    reader, boss = bob.at(cached_app), admin.at(cached_app)
    tag = reader.get(world["project"]).headers["ETag"]
    members = reader.get(world["members"]).headers["ETag"]
    assert ada.delete(world["member"]).status_code == 204
    assert reader.get(world["project"], headers={"If-None-Match": tag}).status_code == 403
    assert reader.get(world["members"], headers={"If-None-Match": members}).status_code == 403
    assert len(boss.get(world["tasks"]).get_json()["data"]) == 1
    with app.app_context(), transaction() as session:
        session.get_one(User, admin.user_id).role = ada.role
    assert boss.get(world["tasks"]).get_json()["data"] == []
    assert boss.get(world["task"]).status_code == 403


def test_a_refusal_is_never_cached(cached_app: Flask, ada: Person, bob: Person) -> None:
    task = ada.create_task()
    reader = bob.at(cached_app)
    assert reader.get(f"/tasks/{task['id']}").status_code == 403
    assert reader.get("/tasks/999999").status_code == 404
    assert reader.get("/tasks?sort=nonsense").status_code == 400
    ada.patch(f"/tasks/{task['id']}", {"assignee_id": bob.user_id})
    assert reader.get(f"/tasks/{task['id']}").status_code == 200
    assert reader.get("/tasks?sort=nonsense").status_code == 400


@pytest.mark.parametrize("query", ["overdue=true", "overdue=false"])
def test_at_midnight_a_task_is_overdue_although_nobody_has_written(
    cached_app: Flask, at: Callable[[str], None], query: str
) -> None:
    at("2026-03-31T23:59:59+00:00")
    ada = make_person(cached_app, "ada").at(cached_app)
    task = ada.create_task(due_date="2026-03-31")["id"]
    path = f"/tasks?{query}"
    before = ada.get(path)
    assert ada.get(path).data == before.data
    at("2026-04-01T00:00:01+00:00")
    known = {"If-None-Match": before.headers["ETag"]}
    for after in (ada.get(path), ada.get(path, headers=known)):
        assert after.status_code == 200
        assert [row["id"] for row in after.get_json()["data"]] == ([task] if query == "overdue=true" else [])
    assert [row["id"] for row in before.get_json()["data"]] == ([] if query == "overdue=true" else [task])


def test_the_links_of_a_cached_page_are_those_of_the_host_that_was_asked(cached_app: Flask, ada: Person) -> None:
    reader = ada.at(cached_app)
    for host in ("localhost", "tasks.example.com", "localhost"):
        link = reader.get("/tasks", headers={"Host": host}).headers["Link"]
        assert link.startswith(f"<http://{host}/api/v1/tasks?")


def test_the_pages_after_the_first_are_made_each_time(
    cached_app: Flask, ada: Person, cached_statements: list[str]
) -> None:
    """A cursor may be too old from one moment to the next, which nothing in the tables tells."""
    for _ in range(3):
        ada.create_task()
    reader = ada.at(cached_app)
    path = "/tasks?per_page=1&cursor="
    cursor = reader.get(path).get_json()["meta"]["pagination"]["next_cursor"]
    for _ in range(2):
        cached_statements.clear()
        assert reader.get(path + cursor).status_code == 200
        assert len(cached_statements) == 2


def test_whatever_changes_a_row_is_seen_by_the_next_read(app: Flask, cached_app: Flask, ada: Person) -> None:
    task = ada.create_task()
    reader = ada.at(cached_app)

    def title() -> str:
        shown = reader.get(f"/tasks/{task['id']}").get_json()["data"]["title"]
        assert shown == reader.get("/tasks").get_json()["data"][0]["title"]
        assert reader.get(f"/tasks/{task['id']}").get_json()["data"]["title"] == shown
        return str(shown)

    assert title() == "Water the plants"
    reader.patch(f"/tasks/{task['id']}", {"title": "Here"})
    assert title() == "Here"
    ada.patch(f"/tasks/{task['id']}", {"title": "There"})
    assert title() == "There"
    with app.app_context(), transaction() as session:
        session.execute(Task.__table__.update().values(title="Below the ORM"))
    assert title() == "Below the ORM"
    with app.app_context(), db.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE tasks SET title = 'By hand'")
    assert title() == "By hand"


def test_interleaved_reads_and_writes_are_never_stale(cached_app: Flask, ada: Person) -> None:
    """A short, dense form of the search in tests/faults, in one process."""
    tasks = [ada.create_task()["id"] for _ in range(4)]
    acknowledged = dict.fromkeys(tasks, 1)
    stale: list[str] = []
    reads: list[int] = []

    def work(number: int) -> None:
        writer, reader = ada, ada.at(cached_app)
        own = tasks[number]
        for count in range(25):
            changed = (writer if count % 2 else reader).patch(f"/tasks/{own}", {"title": f"{number} {count}"})
            acknowledged[own] = changed.get_json()["data"]["version"]
            least = dict(acknowledged)
            shown = reader.get("/tasks").get_json()["data"]
            stale.extend(f"list: {task}" for task in shown if task["version"] < least[task["id"]])
            other = tasks[(number + count) % 4]
            least_of_other = acknowledged[other]
            if reader.get(f"/tasks/{other}").get_json()["data"]["version"] < least_of_other:
                stale.append(f"task {other}")
            reads.append(2)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stale == []
    assert sum(reads) == 200


def test_an_answer_that_is_too_large_to_keep_is_made_each_time(
    cached_app: Flask, ada: Person, cached_statements: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A mebibyte of tasks takes long to create.
    monkeypatch.setattr(answers, "MAX_ENTRY_BYTES", 150_000)
    for _ in range(15):
        ada.create_task(description="x" * 10_000)
    reader = ada.at(cached_app)
    for _ in range(2):
        cached_statements.clear()
        assert len(reader.get("/tasks").data) > 150_000
        assert len(cached_statements) == 3


def test_a_read_costs_the_redis_of_the_cache_one_round_trip_and_a_write_none(
    remake_app: Callable[..., Flask], ada: Person, own_redis_server: RedisServer
) -> None:
    reader = ada.at(remake_app(cache__backend="redis", cache__url=own_redis_server.url))

    def count(work: Callable[[], Any]) -> dict[str, int]:
        def calls(client: Any) -> dict[str, int]:
            stats = client.info("commandstats")
            return {name: stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("get", "set", "del", "unlink")}

        with own_redis_server.client as client:
            before = calls(client)
            work()
            after = calls(client)
        return {name: after[name] - before[name] for name in after if after[name] != before[name]}

    assert count(lambda: reader.get("/tasks")) == {"get": 1, "set": 1}  # Nothing waits for the set.
    assert count(lambda: reader.get("/tasks")) == {"get": 1}
    assert count(lambda: reader.get(f"/users/{ada.user_id}/profile")) == {"get": 1, "set": 1}
    tag = reader.get("/tasks").headers["ETag"]
    assert count(lambda: reader.get("/tasks", headers={"If-None-Match": tag})) == {}
    assert count(reader.create_task) == {}
    assert count(lambda: reader.get(f"/users/{ada.user_id}/profile")) == {"get": 1, "set": 1}


def test_what_somebody_plants_in_redis_is_never_shown(
    remake_app: Callable[..., Flask], ada: Person, own_redis_server: RedisServer
) -> None:
    application = remake_app(cache__backend="redis", cache__url=own_redis_server.url)
    reader = ada.at(application)
    ada.create_task()
    true = reader.get("/tasks").data
    with own_redis_server.client as client:
        [name] = client.keys()
        honest = client.get(name)
        assert b"Water the plants" in honest
        for planted in (
            b"",
            b"!",
            honest[:10],
            honest.replace(b"Water the plants", b"Burn the plants."),
            honest[16:],
            b"!\x80\x04\x95\x1e\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x04true\x94\x85\x94R\x94.",
        ):
            client.set(name, planted)
            assert reader.get("/tasks").data == true
        # What was true as the answer to one question is no answer to another.
        reader.get("/tasks?per_page=1")
        [other] = {*client.keys()} - {name}
        client.set(name, client.get(other))
        assert reader.get("/tasks").data == true
        client.delete(name)
        client.lpush(name, b"a list")
        assert reader.get("/tasks").data == true
    with application.app_context():
        assert cache._entries.cache.__class__.__name__ == "RedisBytes"
