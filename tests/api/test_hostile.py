"""Hostile input: whatever is sent to whichever operation, nothing breaks and nothing is stored that was not asked for.

`tests/support/hostile.py` has the families of requests. The client holds every
answer against the OpenAPI document; what else must be true of it is here.
"""

import json
import re
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import jwt
import pytest
from flask import Flask
from jsonschema_rs import ValidationError
from sqlalchemy import event, select
from sqlalchemy.engine import Connection
from werkzeug.test import TestResponse

from core.jobs.model import JobState
from core.platform.database.base import Base, db
from core.platform.text import checks
from tests.support import forgeries, hostile
from tests.support import hostile_values as values
from tests.support.document import document_of, operation_of
from tests.support.engines import on_postgresql, on_sqlite
from tests.support.hostile import Request
from tests.support.imports import run, upload
from tests.support.operations import operations
from tests.support.people import PASSWORD, Person
from tests.support.sockets import Running
from tests.support.world import make_world

# What refusals are written down in, on purpose.
RECORDS = {"security_events", "kept_answers", "login_failures"}
# Nobody may keep a processor busy for longer with a single request.
LONGEST_SECONDS = 2.0
HOME = "http://localhost/"
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


def faults(request: Request, response: TestResponse) -> Iterator[str]:
    """Yield what is wrong with an answer, whatever it is about."""
    if any(word in response.text for word in INTERNAL):
        yield f"tells of its inside: {response.text[:300]}"
    for name, value in response.headers:
        if "\r" in value or "\n" in value or name == "X-Injected":
            yield f"has the header {name}: {value!r}"
    if not response.headers.get("Location", HOME).startswith(HOME):
        yield f"leads to {response.headers['Location']}"
    if len(response.headers.getlist("X-Request-ID")) != 1:
        yield "has no request id"
    if response.status_code < 400 or request.method == "HEAD":
        return
    if response.mimetype != "application/json":
        yield f"is {response.mimetype}"
        return
    if not is_proper(response):
        yield f"is no proper refusal: {response.text}"
    if len(response.data) > 20_000:
        yield f"is {len(response.data)} bytes long"


def is_proper(response: TestResponse) -> bool:
    """Return whether a refusal says what it has to."""
    body = response.get_json()
    if isinstance(body["error"], str):
        # The password grant is refused in the words of OAuth (RFC 6749, section 5.2).
        return body["error_description"].endswith(".")
    return body["error"]["request_id"] == response.headers["X-Request-ID"] and body["error"]["message"].endswith(".")


