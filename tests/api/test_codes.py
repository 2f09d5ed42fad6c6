"""Every status that the document announces can happen: each is provoked, on each operation that announces it."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from itsdangerous import URLSafeTimedSerializer
from sqlalchemy import update

from api.http.door import tokens
from api.http.door.limiters import credentials_limiter
from api.http.door.resource import SecureResource
from api.http.serving import kept_answers
from core.files.model import StoredFile
from core.idempotency import service as idempotency
from core.idempotency.service import Ticket
from core.platform import clock
from core.platform.access import OPERATOR
from core.platform.database.session import transaction
from core.platform.preconditions import ANY_STATE
from core.removal import service as removal
from tests.support import hostile
from tests.support.database import Snapshot, empty
from tests.support.hostile import Operation, Request
from tests.support.operations import operations
from tests.support.servers import RedisServer
from tests.support.upstream import UpstreamServer
from tests.support.work import run
from tests.support.world import TABLE, make_world, permission_of

ABSENT = {
    "<int:task_id>": "999999999",
    "<int:user_id>": "999999999",
    "<int:project_id>": "999999999",
    "<int:post_id>": "999999999",
    "<int:item_id>": "999999999",
    "<int:key_id>": "999999999",
    "<job_id>": "00000000-0000-4000-8000-000000000000",
    "<token>": "nothing",
    "<rest:sku>": "nothing",
    "<name>/<path:path>": "nothing/nothing",
}
RELAY = "/api/v1/upstreams/<name>/<path:path>"
RESULT = "/api/v1/jobs/<job_id>/result"

LIMITS = {
    "limits__user": "1 per hour",
    "limits__admin": "1 per hour",
    "limits__address": "1 per hour",
    "auth__login_limit": "1 per hour",
    "auth__address_limit": "1 per hour",
    "auth__password_limit": "1 per hour",
}

Provoke = Callable[["Survey", Operation], int]


class Survey:
    """Asks operations for each status that the document announces for them."""

    def __init__(
        self,
        remake_app: Callable[..., Flask],
        upstream: UpstreamServer,
    ) -> None:
        options = {"upstreams__far__base_url": upstream.url, "upstreams__far__allow_post": True}
        self.app = remake_app(**options, upstreams__far__cache_seconds=0)
        self.closed = remake_app(registration_open=False)
        self.strict = remake_app(require_if_match=True)
        self.lost = remake_app(database_url="sqlite:////nowhere/at/all.db", **options)
        self.limited = remake_app(**LIMITS, ratelimit_enabled=True)
        credentials_limiter.enabled = False
        # Of the test that asks.
        self.monkeypatch = pytest.MonkeyPatch()
        self.is_fresh = False
        self._rows: Snapshot | None = None

    def renew(self) -> None:
        """Begin with a world that nothing has happened to yet."""
        empty(self.app)
        if self._rows is None or self._rows.is_old:
            self._make()
            self._rows = Snapshot(self.app)
        else:
            self._rows.put_back()
        self.world = self._first.as_it_was()

    def _make(self) -> None:
        self._first = make_world(self.app)
        owner, boss = self._first.people["owner"], self._first.people["project_owner"]
        self.boss_id = boss.user_id
        boss.post("/projects", {"key": "TAKEN", "name": "Another"})
        owner.post("/items", {"name": "Another", "price": 1, "sku": "TAKEN"})
        made = owner.post("/exports", {"kind": "tasks", "format": "csv"}).get_json()["data"]["job_id"]
        run(self.app, UUID(made))
        self.finished, self.waiting = made, self._first.job_id
        self.operations = {}
        places = {RELAY: {"<name>/<path:path>": "far/home"}, RESULT: {"<job_id>": made}}
        for one in operations(self.app, self._first):
            sound = replace(one.sound, path=one.path(places.get(one.rule, {})))
            self.operations[f"{sound.method} {one.rule}"] = replace(one, sound=sound)

    def ask(self, request: Request, app: Flask | None = None) -> int:
        """Return the status of the answer. Who changes something leaves another world behind."""
        status = hostile.send(app or self.app, request).status_code
        if status < 300 and request.method != "GET":
            self.renew()
        return status


# --- how each status is provoked ----------------------------------------------------


def with_query(query: str) -> Provoke:
    return lambda survey, operation: survey.ask(operation.but("", query=query))


def with_headers(**headers: str | None) -> Provoke:
    return lambda survey, operation: survey.ask(operation.but_headers("", **headers))


def with_body(**body: Any) -> Provoke:
    return lambda survey, operation: survey.ask(operation.but("", body=json.dumps(body).encode()))


def at(**place: str) -> Provoke:
    return lambda survey, operation: survey.ask(operation.but("", path=operation.path(place)))


def elsewhere(survey: Survey, operation: Operation) -> int:
    return survey.ask(operation.but("", path=operation.path(ABSENT)))


def in_strict_app(survey: Survey, operation: Operation) -> int:
    return survey.ask(operation.sound, survey.strict)


def in_lost_app(survey: Survey, operation: Operation) -> int:
    return survey.ask(operation.sound, survey.lost)


def as_it_is(survey: Survey, operation: Operation) -> int:
    return survey.ask(operation.sound)


def by_a_narrow_key(survey: Survey, operation: Operation) -> int:
    key = survey.world.key_without(permission_of(survey.app, operation.sound.method, operation.rule))
    return survey.ask(operation.but_headers("", Authorization=None, X_API_Key=key))


def by_an_old_cursor(survey: Survey, operation: Operation) -> int:
    secret = survey.app.extensions["tasklane"].secret_key
    with survey.monkeypatch.context() as patch:
        patch.setattr("itsdangerous.timed.time.time", lambda: 0)
        cursor = str(URLSafeTimedSerializer(secret, salt="paging").dumps(["", []]))
    return survey.ask(operation.but("", query=f"cursor={cursor}"))


def by_a_bug(survey: Survey, operation: Operation) -> int:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("A bug.")

    with survey.monkeypatch.context() as patch:
        patch.setattr(SecureResource, "_answer", fail)
        # What was asked a moment ago would be answered before the bug.
        patch.setattr(survey.app.extensions[kept_answers.EXTENSION], "is_on", False)
        return survey.ask(operation.sound)


def with_a_key_that_is_taken(change: Callable[[Ticket], Ticket]) -> Provoke:
    """Let another request claim the idempotency key at the same moment."""

    def provoke(survey: Survey, operation: Operation) -> int:
        find = idempotency.find

        def find_late(ticket: Ticket) -> Any:
            with transaction() as session:
                idempotency.claim(session, change(ticket))
            return find(ticket)

        with survey.monkeypatch.context() as patch:
            patch.setattr(idempotency, "find", find_late)
            return survey.ask(operation.but_headers("", Idempotency_Key=f"{operation.rule} {id(change)}"))

    return provoke


at_the_same_time = with_a_key_that_is_taken(lambda ticket: ticket)
for_something_else = with_a_key_that_is_taken(lambda ticket: replace(ticket, fingerprint="another"))


def while_the_account_ends(survey: Survey, operation: Operation) -> int:
    """Delete the caller's account after they were let in and before they are served."""
    verify = tokens.verify
    heir = survey.world.people["stranger"].user_id

    def verify_and_delete(*, refresh: bool) -> Any:
        actor = verify(refresh=refresh)
        removal.delete_user(OPERATOR, ANY_STATE, user_id=actor.user_id, transfer_to=heir)
        return actor

    with survey.monkeypatch.context() as patch:
        patch.setattr(tokens, "verify", verify_and_delete)
        status = hostile.send(survey.app, operation.sound).status_code
    survey.renew()
    return status


