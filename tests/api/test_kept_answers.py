"""Kept answers before Flask: by either way, an answer, its line in the log and its counts are the same."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask, request_started
from flask_jwt_extended import create_access_token, decode_token
from werkzeug.test import TestResponse

from api.http.answers import cached
from api.http.serving.kept_answers import EXTENSION, KeptAnswers
from core.auth.model import LoginSession
from core.platform.access import Role
from core.platform.database.session import transaction
from core.platform.logs import context
from core.users.model import User
from tests.support.database import recorded_statements
from tests.support.engines import on_both
from tests.support.people import Person

_SUMS = ("http_request_duration_seconds_count", "db_connections_in_use", "http_requests_in_progress")
# What two answers to the same request need not share.
OF_ONE_ANSWER = ("X-Request-ID", "X-RateLimit-Remaining", "X-RateLimit-Reset", "RateLimit")


def ways(app: Flask) -> KeptAnswers:
    kept: KeptAnswers = app.extensions[EXTENSION]
    return kept


@contextmanager
def the_usual_way(app: Flask) -> Iterator[None]:
    ways(app).is_on = False
    try:
        yield
    finally:
        ways(app).is_on = True


@contextmanager
def reached_flask(app: Flask) -> Iterator[list[str]]:
    """Yield the paths of the requests that go the usual way meanwhile."""
    seen: list[str] = []

    def note(sender: Flask, **_: Any) -> None:
        seen.append(sender.name)

    with request_started.connected_to(note, app):
        yield seen


@pytest.fixture(scope="module")
def _limited(remake_for_module: Callable[..., Flask]) -> Flask:
    options = {"ratelimit_enabled": True, "metrics__enabled": True, "cors_origins": ["https://app.example.com"]}
    limits = {f"limits__{name}": "10000 per hour" for name in ("user", "admin", "api_key", "address")}
    return remake_for_module(**options, **limits)


@pytest.fixture
def limited(_limited: Flask, app: Flask) -> Flask:
    """Another application, which goes on through the file as an installation does while rows come and go."""
    return _limited


@pytest.fixture
def reader(limited: Flask, ada: Person) -> Person:
    return ada.at(limited)


@pytest.fixture
def world(ada: Person, bob: Person) -> dict[str, str]:
    task = ada.create_task()
    ada.create_task(due_date="2020-01-01")
    post = ada.create_post(task_id=task["id"])
    ada.create_item(sku="PRT/0042")
    project = ada.post("/projects", {"key": "OPS", "name": "Operations"}).get_json()["data"]
    ada.put(f"/projects/{project['id']}/members/{bob.user_id}", {"role": "viewer"})
    return {
        "task": f"/tasks/{task['id']}",
        "tasks": "/tasks",
        "filtered": "/tasks?per_page=1&sort=-due_date&status=pending",
        "overdue": "/tasks?overdue=true",
        "own tasks": f"/users/{ada.user_id}/tasks",
        "post": f"/posts/{post['id']}",
        "posts of a task": f"/tasks/{task['id']}/posts",
        "sku": "/items/by-sku/PRT/0042",
        "items": "/items?q=printer",
        "me": "/auth/me",
        "user": f"/users/{ada.user_id}",
        "users": "/users/",
        "project": f"/projects/{project['id']}",
        "member": f"/projects/{project['id']}/members/{bob.user_id}",
        "members": f"/projects/{project['id']}/members",
        "search": "/search?q=water",
    }


def plain(response: TestResponse) -> tuple[int, dict[str, str], object]:
    """Return an answer as it may be compared with another one."""
    headers = {name: value for name, value in response.headers.items() if name not in OF_ONE_ANSWER}
    body: object = response.data
    if response.is_json and response.status_code >= 400:
        body = {**response.get_json()}
        body.get("error", body).pop("request_id", None)  # type: ignore[attr-defined]
        headers.pop("Content-Length", None)
    return response.status_code, headers, body


def both_ways(person: Person, path: str, headers: Mapping[str, str], **options: Any) -> tuple[TestResponse, bool]:
    """Return an answer that could be a kept one, compared with the usual one, and whether it was kept."""
    for _ in range(2):
        person.get(path, headers=headers, **options)
    with reached_flask(person.app) as seen:
        answer = person.get(path, headers=headers, **options)
    with the_usual_way(person.app):
        usual = person.get(path, headers=headers, **options)
    assert plain(answer) == plain(usual), (path, headers)
    assert set(answer.headers.keys()) == set(usual.headers.keys())
    return answer, not seen


def test_every_answer_that_is_kept_is_the_same_either_way(reader: Person, world: dict[str, str]) -> None:
    for name, path in world.items():
        answer, was_kept = both_ways(reader, path, {})
        assert (answer.status_code, was_kept) == (200, True), name
        tag = answer.headers["ETag"]
        for sent, status in ((tag, 304), (f'"a", {tag} ,"b"', 304), (tag.removeprefix("W/"), 304), ('"a"', 200)):
            answer, was_kept = both_ways(reader, path, {"If-None-Match": sent})
            assert (answer.status_code, was_kept) == (status, True), (name, sent)


@pytest.mark.parametrize(
    ("headers", "is_kept"),
    [
        ({"Accept": "application/json"}, True),
        ({"Accept": "application/problem+json, */*;q=0.1"}, True),
        ({"Accept": "text/html"}, False),
        ({"User-Agent": "curl/8", "Accept-Language": "de", "Cache-Control": "no-cache", "Referer": "http://a/"}, True),
        ({"Content-Type": "application/json"}, True),
        ({"X-Request-ID": "mine-1"}, True),
        ({"X-Request-ID": "no sane one\x7f"}, True),
        ({"Host": "tasks.example.com"}, True),
        ({"X-Forwarded-Proto": "https"}, True),
        ({"If-None-Match": "*"}, False),
        ({"If-None-Match": "nonsense"}, False),
        ({"If-None-Match": ""}, False),
        ({"If-Match": '"a"'}, False),
        ({"If-Match": "*"}, False),
        ({"Range": "bytes=0-1"}, False),
        ({"If-Modified-Since": "Sat, 28 Nov 2026 00:00:00 GMT"}, False),
        ({"Origin": "https://app.example.com"}, False),
        ({"Origin": "https://evil.example.com"}, False),
        ({"Cookie": "tasklane_session=a"}, False),
        ({"X-API-Key": "tl_" + "0" * 48}, False),
        ({"Expect": "100-continue"}, False),
        ({"Authorization": "Bearer abc"}, False),
        ({"Authorization": "Basic YTpi"}, False),
        ({"Authorization": ""}, False),
    ],
    ids=str,
)
def test_every_kind_of_request_has_the_same_answer_either_way(
    reader: Person, world: dict[str, str], headers: dict[str, str], is_kept: bool
) -> None:
    for name in ("task", "tasks"):
        answer, was_kept = both_ways(reader, world[name], headers)
        assert was_kept is is_kept, (name, answer.text)
        if "X-Request-ID" in headers:
            assert (answer.headers["X-Request-ID"] == headers["X-Request-ID"]) is (headers["X-Request-ID"] == "mine-1")


@pytest.mark.parametrize("spelling", ["bearer {}", "BEARER  {}", "{}", "Bearer {} ", " Bearer {}"])
def test_a_token_may_be_spelled_as_ever(reader: Person, world: dict[str, str], spelling: str) -> None:
    both_ways(reader, world["task"], {"Authorization": spelling.format(reader.tokens["access_token"])})


def test_every_other_path_has_the_same_answer_either_way(reader: Person, world: dict[str, str]) -> None:
    for path in (
        "/tasks?nonsense=1",
        "/tasks?cursor=",
        "/tasks?page=0",
        "/tasks?page=1&page=2",
        "/tasks/",
        "/tasks/999999",
        "/tasks/abc",
        "/nowhere",
        "/welcome",
        "/tasks/%ff",
        "/tasks?%ff",
        "/auth/keys",
        "/jobs",
        "/stats",
        "/security-events",
    ):
        both_ways(reader, path, {})


def test_other_methods_go_the_usual_way(reader: Person, world: dict[str, str]) -> None:
    for method in ("HEAD", "OPTIONS", "POST"):
        for _ in range(2):
            with reached_flask(reader.app) as seen:
                reader.open(method, world["task"])
            assert seen


def test_a_request_with_a_body_goes_the_usual_way(reader: Person, world: dict[str, str]) -> None:
    both_ways(reader, world["task"], {})
    with reached_flask(reader.app) as seen:
        assert reader.get(world["task"], data=b"{}", headers={"Content-Encoding": "gzip"}).status_code == 415
        reader.get(world["task"], data=b"{}")
    assert len(seen) == 2


# --- what is written down about it ------------------------------------------------


def test_the_line_in_the_log_and_the_counts_are_the_same_either_way(
    limited: Flask, reader: Person, world: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    tags = {name: reader.get(path).headers["ETag"] for name, path in world.items()}

    def ask() -> None:
        for name, path in world.items():
            reader.get(path)
            reader.get(path, headers={"If-None-Match": tags[name]})

    def lines() -> list[dict[str, Any]]:
        names = ("method", "route", "path", "status", "bytes", "address")
        found = [record for record in caplog.records if getattr(record, "path", "/metrics") != "/metrics"]
        caplog.clear()
        return [{name: getattr(record, name) for name in names} for record in found]

    def counts() -> dict[str, float]:
        text = limited.test_client().get("/metrics").text
        wanted = (
            "tasklane_http_requests_total",
            "tasklane_http_request_duration_seconds_count",
            "tasklane_cache_lookups",
        )
        pairs = (line.rpartition(" ")[::2] for line in text.splitlines() if line.startswith(wanted))
        return {name: float(value) for name, value in pairs if "/metrics" not in name}

    def difference() -> dict[str, float]:
        before = counts()
        ask()
        return {name: value - before.get(name, 0) for name, value in counts().items() if value != before.get(name, 0)}

    ask()
    with caplog.at_level(logging.INFO, "tasklane.access"):
        caplog.clear()
        with reached_flask(limited) as seen:
            here = difference()
        assert len(seen) == 2  # To see the counts.
        logged = lines()
        with the_usual_way(limited):
            usual = difference()
        assert logged == lines()
    # A list that has not changed need not be looked up, here or there.
    assert here == usual
    assert len(logged) == 2 * len(world)


def test_a_line_names_the_caller_and_no_token(
    reader: Person, world: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    both_ways(reader, world["task"], {})
    noted: list[tuple[str | None, int | None]] = []
    handler = logging.Handler()
    handler.emit = lambda record: noted.append((context.request_id.get(), context.user_id.get()))  # type: ignore[method-assign]
    log = logging.getLogger("tasklane.access")
    log.addHandler(handler)
    try:
        with caplog.at_level(logging.INFO, "tasklane.access"):
            answer = reader.get(world["task"], headers={"X-Request-ID": "mine-2"})
    finally:
        log.removeHandler(handler)
    assert answer.headers["X-Request-ID"] == "mine-2"
    assert noted == [("mine-2", reader.user_id)]


# --- never stale, and nobody who should not ---------------------------------------


def is_kept(person: Person, path: str) -> bool:
    with reached_flask(person.app) as seen:
        assert person.get(path).status_code == 200
    return not seen


def warm(person: Person, *paths: str) -> None:
    for path in paths:
        for _ in range(3):
            person.get(path)
        assert is_kept(person, path), path


@on_both
def test_a_change_by_another_process_is_seen_at_once(
    app: Flask, reader: Person, ada: Person, world: dict[str, str]
) -> None:
    warm(reader, world["task"], world["tasks"])
    for number in range(10):
        tag = reader.get(world["task"]).headers["ETag"]
        assert ada.patch(world["task"], {"title": f"Title {number}"}).status_code == 200
        changed = reader.get(world["task"], headers={"If-None-Match": tag})
        assert (changed.status_code, changed.get_json()["data"]["title"]) == (200, f"Title {number}")
        titles = [task["title"] for task in reader.get(world["tasks"]).get_json()["data"]]
        assert f"Title {number}" in titles
    with app.app_context(), transaction() as session:
        session.execute(User.__table__.update().values(name="By hand"))
    warm(reader, world["me"])
    assert reader.get(world["me"]).get_json()["data"]["name"] == "By hand"


@on_both
def test_readers_and_writers_at_once_see_nothing_stale(reader: Person, ada: Person, world: dict[str, str]) -> None:
    warm(reader, world["task"])
    acknowledged = [1]
    stale: list[int] = []
    is_over = threading.Event()

    def read() -> None:
        while not is_over.is_set():
            least = acknowledged[0]
            if reader.get(world["task"]).get_json()["data"]["version"] < least:
                stale.append(least)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for number in range(25):
            changed = ada.patch(world["task"], {"title": f"Title {number}"})
            acknowledged[0] = changed.get_json()["data"]["version"]
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
    assert stale == []


@on_both
def test_who_has_logged_out_elsewhere_hears_401_at_once(reader: Person, ada: Person, world: dict[str, str]) -> None:
    warm(reader, world["task"], world["tasks"])
    assert ada.delete("/auth/session").status_code == 204
    for name in ("task", "tasks"):
        assert reader.get(world[name]).status_code == 401


@on_both
def test_who_is_deactivated_or_loses_a_right_hears_so_at_once(
    app: Flask, limited: Flask, bob: Person, ada: Person, admin: Person, world: dict[str, str]
) -> None:
    viewer, boss = bob.at(limited), admin.at(limited)
    warm(viewer, world["project"])
    assert ada.delete(world["member"]).status_code == 204
    assert viewer.get(world["project"]).status_code == 403
    warm(boss, world["task"])
    with app.app_context(), transaction() as session:
        session.get_one(User, admin.user_id).role = Role.USER
    assert boss.get(world["task"]).status_code == 403
    warm(viewer, world["me"])
    with app.app_context(), transaction() as session:
        session.get_one(User, bob.user_id).is_active = False
    assert viewer.get(world["me"]).status_code == 401


def test_nobody_gets_the_answer_to_another(
    limited: Flask, reader: Person, bob: Person, admin: Person, world: dict[str, str]
) -> None:
    warm(reader, *world.values())
    for other in (bob.at(limited), admin.at(limited)):
        for path in world.values():
            both_ways(other, path, {})
    assert bob.at(limited).get(world["task"]).status_code == 403


def test_nobody_gets_what_another_thread_puts_there_while_the_states_are_compared(
    limited: Flask, reader: Person, bob: Person, world: dict[str, str]
) -> None:
    warm(reader, world["me"])
    warm(bob.at(limited), world["me"])
    (question,) = (one for one in ways(limited)._questions.values() if one.path.endswith("/auth/me"))
    state, others = question.last

    class Swapping(tuple[object, ...]):
        def __eq__(self, other: object) -> bool:
            question.last = state, others
            return True

        __hash__ = tuple.__hash__

    reader.get(world["me"])
    question.last = Swapping(question.last[0]), question.last[1]
    assert reader.get(world["me"]).get_json()["data"]["id"] == reader.user_id


def test_a_token_that_expires_is_refused_in_that_second(limited: Flask, reader: Person, world: dict[str, str]) -> None:
    with limited.app_context():
        session_id = decode_token(reader.tokens["access_token"])["sid"]
        short = create_access_token(
            str(reader.user_id), additional_claims={"sid": session_id}, expires_delta=timedelta(seconds=4)
        )
    ends = time.time() + 4
    guest = Person(limited, reader.username, reader.user_id, tokens={"access_token": short})
    warm(guest, world["task"])
    time.sleep(max(ends - time.time(), 0) + 0.1)
    refused = guest.get(world["task"])
    assert (refused.status_code, refused.get_json()["error"]["code"]) == (401, "token_expired")


def test_a_day_later_another_list_is_overdue(limited: Flask, reader: Person, at: Callable[[str], None]) -> None:
    task = reader.create_task(due_date="2027-03-31")["id"]
    for moment, expected in (("2027-03-31T12:00:00+00:00", []), ("2027-04-01T00:00:01+00:00", [task])):
        with limited.app_context(), transaction() as session:
            session.execute(LoginSession.__table__.update().values(expires_at=_far()))
        at(moment)
        warm(reader, "/tasks?overdue=true")
        assert [row["id"] for row in reader.get("/tasks?overdue=true").get_json()["data"]] == expected


def _far() -> Any:
    return datetime(2030, 1, 1, tzinfo=UTC)


# --- limits -----------------------------------------------------------------------


def test_a_limit_is_exact_over_processes_and_ways(
    remake_app: Callable[..., Flask], ada: Person, world: dict[str, str], patient_limits: None
) -> None:
    apps = [remake_app(ratelimit_enabled=True, limits__user="25 per hour") for _ in range(2)]
    people = [ada.at(app) for app in apps]
    statuses: list[int] = []

    def ask(number: int) -> None:
        statuses.extend(people[number % 2].get(world["task"]).status_code for _ in range(8))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (statuses.count(200), statuses.count(429)) == (25, 23)
    for person in people:
        refused = person.get(world["task"])
        assert refused.status_code == 429
        assert 0 < int(refused.headers["Retry-After"]) <= 3601


def test_an_unchanged_copy_costs_nothing_and_a_full_window_refuses_it(
    remake_app: Callable[..., Flask], ada: Person, world: dict[str, str]
) -> None:
    person = ada.at(remake_app(ratelimit_enabled=True, limits__user="5 per hour"))
    tag = person.get(world["task"]).headers["ETag"]
    left = [person.get(world["task"]).headers["X-RateLimit-Remaining"] for _ in range(2)]
    assert left == ["3", "2"]
    known = {"If-None-Match": tag}
    for _ in range(4):
        answer = person.get(world["task"], headers=known)
        assert (answer.status_code, answer.headers["X-RateLimit-Remaining"]) == (304, "2")
    assert [person.get(world["task"]).status_code for _ in range(3)] == [200, 200, 429]
    assert person.get(world["task"], headers=known).status_code == 429


# --- faults -----------------------------------------------------------------------


@pytest.mark.parametrize("fault", [RuntimeError("Broken."), KeyError("ETag"), OSError(28, "No space left on device")])
def test_a_fault_here_is_an_answer_there(
    reader: Person,
    world: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    fault: Exception,
) -> None:
    warm(reader, world["task"])

    def fail(*args: object) -> None:
        raise fault

    monkeypatch.setattr(cached, "find", fail)
    with reached_flask(reader.app) as seen:
        # The same once more would be answered as it was the last time.
        assert reader.get(world["task"], headers={"If-None-Match": '"other"'}).status_code == 200
    assert seen
    told = [record for record in caplog.records if record.name == "tasklane.kept"]
    assert len(told) == (0 if isinstance(fault, OSError) else 1)


@on_both
def test_who_missed_a_kept_answer_is_recognized_once(reader: Person, ada: Person, world: dict[str, str]) -> None:
    warm(reader, world["task"])
    ada.patch(world["task"], {"title": "Another"})
    with recorded_statements(reader.app) as seen:
        reader.get(world["task"])
    assert len(seen) == 2, seen