class Attack:
    """Sends hostile requests as whoever may use the operation, and collects what should not have happened."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.world = make_world(app)
        self.operations = operations(app, self.world)
        self.wrong: list[str] = []
        # Template and verb of all operations that were asked.
        self.hit: set[tuple[str, str] | None] = set()
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
        try:
            yield
        finally:
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
        start = time.thread_time()
        response = hostile.send(self.app, request)
        seconds = time.thread_time() - start
        self.hit.add(operation_of(self.app, response.request.path, request.method))
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


@on_sqlite
def test_every_operation_refuses_what_is_hostile_and_stores_nothing(attack: Attack) -> None:
    requests = hostile.corpus(attack.operations)
    attack.refuse(requests)
    assert not attack.wrong, report(attack.wrong)
    documented = {(path, verb) for path, item in document_of(attack.app)["paths"].items() for verb in item}
    assert attack.hit >= {(path, verb) for path, verb in documented if verb != "parameters"}
    assert len(requests) > 2_500


@on_postgresql
def test_what_is_looked_for_is_refused_or_not_there_where_the_engine_is_stricter(attack: Attack) -> None:
    """All else is refused before any statement: what was not would have another status on either engine."""
    requests = hostile.corpus(attack.operations, hostile.LOOKED_FOR)
    attack.refuse(requests)
    assert not attack.wrong, report(attack.wrong)
    assert len(requests) > 1_000


@on_sqlite
def test_what_only_some_operations_know_is_refused_as_well(attack: Attack) -> None:
    sounds = {f"{one.sound.method} {one.rule}": one.sound for one in attack.operations}
    attack.refuse(forgeries.nowhere())
    attack.refuse(forgeries.greetings())
    attack.refuse(forgeries.nested(sounds))
    attack.refuse(forgeries.forms(sounds["POST /api/v1/imports"]))
    attack.refuse(forgeries.logins(sounds["POST /api/v1/auth/login"]))
    token = attack.world.people["owner"].tokens["access_token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    secret = attack.app.extensions["tasklane"].jwt_secret_key
    attack.refuse(forgeries.forged_tokens(sounds["GET /api/v1/auth/me"], claims, secret))
    assert not attack.wrong, report(attack.wrong)


@on_sqlite
def test_a_header_that_means_nothing_here_changes_nothing(attack: Attack) -> None:
    sounds = {f"{one.sound.method} {one.rule}": one.sound for one in attack.operations}
    task = replace(sounds["GET /api/v1/tasks/<int:task_id>"], family="a header", expected=frozenset({200}))
    plain = hostile.send(attack.app, task).data
    for name, value in (*values.IGNORED_HEADERS, *(("Accept", accept) for accept in values.ODD_ACCEPTS)):
        request = replace(task, headers=(*task.headers, (name, value)))
        attack.refuse([request])
        if hostile.send(attack.app, request).data != plain:
            attack.wrong.append(f"{request} changes the answer")
    # What is created says where it is by the name of this host, whatever a stranger says of it.
    post = sounds["POST /api/v1/posts"]
    for name, value in values.IGNORED_HEADERS:
        response = hostile.send(attack.app, replace(post, headers=(*post.headers, (name, value))))
        attack.wrong += [f"{name}: {value}: {fault}" for fault in faults(post, response)]
        assert response.status_code == 201
    # JSON is UTF-8, whatever it calls itself (RFC 8259, section 8.1).
    for media_type in values.ODD_CHARSETS:
        response = hostile.send(attack.app, replace(post, headers=(*post.headers, ("Content-Type", media_type))))
        assert response.status_code == 201, media_type
    assert not attack.wrong, report(attack.wrong)


@on_sqlite
def test_a_cookie_without_the_right_csrf_token_changes_nothing(app: Flask, ada: Person) -> None:
    answer = ada.post("/auth/session", {"username": "ada", "password": PASSWORD}, token="")
    cookie = answer.headers.getlist("Set-Cookie")[0].partition(";")[0]
    for token in values.CSRF_TOKENS:
        headers = {"Cookie": cookie} | ({} if token is None else {"X-CSRF-TOKEN": token})
        response = ada.patch("/auth/me", {"name": "Mallory"}, token="", headers=headers)
        assert response.status_code == 403, token
    assert ada.get("/auth/me").get_json()["data"]["name"] is None


def test_odd_text_is_kept_as_it_was_sent_and_found_without_a_fault(ada: Person) -> None:
    wrong = []
    words = [text for text in values.WORDS_TO_FIND if not checks.is_blank(text)]
    operations = [{"op": "create", "task": {"title": text[:150], "description": text}} for text in words]
    results = ada.post("/tasks/bulk", {"operations": operations}).get_json()["data"]["results"]
    for text, result in zip(words, results, strict=True):
        shown = ada.get(f"/tasks/{result['id']}").get_json()["data"]
        if (shown["title"], shown["description"]) != (checks.strip(text[:150]), text):
            wrong.append(f"{text!r} became {shown}")
    addresses = ("/search?q=", "/tasks?q=", "/posts?q=", "/items?q=", "/users?q=", "/items?sku=", "/tasks?sort=-id&q=")
    for number, text in enumerate(words):
        for address in ("/tasks?q=", addresses[number % len(addresses)]):
            start = time.thread_time()
            response = ada.get(address + quote(text))
            # A search says of what has nothing to look for in it that there is nothing; a filter looks for anything.
            allowed = (200, 400) if address.startswith("/search") else (200,)
            if response.status_code not in allowed or time.thread_time() - start > LONGEST_SECONDS:
                wrong.append(f"{address}{text!r}: {response.status_code} {response.text[:200]}")
        found = ada.get("/tasks?per_page=100&q=" + quote(text)).get_json()["data"]
        if results[number]["id"] not in [task["id"] for task in found]:
            wrong.append(f"/tasks?q={text!r} does not find the task")
        item = {"name": text[:120], "price": 1, "sku": f"{number}/{checks.strip(text[:50])}"}
        response = ada.post("/items", item)
        sku = quote(checks.strip(item["sku"]), safe="")
        read = ada.get("/items/by-sku/" + sku)
        if response.status_code != 201 or read.status_code != 200 or read.get_json() != response.get_json():
            wrong.append(f"item {text!r}: {response.text[:200]} {sku}: {read.text[:200]}")
    assert not wrong, report(wrong)


@on_sqlite
def test_a_file_gone_bad_fails_with_a_sentence_and_nothing_is_stored(app: Flask, ada: Person) -> None:
    wrong = []
    for name, content in values.FILES:
        response = upload(ada, content, kind="items", name=name)
        if response.status_code == 202:
            job = run(app, response.get_json()["data"]["job_id"])
            if job.state is not JobState.FAILED or not (job.error or "").endswith(".") or len(job.error or "") > 1_000:
                wrong.append(f"{name}: {job.state} {job.error!r:.300}")
            wrong += [f"{name}: {job.error}" for word in INTERNAL if word in (job.error or "")]
        elif response.status_code != 422:
            wrong.append(f"{name}: {response.status_code} {response.text[:200]}")
    assert ada.get("/items").get_json()["data"] == []
    assert not wrong, report(wrong)


@on_sqlite
def test_a_file_may_have_any_name_without_leaving_its_place(attack: Attack) -> None:
    sound = next(one.sound for one in attack.operations if one.rule == "/api/v1/imports")
    for name in values.FILE_NAMES:
        media_type, body = values.upload_named(name)
        others = tuple(item for item in sound.headers if item[0] != "Content-Type")
        response = hostile.send(attack.app, replace(sound, headers=(*others, ("Content-Type", media_type)), body=body))
        attack.wrong += [f"{name!r}: {fault}" for fault in faults(sound, response)]
        if response.status_code not in (202, 422):
            attack.wrong.append(f"{name!r}: {response.status_code} {response.text[:200]}")
    assert not attack.wrong, report(attack.wrong)


# --- bytes on a connection ----------------------------------------------------------


@on_sqlite
def test_no_bytes_break_the_server_or_smuggle_a_request(app: Flask, ada: Person) -> None:
    running = Running(app)
    running.start()
    wrong = []
    try:
        for sent, expected in values.CONVERSATIONS:
            raw = talk(running, sent.replace(b"%s", ada.tokens["access_token"].encode()))
            statuses, bodies = read_answers(raw)
            if statuses != expected:
                wrong.append(f"{sent[-200:]!r}: {statuses} instead of {expected}: {raw[-300:]!r}")
            for status, body in zip(statuses, bodies, strict=True):
                if status >= 400 and not {"message", "code", "request_id"} <= set(json.loads(body)["error"]):
                    wrong.append(f"{sent[-200:]!r}: {body!r}")
            wrong += [f"{sent[-200:]!r} tells of {word!r}" for word in INTERNAL if word.encode() in raw]
    finally:
        running.server.stop()
        running.thread.join(10)
    assert ada.get("/tasks").get_json()["data"] == []
    assert not wrong, report(wrong)


def talk(running: Running, sent: bytes) -> bytes:
    """Send bytes and say that there will be no more; return all that comes back."""
    client = running.client()
    client.socket.settimeout(10)
    # The server may refuse what it reads, and close, before it has read everything.
    with suppress(OSError):
        client.socket.sendall(sent)
        client.socket.shutdown(socket.SHUT_WR)
    received = b""
    with suppress(OSError):
        while piece := client.socket.recv(65536):
            received += piece
    client.close()
    return received


def read_answers(raw: bytes) -> tuple[tuple[int, ...], list[bytes]]:
    """Return statuses and bodies of the answers that follow each other in what a server has sent."""
    statuses, bodies = [], []
    while raw:
        head, _, raw = raw.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        size = int(length.group(1)) if length else 0
        statuses.append(int(head.split()[1]))
        bodies.append(raw[:size])
        raw = raw[size:]
    return tuple(statuses), bodies