def with_a_wrong_field(survey: Survey, operation: Operation) -> int:
    if operation.fields is None or operation.is_relay:
        return for_something_else(survey, operation)
    return survey.ask(operation.but("", body=hostile.with_member(json.loads(operation.sound.body), "no_such", "1")))


def encoded(survey: Survey, operation: Operation) -> int:
    """Send a body that is compressed; one that is not taken at all is refused like any other."""
    request = operation.but_headers("", Content_Encoding="gzip")
    return survey.ask(replace(request, body=request.body or b"{}"))


def in_limited_app(survey: Survey, operation: Operation) -> int:
    survey.monkeypatch.setattr(credentials_limiter, "enabled", True)
    unknown = operation.but("", query="no_such=1")
    status = [survey.ask(unknown, survey.limited) for _ in range(2)][1]
    survey.monkeypatch.setattr(credentials_limiter, "enabled", False)
    return status


GENERIC: dict[int, Provoke] = {
    206: with_headers(Range="bytes=0-0"),
    304: with_headers(If_None_Match="*"),
    400: with_query("no_such=1"),
    401: with_headers(Authorization=None),
    403: by_a_narrow_key,
    404: elsewhere,
    406: with_headers(Accept="image/png"),
    409: at_the_same_time,
    410: by_an_old_cursor,
    412: with_headers(If_Match='"zzz"'),
    413: with_headers(Content_Length=str(2**30)),
    415: encoded,
    416: with_headers(Range="bytes=999999-"),
    422: with_a_wrong_field,
    428: in_strict_app,
    429: in_limited_app,
    500: by_a_bug,
    503: in_lost_app,
}


