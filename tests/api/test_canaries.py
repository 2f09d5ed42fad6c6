"""Canaries: secrets that real requests and jobs carry, and that no line of any log may show.

Every record is formatted three times: as JSON, for people, and without any
redaction. The last one proves that a canary was there to be found.
"""

import logging
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import select, text

from core.jobs.model import Job
from core.platform.config.secret_values import secret_values
from core.platform.config.settings import Settings
from core.platform.database.base import db
from core.platform.database.session import transaction
from core.platform.logs.context import ContextFilter
from core.platform.logs.lines import JsonLines, TextLines
from core.platform.text.redaction import Redactor
from tests.support import work
from tests.support.document import CheckedClient
from tests.support.people import Person
from tests.support.upstream import Handler, UpstreamServer

CANARY = "c4n4ry"
PASSWORD, NEW_PASSWORD, WRONG = f"{CANARY} first password", f"{CANARY} second password", f"{CANARY} no password"


class Lines(logging.Handler):
    """Recorder of all log lines, in every form."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(logging.DEBUG)
        redactor = Redactor(secret_values(settings))
        self.forms = {"json": JsonLines(redactor), "text": TextLines(redactor, colours=True)}
        self.plain = logging.Formatter()
        self.addFilter(ContextFilter())
        self.shown: list[str] = []
        self.raw: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.shown += [form.format(record) for form in self.forms.values()]
        record.exc_text = None
        self.raw.append(f"{self.plain.format(record)} {record.__dict__}")

    def leaks(self, *secrets: str) -> list[str]:
        return [line for line in self.shown for secret in (CANARY, *secrets) if secret in line]


@pytest.fixture
def upstream() -> Iterator[UpstreamServer]:
    with UpstreamServer() as server:
        yield server


@pytest.fixture
def watched(remake_app: Callable[..., Flask], upstream: UpstreamServer) -> Iterator[tuple[Flask, Lines]]:
    """An application with canaries in its settings, and all that anybody logs, down to DEBUG."""
    app = remake_app(
        redis_url=f"redis://:{CANARY}-redis@127.0.0.1:1/0",
        ratelimit_enabled=True,
        auth__login_limit="100 per minute",
        mail__server="127.0.0.1",
        mail__port=1,
        mail__username="tasklane",
        mail__password=f"{CANARY}-mail",
        upstreams__far__base_url=upstream.url.replace("//", f"//me:{CANARY}-url@"),
        upstreams__far__retries=0,
        **{"upstreams.far.headers.x-key": f"{CANARY}-header"},
    )
    lines = Lines(app.extensions["tasklane"])
    root = logging.getLogger()
    quiet = {name: logging.getLogger(name).level for name in ("httpcore", "httpx", "rq", "alembic", "limits")}
    level = root.level
    root.addHandler(lines)
    root.setLevel(logging.DEBUG)
    for name in quiet:
        logging.getLogger(name).setLevel(logging.NOTSET)
    yield app, lines
    root.removeHandler(lines)
    root.setLevel(level)
    for name, before in quiet.items():
        logging.getLogger(name).setLevel(before)


def crash(monkeypatch: pytest.MonkeyPatch, place: str, message: Callable[..., str]) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError(message(*args, **kwargs))

    monkeypatch.setattr(place, fail)


def test_no_line_shows_what_requests_and_jobs_keep_secret(
    watched: tuple[Flask, Lines], upstream: UpstreamServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, lines = watched
    settings: Settings = app.extensions["tasklane"]
    person = Person(app, "carol")
    secrets: list[str] = [settings.secret_key, settings.jwt_secret_key]

    # Accounts, logins of every kind, and what is wrong about them.
    account = {"username": "carol", "email": "carol@example.com", "password": PASSWORD}
    assert person.post("/auth/register", account).status_code == 201
    assert person.post("/auth/register", {**account, "passwrod": f"{CANARY}-typo"}).status_code == 422
    assert person.log_in(WRONG).status_code == 401
    assert person.log_in(PASSWORD).status_code == 200
    form = {"grant_type": "password", "username": "carol", "password": PASSWORD, "client_secret": f"{CANARY}-client"}
    assert person.client.post("/api/v1/auth/login", data=form).status_code == 200
    basic = {"auth": ("carol", WRONG), "environ_base": {"REMOTE_ADDR": "127.0.0.1"}}
    assert person.client.post("/api/v1/auth/login", **basic).status_code == 401
    broken = {"data": f'{{"username": "carol", "password": "{PASSWORD}', "content_type": "application/json"}
    assert person.client.post("/api/v1/auth/login", **broken).status_code == 400
    assert person.get(f"/tasks?token={CANARY}-query&password={CANARY}").status_code == 400
    assert person.get(f"/notifications/unsubscribe/{CANARY}-path").status_code in (400, 404)

    # Tokens, keys and cookies, right and wrong.
    refreshed = person.post("/auth/refresh", token=person.tokens["refresh_token"]).get_json()
    assert person.get("/tasks", token=f"{CANARY}-token").status_code == 401
    assert person.get("/tasks", token="", headers={"Cookie": f"tasklane_session={CANARY}"}).status_code == 401
    key = person.post("/auth/keys", {"name": "k", "scopes": ["tasks:read"]}).get_json()["data"]["key"]
    assert person.get("/tasks", token="", headers={"X-API-Key": key}).status_code == 200
    assert person.get("/tasks", token="", headers={"X-API-Key": f"tl_{CANARY}"}).status_code == 401
    browser = CheckedClient(app, app.response_class)
    session = browser.post("/api/v1/auth/session", json={"username": "carol", "password": PASSWORD, "remember": True})
    cookie = browser.get_cookie("tasklane_session", path="/api")
    assert cookie is not None
    csrf = session.get_json()["data"]["csrf_token"]
    secrets += [person.tokens["access_token"], person.tokens["refresh_token"], refreshed["access_token"], key]
    secrets += [cookie.value, csrf]

    # Bugs, whose exceptions carry what the request has told.
    crash(monkeypatch, "core.auth.service.login", lambda **given: f"cannot log in with {given['password']}")
    assert person.log_in(WRONG).status_code == 500
    crash(monkeypatch, "core.tasks.service.list_visible", lambda *args, **given: f"{key} {refreshed['access_token']}")
    assert person.get("/tasks?sort=id", token="", headers={"X-API-Key": key}).status_code == 500
    assert person.get("/tasks?sort=id", token=refreshed["access_token"]).status_code == 500
    monkeypatch.undo()
    crash(monkeypatch, "core.tasks.service.create", lambda *args, **given: f"{cookie.value} {csrf}")
    headers = {"X-CSRF-TOKEN": csrf}
    assert browser.post("/api/v1/tasks", json={"title": "A"}, headers=headers).status_code == 500
    monkeypatch.undo()
    crash(monkeypatch, "core.auth.service.change_password", lambda *args, **given: f"cannot change {given}")
    assert person.post("/auth/password", {"old_password": PASSWORD, "new_password": NEW_PASSWORD}).status_code == 500
    monkeypatch.undo()
    assert person.post("/auth/password", {"old_password": WRONG, "new_password": NEW_PASSWORD}).status_code in (
        401,
        403,
        422,
    )
    assert person.post("/auth/password", {"old_password": PASSWORD, "new_password": NEW_PASSWORD}).status_code < 300

    # Dependencies that fail, with their addresses and their parameters.
    def refuse(*args: Any, **kwargs: Any) -> None:
        with transaction() as session:
            session.execute(text("UPDATE nothing SET password_hash = :hash"), {"hash": f"{CANARY}-parameter"})

    monkeypatch.setattr("core.tasks.service.get", refuse)
    assert person.get("/tasks/1", token=refreshed["access_token"]).status_code in (500, 503)
    monkeypatch.undo()
    crash(monkeypatch, "core.tasks.service.get", lambda *args, **given: f"{settings.redis_url} {settings.secret_key}")
    assert person.get("/tasks/1", token=refreshed["access_token"]).status_code == 500
    monkeypatch.undo()
    assert person.get("/health/ready").status_code == 200

    def answer(handler: Handler) -> None:
        handler.say({"access_token": f"{CANARY}-answer"}, **{"Set-Cookie": f"id={CANARY}-cookie"})

    upstream.on("/good", answer)
    upstream.on("/bad", lambda handler: handler.raw(b"HTTP/1.1 broken\r\n\r\n"))
    for path in ("good", "bad"):
        person.get(f"/upstreams/far/{path}", token=refreshed["access_token"])

    # Work: a mail server that is away, and a bug that shows its settings.
    with app.app_context():
        job_id: UUID = db.session.scalars(select(Job.id).where(Job.kind == "email.welcome")).one()
    work.run(app, job_id)
    crash(
        monkeypatch, "workers.jobs.emails.welcome", lambda *args, **given: f"{settings.mail} {settings.mail.password}"
    )
    work.run(app, job_id, attempt=1)

    # What a careless line would say.
    log = logging.getLogger("tasklane.careless")
    log.info("Headers: %s", {"Authorization": f"Bearer {CANARY}", "Accept": "*/*"})
    log.info("Settings", extra={"password": CANARY, "nested": {"refresh_token": [CANARY]}})
    log.info("Connecting to %s", settings.redis_url, stack_info=True)

    assert lines.leaks(*secrets) == []
    raw = "\n".join(lines.raw)
    # Otherwise this has looked for what nobody could have found.
    told = (WRONG, key, csrf, NEW_PASSWORD, f"{CANARY}-redis", f"{CANARY}-mail", f"{CANARY}-cookie")
    for secret in (*told, settings.secret_key, cookie.value, refreshed["access_token"]):
        assert secret in raw, secret
    assert sum("Unexpected error" in line for line in lines.shown) >= 2 * 5
    assert f"{CANARY}-parameter" not in raw
