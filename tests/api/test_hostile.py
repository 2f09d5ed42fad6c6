"""Hostile input: whatever is sent to whichever operation, nothing breaks and nothing is stored that was not asked for.

`tests/support/hostile.py` has the families of requests. The client holds every
answer against the OpenAPI document; what else must be true of it is here.
"""

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import jwt
import pytest
from flask import Flask
from jsonschema import ValidationError
from sqlalchemy import event, select
from sqlalchemy.engine import Connection
from werkzeug.test import EnvironBuilder, TestResponse

from core.db import Base, db
from tests.api.test_matrix import TABLE, World
from tests.support import hostile
from tests.support.document import document_of
from tests.support.hostile import Operation, Request

# What refusals are written down in, on purpose.
RECORDS = {"security_events", "kept_answers", "login_failures"}
# Nobody may keep a thread busy for longer with a single request.
LONGEST_SECONDS = 5.0
# What an error must not tell.
INTERNAL = (
    "Traceback",
    "sqlalchemy",
    "psycopg",
    "sqlite3",
    "SELECT ",
    "INSERT ",
    'File "',
    "site-packages",
    "werkzeug",
)


def template(rule: str) -> str:
    """Return how the document writes a rule."""
    from flask_restx.swagger import extract_path

    return extract_path(rule).removeprefix("/api")


def credentials(world: World, name: str) -> dict[str, str]:
    """Return the header by which somebody who may use an operation shows who they are."""
    row = TABLE[name]
    if "anonymous" in row.allowed:
        return {}
    someone = next(identity for identity in ("owner", "project_owner", "admin") if identity in row.allowed)
    kind = "refresh_token" if name.endswith("/refresh") else "access_token"
    return {"Authorization": f"Bearer {world.people[someone].tokens[kind]}"}


def operations(app: Flask, world: World) -> list[Operation]:
    """Return all operations, each with a request by somebody who may do it."""
    document = document_of(app)
    found = []
    for name, row in TABLE.items():
        method, _, rule = name.partition(" ")
        body, headers = b"", credentials(world, name)
        if row.body:
            body = json.dumps(row.body(world)).encode()
            headers["Content-Type"] = "application/json"
        elif row.form:
            builder = EnvironBuilder(method="POST", data=row.form(world))
            environ = builder.get_environ()
            body, headers["Content-Type"] = environ["wsgi.input"].read(), environ["CONTENT_TYPE"]
            builder.close()

        def path(others: Mapping[str, str], rule: str = rule) -> str:
            for placeholder, text in others.items():
                rule = rule.replace(placeholder, text)
            return world.path(rule)

        query = row.query(world).removeprefix("?")
        sound = Request("sound", method, path({}), frozenset(), query, body, tuple(headers.items()))
        described = document["paths"][template(rule)][method.lower()]
        succeeds = row.answer is None
        found.append(Operation(rule, sound, described, document["definitions"], path, succeeds))
    return found


def faults(request: Request, response: TestResponse) -> Iterator[str]:
    """Yield what is wrong with an answer, whatever it is about."""
    if any(word in response.text for word in INTERNAL):
        yield f"tells of its inside: {response.text[:300]}"
    for name, value in response.headers:
        if "\r" in value or "\n" in value or name == "X-Injected":
            yield f"has the header {name}: {value!r}"
    if response.headers.get("Location", "http://localhost/").startswith("http://localhost/") is False:
        yield f"leads to {response.headers['Location']}"
    if len(response.headers.getlist("X-Request-ID")) != 1:
        yield "has no request id"
    if response.status_code < 400 or request.method == "HEAD":
        return
    if response.mimetype != "application/json":
        yield f"is {response.mimetype}"
        return
    error = json.loads(response.data, parse_constant=float.fromhex)["error"]
    if error["request_id"] != response.headers["X-Request-ID"] or not error["message"].endswith("."):
        yield f"is no proper refusal: {error}"
    if len(response.data) > 20_000:
        yield f"is {len(response.data)} bytes long"


class Attack:
    """Sends hostile requests as whoever may use the operation, and collects what should not have happened."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.world = World(app)
        self.operations = operations(app, self.world)
        self.wrong: list[str] = []
        self._before = self._stored()
        self._wrote = False

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Notice what is written, so that the tables need not be compared after each request."""

        def note(connection: Connection, cursor: object, statement: str, *rest: object) -> None:
            self._wrote = self._wrote or not statement.startswith(("SELECT", "BEGIN", "PRAGMA"))

        with self.app.app_context():
            engine = db.engine
        event.listen(engine, "before_cursor_execute", note)
        yield
        event.remove(engine, "before_cursor_execute", note)

    def refuse(self, requests: Iterable[Request]) -> None:
        """Send requests that must be refused and change nothing."""
        with self.watching():
            for request in requests:
                try:
                    self._refuse(request)
                except (AssertionError, ValidationError) as error:
                    self.wrong.append(f"{request}: {type(error).__name__}: {error!s:.300}")

    def _refuse(self, request: Request) -> None:
        start = time.perf_counter()
        response = hostile.send(self.app, request)
        seconds = time.perf_counter() - start
        status = response.status_code
        if status not in request.expected:
            self.wrong.append(f"{request}: {status} instead of {sorted(request.expected)}: {response.text[:200]}")
        if seconds > LONGEST_SECONDS:
            self.wrong.append(f"{request}: took {seconds:.1f} s")
        self.wrong += [f"{request}: {fault}" for fault in faults(request, response)]
        changed = self.changed()
        if changed:
            self.wrong.append(f"{request}: answered {status}, and changed {changed}")

    def changed(self) -> list[str]:
        """Return the tables that are not as they were, records of refusals aside."""
        if not self._wrote:
            return []
        self._wrote = False
        now = self._stored()
        different = [name for name in now if now[name] != self._before[name]]
        self._before = now
        return different

    def _stored(self) -> dict[str, Any]:
        with self.app.app_context():
            return {
                name: db.session.execute(select(table)).all()
                for name, table in Base.metadata.tables.items()
                if name not in RECORDS
            }


def report(wrong: list[str]) -> str:
    """Return all violations, one a line."""
    return f"{len(wrong)} violations:\n" + "\n".join(wrong)


@pytest.fixture
def attack(app: Flask) -> Attack:
    return Attack(app)


def test_every_operation_refuses_what_is_hostile_and_stores_nothing(attack: Attack) -> None:
    requests = hostile.corpus(attack.operations)
    assert {operation.rule for operation in attack.operations} == {name.partition(" ")[2] for name in TABLE}
    assert len(requests) > 2_500
    attack.refuse(requests)
    assert not attack.wrong, report(attack.wrong)


def test_what_only_some_operations_know_is_refused_as_well(attack: Attack) -> None:
    sounds = {f"{one.sound.method} {one.rule}": one.sound for one in attack.operations}
    attack.refuse(hostile.nowhere())
    attack.refuse(hostile.nested(sounds))
    attack.refuse(hostile.forms(sounds["POST /api/v1/imports"]))
    attack.refuse(hostile.logins(sounds["POST /api/v1/auth/login"]))
    token = attack.world.people["owner"].tokens["access_token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    secret = attack.app.extensions["tasklane"].jwt_secret_key
    attack.refuse(hostile.forged_tokens(sounds["GET /api/v1/auth/me"], claims, secret))
    assert not attack.wrong, report(attack.wrong)
