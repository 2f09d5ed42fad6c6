"""No caller reads a word that is not for them: every route, as each caller whom it does not concern.

Content of four kinds is marked with words that occur nowhere else, and read by those who may, so
that it is kept wherever answers are kept. Then all operations are tried on it, and no answer, head
or body, to anybody may have a word that is not for them, or a tag or place of what they are refused.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import flask_migrate
import pytest
from flask import Flask, Response
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.http.door import tokens
from core.auth import service as auth
from core.platform.access import SCOPES, Permission
from core.platform.database.session import transaction
from core.users.model import User
from tests.support.engines import on_sqlite
from tests.support.people import PASSWORD, Person, make_person
from tests.support.work import run
from tests.support.world import TABLE, World, permission_of

# In everything that is marked; the only word of it that requests say.
FINDABLE = "Quagga"
MEMBERS, TEAM, PRIVATE, ADDRESS = "mmquartz71", "ttquartz72", "ppquartz73", "aaquartz74"
EVERYTHING = frozenset({MEMBERS, TEAM, PRIVATE, ADDRESS})

# What nobody of this name may ever be told.
HIDDEN = {
    "anonymous": EVERYTHING,
    "inactive": EVERYTHING,
    "logged out": EVERYTHING,
    "revoked key": EVERYTHING,
    "narrow key": EVERYTHING,
    "stranger": EVERYTHING - {MEMBERS},
    "former": EVERYTHING - {MEMBERS},
    "viewer": EVERYTHING - {MEMBERS, TEAM},
}
READS = [operation for operation in TABLE if operation.startswith("GET ")]
TELLING_HEADERS = ("ETag", "Location", "Content-Location", "Last-Modified", "Link")

# More ways to ask, for what a list might let through although its rows are hidden.
QUERIES = {
    "/tasks": ("q={word}", "owner_id={owner}", "project_id={project}", "deleted=true&q={word}", "cursor={cursor}"),
    "/users": ("q={word}", "q=aaquartz", "sort=-created_at"),
    "/users/<int:user_id>/tasks": ("q={word}", "deleted=true"),
    "/users/<int:user_id>/posts": ("q={word}",),
    "/posts": ("q={word}", "task_id={task}", "user_id={owner}"),
    "/items": ("q={word}",),
    "/search": (
        "q={word}",
        "q={word}&type=task",
        "q={word}&type=post,item",
        "q={word}&project_id={project}&sort=newest",
    ),
    "/stats": ("project_id={project}",),
    "/jobs": ("kind=export",),
    "/jobs/<job_id>/result": ("name=tasks.jsonl",),
    "/security-events": ("user_id={owner}",),
}


class Secrets(World):
    """A world with marked content: of the team, and of its owner alone."""

    def __init__(self, app: Flask) -> None:
        super().__init__(app)
        owner, boss = self.people["owner"], self.people["project_owner"]
        self.people["former"] = make_person(app, "former")
        member = f"/projects/{self.project_id}/members/{self.people['former'].user_id}"
        self._do(boss.put(member, {"role": "editor"}))
        self._do(boss.patch(f"/projects/{self.project_id}", self._named(TEAM, "name")))
        self._do(owner.patch(f"/tasks/{self.task_id}", self._named(TEAM, "title")))
        self._do(owner.patch(f"/posts/{self.post_id}", self._named(TEAM, "title", "content")))
        self._do(owner.patch(f"/items/{self.item_id}", self._named(MEMBERS, "name")))
        self._do(owner.patch("/auth/me", {"name": f"{FINDABLE} {MEMBERS}", "email": f"{ADDRESS}@example.com"}))
        self.team = {"task": self.task_id, "post": self.post_id, "project": self.project_id}
        task = owner.create_task(**self._named(PRIVATE, "title"))
        trashed = owner.create_task(**self._named(PRIVATE, "title"))
        self._do(owner.delete(f"/tasks/{trashed['id']}"))
        project = self._do(owner.post("/projects", {"key": "MINE", **self._named(PRIVATE, "name")}))
        post = owner.create_post(**self._named(PRIVATE, "title", "content"), task_id=task["id"])
        self.alone = {"task": task["id"], "post": post["id"], "project": project["id"]}
        self.trashed = {**self.alone, "task": trashed["id"]}
        self.key_id = self._do(owner.post("/auth/keys", {"name": PRIVATE, "scopes": ["tasks:read"]}))["id"]
        self.job_id = self._export(owner)
        cursor = owner.get("/tasks?per_page=1").get_json()["meta"]["pagination"]["next_cursor"]
        self.words = {"word": FINDABLE, "owner": owner.user_id, "cursor": cursor}
        self.keys = {name: self._key(scope) for name, scope in (("narrow", "search:read"), ("other", "items:read"))}
        self.keys["revoked"] = self._revoked_key()
        self.ended = owner.post("/auth/login", {"username": "owner", "password": PASSWORD}).get_json()
        self._do(owner.post("/auth/logout", token=self.ended["access_token"]))

    @staticmethod
    def _named(mark: str, *names: str) -> dict[str, str]:
        return dict.fromkeys((*names, *(() if "content" in names else ("description",))), f"{FINDABLE} {mark}")

    @staticmethod
    def _do(response: TestResponse) -> Any:
        assert response.status_code < 300, response.text
        return (response.get_json(silent=True) or {}).get("data")

    def _export(self, person: Person) -> str:
        ordered = self._do(person.post("/exports", {"kind": "tasks", "format": "jsonl"}))
        run(self.app, UUID(ordered["job_id"]))
        return str(ordered["job_id"])

    def _key(self, *scopes: str) -> str:
        return str(self._do(self.people["owner"].post("/auth/keys", {"name": PRIVATE, "scopes": scopes}))["key"])

    def _revoked_key(self) -> str:
        scopes = [str(scope) for scope in SCOPES if scope is not Permission.USERS_ADMIN]
        made = self._do(self.people["owner"].post("/auth/keys", {"name": PRIVATE, "scopes": scopes}))
        self._do(self.people["owner"].delete(f"/auth/keys/{made['id']}"))
        return str(made["key"])

    def at(self, place: dict[str, int]) -> None:
        """Let paths and bodies mean this task, post and project."""
        self.task_id, self.post_id, self.project_id = place["task"], place["post"], place["project"]

    def addresses(self, operation: str) -> Iterator[str]:
        """Yield every way to write the path of the operation."""
        rule = operation.split(" ")[1]
        path = self.path(rule)
        yield path + TABLE[operation].query(self)
        if operation.startswith("GET "):
            words = {**self.words, "task": self.task_id, "project": self.project_id}
            for query in QUERIES.get(rule.removeprefix("/api/v1"), ()):
                yield f"{path}?{query.format(**words)}"

    def read_all_and_part(self) -> None:
        """Fill the cache with all that it may hold, then take a member out of the project."""
        for person in ("viewer", "former"):
            self._read_all(self.people[person])
        former = f"/projects/{self.team['project']}/members/{self.people['former'].user_id}"
        self._do(self.people["project_owner"].delete(former))

    def _read_all(self, person: Person) -> None:
        client = FlaskClient(self.app, Response)
        for place in (self.team, self.alone):
            self.at(place)
            for operation in READS:
                for address in self.addresses(operation):
                    client.get(address, headers={"Authorization": f"Bearer {person.tokens['access_token']}"})

    def credentials(self, name: str, operation: str) -> dict[str, str]:
        """Return the headers by which somebody presents themselves."""
        method, rule = operation.split(" ")
        if name == "narrow key":
            wants_search = permission_of(self.app, method, rule) is Permission.SEARCH_READ
            return {"X-API-Key": self.keys["other" if wants_search else "narrow"]}
        if name == "revoked key":
            return {"X-API-Key": self.keys["revoked"]}
        if name == "anonymous":
            return {}
        held = self.ended if name == "logged out" else self.people[name].tokens
        return {"Authorization": f"Bearer {held['refresh_token' if rule.endswith('/refresh') else 'access_token']}"}

    def undo(self, name: str, operation: str) -> None:
        """Take back what somebody may do to themselves: end their sessions, or leave the project."""
        if "/auth/" in operation:
            self.log_in(name)
        if "/members/" in operation and name == "viewer":
            viewer = f"/projects/{self.team['project']}/members/{self.people['viewer'].user_id}"
            self._do(self.people["project_owner"].put(viewer, {"role": "viewer"}))

    def log_in(self, name: str) -> None:
        """Give somebody a new session."""
        person = self.people[name]
        with self.app.app_context(), transaction() as session:
            user = session.get_one(User, person.user_id)
            person.tokens = tokens.issue(auth.open_session(session, user, lifetime=timedelta(days=1)))


def words_in(response: TestResponse) -> set[str]:
    said = response.data + str(response.headers).encode()
    return {word for word in EVERYTHING if word.encode() in said}


@pytest.fixture(scope="module")
def secrets(new_database_url: Callable[[], str], remake_for_module: Callable[..., Flask]) -> Iterator[Secrets]:
    """A world that all tests of operations share, read by those who may; in the end nothing of it has changed."""
    app = remake_for_module(database_url=new_database_url())
    with app.app_context():
        flask_migrate.upgrade()
    world = Secrets(app)
    # Whoever may read it does, or nothing here would prove anything.
    owner, told = world.people["owner"], set[str]()
    world.read_all_and_part()
    for place in (world.team, world.alone):
        world.at(place)
        for operation in READS:
            told |= {word for address in world.addresses(operation) for word in words_in(owner.get(address))}
    assert told == EVERYTHING
    before = {path: owner.get(path).data for path in _belongings(world)}
    yield world
    assert {path: owner.get(path).data for path in before} == before


# Who may see what is decided in the same statements on both engines; the counts below are of both.
@on_sqlite
@pytest.mark.parametrize("operation", TABLE)
def test_nobody_is_told_a_word_that_is_not_for_them(secrets: Secrets, operation: str) -> None:
    world, leaks = secrets, []
    for name, hidden in HIDDEN.items():
        # Whoever does not get through the door gets nowhere, wherever and however they want to go.
        places = (world.team, world.alone, world.trashed) if MEMBERS not in hidden else (world.alone,)
        tried = Tried()
        for place in reversed(places):
            world.at(place)
            for request, response in _tries(world, name, operation, tried):
                if response.status_code == 401 and MEMBERS not in hidden and "/auth/" not in operation:
                    leaks.append((name, request, 401, "This proves nothing: they were not let in."))
                if words_in(response) & hidden or _tells_of_what_it_refuses(response):
                    leaks.append((name, request, response.status_code, response.text[:300]))
            if MEMBERS not in hidden:
                world.undo(name, operation)
    assert leaks == []


@on_sqlite
def test_no_export_holds_a_word_that_is_not_for_who_ordered_it(secrets: Secrets) -> None:
    for name in ("stranger", "former"):
        person = secrets.people[name]
        for kind in ("tasks", "posts"):
            ordered = person.post("/exports", {"kind": kind, "format": "jsonl", "filters": {"q": FINDABLE}})
            job_id = ordered.get_json()["data"]["job_id"]
            run(secrets.app, UUID(job_id))
            assert person.get(f"/jobs/{job_id}").get_json()["data"]["state"] == "succeeded"
            result = person.get(f"/jobs/{job_id}/result")
            assert (result.status_code, result.data) == (200, b"")


def _belongings(world: Secrets) -> list[str]:
    owned = [f"/tasks/{place['task']}" for place in (world.team, world.alone)]
    owned += [f"/posts/{place['post']}" for place in (world.team, world.alone)]
    return [*owned, f"/projects/{world.alone['project']}", f"/items/{world.item_id}", "/auth/me"]


Tried = set[tuple[str, str]]


def _tries(world: Secrets, name: str, operation: str, tried: Tried) -> Iterator[tuple[str, TestResponse]]:
    """Yield the answers to all ways to ask for an operation, but for those that were tried before."""
    method, row = operation.split(" ")[0], TABLE[operation]
    headers = world.credentials(name, operation)
    # The document is not asked here: it is a matter of the tests that know what each answer should be.
    client = FlaskClient(world.app, Response)
    is_member = MEMBERS not in HIDDEN[name]
    for number, address in enumerate(world.addresses(operation)):
        if number and not is_member:
            return
        if (method, address) in tried and row.body is None:
            continue
        tried.add((method, address))
        ways = [(method, {})]
        if not is_member:
            pass
        elif method == "GET" and number == 0:
            ways += [("HEAD", {}), ("GET", {"If-None-Match": "*"})]
        elif method in ("PUT", "PATCH", "DELETE"):
            ways += [(method, {"If-Match": '"0123456789abcdef"'})]
        for verb, conditions in ways:
            content: dict[str, Any] = {"json": row.body(world)} if row.body else {}
            content |= {"data": row.form(world)} if row.form else {}
            yield (
                f"{verb} {address} {conditions}",
                client.open(address, method=verb, headers={**headers, **conditions}, **content),
            )


def _tells_of_what_it_refuses(response: TestResponse) -> bool:
    return response.status_code in (401, 403, 404) and any(name in response.headers for name in TELLING_HEADERS)


def test_nothing_hidden_is_counted(app: Flask) -> None:
    world = Secrets(app)
    owner = f"user_id={world.words['owner']}"
    # What the team shares is one task with one post in one project.
    for name, seen in (("stranger", 0), ("viewer", 1)):
        lists = {f"/tasks?q={FINDABLE}": seen, f"/posts?q={FINDABLE}": seen, "/tasks?deleted=true": 0}
        lists |= {f"/users/{world.words['owner']}/tasks": seen, f"/search?q={FINDABLE}&type=task,post": 2 * seen}
        lists |= {"/projects": seen, "/users?q=aaquartz": 0, f"/security-events?{owner}": 0}
        for path, count in lists.items():
            answer = world.people[name].get(path).get_json()
            assert (len(answer["data"]), answer["meta"]["pagination"]["total"]) == (count, count), (name, path)
        assert world.people[name].get("/stats").get_json()["data"]["total"] == seen