def in_closed_app(survey: Survey, operation: Operation) -> int:
    return survey.ask(operation.sound, survey.closed)


def in_an_archived_project(survey: Survey, operation: Operation) -> int:
    boss, place = survey.world.people["project_owner"], f"/projects/{survey.world.project_id}"
    boss.patch(place, {"archived": True})
    status = survey.ask(operation.sound)
    boss.patch(place, {"archived": False})
    return status


def to_the_last_owner(survey: Survey, operation: Operation) -> int:
    place = operation.path({"<int:user_id>": str(survey.boss_id)})
    body = b'{"role": "viewer"}' if operation.sound.method == "PUT" else b""
    return survey.ask(operation.but("", path=place, body=body))


def to_a_stranger(survey: Survey, operation: Operation) -> int:
    stranger = survey.world.people["stranger"].user_id
    return survey.ask(operation.but("", path=operation.path({"<int:user_id>": str(stranger)})))


def about_which_is_a_task(survey: Survey, operation: Operation) -> int:
    survey.world.people["owner"].create_task(item_id=survey.world.item_id)
    return survey.ask(operation.sound)


def of_a_job_that_is_over(survey: Survey, operation: Operation) -> int:
    return survey.ask(operation.but("", path=operation.path({"<job_id>": survey.finished})))


def of_a_job_that_waits(survey: Survey, operation: Operation) -> int:
    return survey.ask(operation.but("", path=operation.path({"<job_id>": survey.waiting})))


def of_a_cancelled_job(survey: Survey, operation: Operation) -> int:
    survey.world.people["owner"].delete(f"/jobs/{survey.waiting}")
    return of_a_job_that_waits(survey, operation)


def when_the_file_has_expired(survey: Survey, operation: Operation) -> int:
    with survey.app.app_context(), transaction() as session:
        session.execute(update(StoredFile).values(expires_at=clock.now()))
    status = survey.ask(operation.sound)
    survey.renew()
    return status


def from_the_trash(survey: Survey, operation: Operation) -> int:
    survey.world.people["owner"].delete(f"/tasks/{survey.world.task_id}")
    return survey.ask(operation.sound)


def from_the_trash_in_another_state(survey: Survey, operation: Operation) -> int:
    survey.world.people["owner"].delete(f"/tasks/{survey.world.task_id}")
    status = survey.ask(operation.but_headers("", If_Match='"zzz"'))
    survey.renew()
    return status


def when_it_is_empty(survey: Survey, operation: Operation) -> int:
    survey.world.people["admin"].patch(f"/tasks/{survey.world.task_id}", {"project_id": None})
    return survey.ask(operation.sound)


WRONG_LOGIN = with_body(username="nobody", password="a wrong password")
TASK, ITEM = "/api/v1/tasks/<int:task_id>", "/api/v1/items/<int:item_id>"
USER, PROJECT = "/api/v1/users/<int:user_id>", "/api/v1/projects/<int:project_id>"
POST = "/api/v1/posts/<int:post_id>"
MEMBER = f"{PROJECT}/members/<int:user_id>"
JOB, ALIAS = "/api/v1/jobs/<job_id>", "/api/v1/tasks/process/status/<job_id>"

# Where something else than usual leads to a status.
SPECIAL: dict[tuple[str, int], Provoke] = {
    ("POST /api/v1/auth/register", 403): in_closed_app,
    ("POST /api/v1/auth/register", 409): with_body(username="Stranger", email="x@example.com", password="a password"),
    ("POST /api/v1/auth/login", 401): WRONG_LOGIN,
    ("POST /api/v1/auth/session", 401): WRONG_LOGIN,
    ("PATCH /api/v1/auth/me", 409): with_body(email="Stranger@example.com"),
    ("PATCH /api/v1/auth/me/notifications", 409): while_the_account_ends,
    (f"PUT {USER}", 409): with_body(username="Stranger", email="re@example.com"),
    (f"PATCH {USER}", 409): with_body(username="Stranger"),
    (f"DELETE {USER}", 409): with_query(""),
    (f"PUT {PROJECT}", 409): with_body(key="TAKEN", name="Changed"),
    (f"PATCH {PROJECT}", 409): with_body(key="TAKEN"),
    (f"DELETE {PROJECT}", 204): when_it_is_empty,
    (f"DELETE {PROJECT}", 409): as_it_is,
    (f"PUT {MEMBER}", 201): to_a_stranger,
    (f"PUT {MEMBER}", 409): to_the_last_owner,
    (f"DELETE {MEMBER}", 409): to_the_last_owner,
    (f"PUT {TASK}", 409): in_an_archived_project,
    (f"PATCH {TASK}", 409): in_an_archived_project,
    (f"DELETE {TASK}", 409): in_an_archived_project,
    (f"PUT {TASK}/status", 409): in_an_archived_project,
    (f"POST {TASK}/restore", 200): from_the_trash,
    (f"POST {TASK}/restore", 412): from_the_trash_in_another_state,
    ("POST /api/v1/tasks/bulk", 404): with_body(operations=[{"op": "delete", "id": 999_999_999}]),
    (f"PUT {ITEM}", 409): with_body(name="Changed", price=1, sku="TAKEN"),
    (f"PATCH {ITEM}", 409): with_body(sku="TAKEN"),
    (f"DELETE {ITEM}", 409): about_which_is_a_task,
    ("POST /api/v1/tasks/transfer", 409): in_an_archived_project,
    (f"PUT {POST}", 409): in_an_archived_project,
    (f"PATCH {POST}", 409): in_an_archived_project,
    (f"DELETE {POST}", 409): in_an_archived_project,
    (f"GET {RELAY}", 400): at(**{"<name>/<path:path>": "far/../x"}),
    (f"POST {RELAY}", 400): at(**{"<name>/<path:path>": "far/../x"}),
    (f"GET {RELAY}", 409): at(**{"<name>/<path:path>": "far/locked"}),
    (f"DELETE {JOB}", 409): of_a_job_that_is_over,
    (f"DELETE {ALIAS}", 409): of_a_job_that_is_over,
    (f"POST {JOB}/retry", 202): of_a_cancelled_job,
    (f"GET {RESULT}", 409): of_a_job_that_waits,
    (f"GET {RESULT}", 410): when_the_file_has_expired,
}


@pytest.fixture(scope="module")
def surveyed(
    application: Flask, redis_server: RedisServer, remake_for_module: Callable[..., Flask]
) -> Iterator[Survey]:
    with UpstreamServer() as upstream:
        upstream.on("/locked", lambda request: request.say({}, 423))
        yield Survey(remake_for_module, upstream)
    empty(application)
    redis_server.empty()


@pytest.fixture
def survey(surveyed: Survey, monkeypatch: pytest.MonkeyPatch) -> Survey:
    """Return what asks, in a world that is as before: who has changed it has made another, unless a test failed."""
    surveyed.monkeypatch = monkeypatch
    if not surveyed.is_fresh:
        surveyed.renew()
    surveyed.is_fresh = False
    return surveyed


@pytest.mark.parametrize("name", TABLE)
def test_every_documented_status_can_be_reached(survey: Survey, name: str) -> None:
    wrong = []
    codes = {int(code) for code in survey.operations[name].document["responses"]}
    for code in sorted(codes):
        provoke = SPECIAL.get((name, code)) or GENERIC.get(code, as_it_is)
        status = provoke(survey, survey.operations[name])
        if status != code:
            wrong.append(f"{name} announces {code}, and answers {status}.")
    assert not wrong, "\n".join(wrong)
    assert {code for operation, code in SPECIAL if operation == name} <= codes, "Nothing announces these."
    survey.is_fresh = True


def test_every_status_that_is_provoked_in_a_way_of_its_own_is_of_an_operation() -> None:
    assert {operation for operation, _ in SPECIAL} <= set(TABLE)
