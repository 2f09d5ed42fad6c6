"""Rate limits for each group of callers, also while Redis is away."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from redis.exceptions import RedisError
from werkzeug.test import TestResponse

from api.http.door import limiters
from api.http.door.counting import RequestCounter
from core.auth import lockout
from core.platform import clock
from core.platform.config.errors import ConfigError
from core.platform.config.settings import Settings
from core.platform.errors import Unavailable
from tests.support.people import PASSWORD, Person
from tests.support.servers import RedisServer

USUAL_PATIENCE = limiters.PATIENCE

pytestmark = pytest.mark.usefixtures("patient_limits")


def limited(response: TestResponse) -> tuple[str, str]:
    return response.headers["X-RateLimit-Limit"], response.headers["X-RateLimit-Remaining"]


@pytest.fixture
def small(remake_app: Callable[..., Flask]) -> Flask:
    return remake_app(
        ratelimit_enabled=True,
        limits__user="5 per minute",
        limits__admin="7 per minute",
        limits__api_key="3 per minute",
        limits__address="4 per minute",
    )


def test_every_answer_tells_the_limit_and_only_a_refusal_when_to_come_back(small: Flask, ada: Person) -> None:
    person = ada.at(small)
    for left in (4, 3, 2, 1, 0):
        response = person.get("/tasks")
        assert response.status_code == 200
        assert limited(response) == ("5", str(left))
        assert int(response.headers["X-RateLimit-Reset"]) >= int(time.time())
        assert "Retry-After" not in response.headers
    refused = person.get("/tasks")
    assert refused.status_code == 429
    assert refused.get_json()["error"]["code"] == "rate_limited"
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert person.post("/tasks", {"title": "A"}).status_code == 429


def test_whoever_has_said_when_to_come_back_knows_better_than_a_limit(
    remake_app: Callable[..., Flask], ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = remake_app(ratelimit_enabled=True)
    person = ada.at(app)
    ordered = person.post(f"/tasks/{person.create_task()['id']}/process")
    assert (ordered.status_code, "Retry-After" in ordered.headers) == (202, False)
    # A job that waits is worth another look after two seconds, although the window ends in a minute.
    for place in ("/jobs", "/tasks/process/status"):
        polled = person.get(f"{place}/{ordered.get_json()['data']['job_id']}")
        assert (polled.headers["Retry-After"], "X-RateLimit-Limit" in polled.headers) == ("2", True)
    for _ in range(lockout.FREE_FAILURES):
        with app.app_context():
            lockout.note_failure("nobody", None, secret_key=app.extensions["tasklane"].secret_key)
    locked = Person(app).post("/auth/login", {"username": "nobody", "password": PASSWORD})
    assert locked.status_code == 429
    assert 0 < int(locked.headers["Retry-After"]) <= 16

    def fail(*args: object, **kwargs: object) -> None:
        raise Unavailable("Away.", retry_after=7)

    monkeypatch.setattr("core.tasks.service.create", fail)
    away = person.post("/tasks", {"title": "A"})
    assert (away.status_code, away.headers["Retry-After"]) == (503, "7")
    # Nobody outside hears how that is done.
    assert not any("X-Tasklane" in str(answer.headers) for answer in (polled, locked, away))


def test_a_limit_belongs_to_a_person_and_depends_on_the_role(
    small: Flask, ada: Person, bob: Person, admin: Person
) -> None:
    for _ in range(6):
        ada.at(small).get("/tasks")
    assert limited(bob.at(small).get("/tasks")) == ("5", "4")
    assert limited(admin.at(small).get("/tasks")) == ("7", "6")
    # Another session of the same person is the same person.
    other = Person(small, "ada", ada.user_id, ada.role)
    assert other.log_in().status_code == 200
    assert other.get("/tasks").status_code == 429


def test_each_api_key_has_a_count_of_its_own(
    app: Flask, ada: Person, small: Flask, remake_app: Callable[..., Flask]
) -> None:
    keys = [ada.post("/auth/keys", {"name": name, "scopes": ["tasks:read"]}).get_json()["data"] for name in "ab"]
    anyone = Person(small)
    first, second = ({"X-API-Key": key["key"]} for key in keys)
    assert [anyone.get("/tasks", headers=first).status_code for _ in range(4)] == [200, 200, 200, 429]
    assert limited(anyone.get("/tasks", headers=second)) == ("3", "2")
    assert limited(ada.at(small).get("/tasks")) == ("5", "4")
    generous = remake_app(ratelimit_enabled=True, **{"limits.api_keys": [f"{keys[1]['id']}: 100 per minute"]})
    assert limited(Person(generous).get("/tasks", headers=second))[0] == "100"
    assert limited(Person(generous).get("/tasks", headers=first))[0] == "1200"


def test_made_up_credentials_give_nobody_a_bucket_of_their_own(small: Flask) -> None:
    anyone = Person(small)
    made_up = [
        {"Authorization": "Bearer abc"},
        {"Authorization": "Bearer a.b.c"},
        {"X-API-Key": "tl_" + "0" * 48},
        {},
    ]
    assert [anyone.get("/tasks", headers=headers).status_code for headers in made_up] == [401] * 4
    refused = anyone.get("/tasks", headers={"Authorization": "Bearer another"})
    assert refused.status_code == 429
    elsewhere = {"REMOTE_ADDR": "192.0.2.7"}
    assert anyone.get("/tasks", environ_overrides=elsewhere).status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/nowhere", {}, 404),
        ("GET", "/tasks/abc", {}, 404),
        ("DELETE", "/welcome", {}, 405),
        ("GET", "/welcome", {"Accept": "text/html"}, 406),
        ("GET", "/welcome", {}, 200),
        ("POST", "/auth/register", {}, 400),
    ],
)
def test_what_is_answered_before_anybody_is_known_is_counted_for_the_address(
    small: Flask, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    anyone = Person(small)
    answers = [anyone.open(method, path, headers=headers) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [status] * 4 + [429]
    assert [limited(answer)[1] for answer in answers] == ["3", "2", "1", "0", "0"]


def test_probes_are_never_refused(small: Flask) -> None:
    anyone = Person(small)
    for path in ("/health", "/api/v1/health", "/api/v1/health/ready"):
        assert {anyone.get(path).status_code for _ in range(6)} == {200}


def test_trailing_headers_of_a_stranger_do_not_change_their_address(small: Flask) -> None:
    anyone = Person(small)
    statuses = [
        anyone.get("/welcome", headers={"X-Forwarded-For": f"198.51.100.{number}"}).status_code for number in range(5)
    ]
    assert statuses == [200] * 4 + [429]


def test_an_address_may_not_try_many_names(ada: Person, remake_app: Callable[..., Flask]) -> None:
    app = remake_app(ratelimit_enabled=True, auth__address_limit="3 per minute")
    mallory = Person(app)
    bodies = [{"username": f"user{number}", "password": "wrong password"} for number in range(4)]
    assert [mallory.post("/auth/login", body).status_code for body in bodies] == [401, 401, 401, 429]
    right = {"username": "ada", "password": PASSWORD}
    assert mallory.post("/auth/session", right).status_code == 429
    assert mallory.post("/auth/login", right, environ_overrides={"REMOTE_ADDR": "192.0.2.7"}).status_code == 200


def test_an_old_password_cannot_be_guessed_for_long(ada: Person, remake_app: Callable[..., Flask]) -> None:
    person = ada.at(remake_app(ratelimit_enabled=True, auth__password_limit="3 per minute"))
    body = {"old_password": "wrong password", "new_password": "a brand new one"}
    assert [person.post("/auth/password", body).status_code for _ in range(4)] == [422, 422, 422, 429]
    assert person.get("/auth/me").status_code == 200


# --- the counter itself ------------------------------------------------------------


def counter_of(app: Flask) -> RequestCounter:
    with app.app_context():
        return limiters.request_counter()


def counters(server: RedisServer) -> int:
    with server.client as client:
        return sum(1 for _ in client.scan_iter("LIMITS*"))


def test_what_redis_counts_is_counted_for_all(
    ada: Person, remake_app: Callable[..., Flask], redis_server: RedisServer
) -> None:
    apps = [remake_app(ratelimit_enabled=True, limits__user="10 per minute") for _ in range(2)]
    statuses = [ada.at(apps[number % 2]).get("/tasks").status_code for number in range(12)]
    assert statuses == [200] * 10 + [429] * 2
    assert counters(redis_server) >= 1


@pytest.fixture
def own(remake_app: Callable[..., Flask], own_redis_server: RedisServer) -> Flask:
    return remake_app(ratelimit_enabled=True, limits__user="5 per minute", redis_url=own_redis_server.url)


def test_a_limit_holds_without_redis_and_goes_back_to_it_by_itself(
    own: Flask, ada: Person, own_redis_server: RedisServer
) -> None:
    person = ada.at(own)
    assert person.get("/tasks").status_code == 200
    own_redis_server.kill()
    statuses = [person.get("/tasks").status_code for _ in range(6)]
    assert statuses == [200] * 5 + [429]
    own_redis_server.forget()
    own_redis_server.start()
    deadline = time.monotonic() + 10
    while counters(own_redis_server) == 0:
        assert time.monotonic() < deadline
        person.get("/tasks")
        time.sleep(0.1)


def test_requests_that_are_on_their_way_when_redis_goes_away_do_not_fail(
    own: Flask, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = ada.at(own)
    tag = person.get("/tasks").headers["ETag"]

    def die(*args: object, **kwargs: object) -> None:
        raise RedisError

    counter = counter_of(own)
    for headers, status in (({}, 200), ({"If-None-Match": tag}, 304), ({"If-None-Match": '"other"'}, 200)):
        # It dies between one question and the next.
        counter.endurance.absence.note_answer()
        with monkeypatch.context() as patch:
            patch.setattr(counter.first, "count", die)
            assert person.get("/tasks", headers=headers).status_code == status, headers
    # Memory counts meanwhile, and whoever asks too often hears so.
    counter.endurance.absence.note_failure()
    assert 429 in {person.get("/tasks").status_code for _ in range(6)}


def test_what_cannot_be_decided_lets_nobody_through(own: Flask, ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise ValueError

    monkeypatch.setattr(counter_of(own).first, "count", fail)
    assert ada.at(own).get("/tasks").status_code == 500


def test_a_request_asks_redis_once_for_all_windows_and_the_headers(
    remake_app: Callable[..., Flask], ada: Person, own_redis_server: RedisServer
) -> None:
    limit = "5 per second; 50 per minute; 500 per hour"
    person = ada.at(remake_app(ratelimit_enabled=True, limits__user=limit, redis_url=own_redis_server.url))
    task = person.create_task()
    tag = person.get(f"/tasks/{task['id']}").headers["ETag"]
    for ask in (
        lambda: person.get("/tasks"),
        lambda: person.get(f"/tasks/{task['id']}", headers={"If-None-Match": tag}),
        lambda: person.get("/tasks/999999"),
        person.create_task,
    ):
        before = script_calls(own_redis_server)
        ask()
        assert script_calls(own_redis_server) == before + 1


def script_calls(server: RedisServer) -> int:
    """Return how many scripts have run, without those that ring the bell of the relay and do nothing else."""
    with server.client as client:
        stats = client.info("commandstats")
    scripts, bells = (
        sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in names)
        for names in (("evalsha", "eval"), ("publish",))
    )
    return scripts - bells


def test_a_server_that_was_started_anew_is_asked_again_at_once(
    own: Flask, ada: Person, own_redis_server: RedisServer
) -> None:
    person = ada.at(own)
    assert limited(person.get("/tasks")) == ("5", "4")
    own_redis_server.kill()
    own_redis_server.forget()
    own_redis_server.start()
    # Neither the connection nor the script is there any more, and no request notices.
    assert limited(person.get("/tasks")) == ("5", "4")
    assert counters(own_redis_server) == 1


def test_a_redis_that_hangs_is_waited_for_a_tenth_of_a_second_and_once(
    remake_app: Callable[..., Flask], ada: Person, own_redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limiters, "PATIENCE", USUAL_PATIENCE)
    app = remake_app(ratelimit_enabled=True, limits__user="5 per minute", redis_url=own_redis_server.url)
    person = ada.at(app)
    waits: list[float] = []
    counter = counter_of(app)
    monkeypatch.setattr(counter.first, "count", timed(counter.first.count, waits))
    own_redis_server.hang()
    try:
        # The next one would be asked after two seconds, which may be over where the machine is busy.
        now = time.monotonic()
        monkeypatch.setattr(clock, "monotonic", lambda: now)
        assert [person.get("/tasks").status_code for _ in range(3)] == [200] * 3
        # Nor did anything else wait for long, the cache for example.
        assert time.monotonic() - now < 5
    finally:
        own_redis_server.go_on()
    assert len(waits) == 1
    assert USUAL_PATIENCE <= waits[0] < 1


def timed(ask: Callable[..., Any], waits: list[float]) -> Callable[..., Any]:
    """Return the same function, which notes how long it took."""

    def measure(*args: Any, **kwargs: Any) -> Any:
        started = time.monotonic()
        try:
            return ask(*args, **kwargs)
        finally:
            waits.append(time.monotonic() - started)

    return measure


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("limits.user", "often"),
        ("auth.address_limit", ""),
        ("limits.api_keys", ["12"]),
        ("limits.api_keys", ["x: 5/s"]),
    ],
)
def test_a_limit_that_is_none_is_refused_at_the_start(
    app: Flask, make_settings: Callable[..., Settings], key: str, value: object
) -> None:
    settings: Settings = app.extensions["tasklane"]
    with pytest.raises(ConfigError, match=key):
        make_settings(settings.database_url, settings.redis_url, **{key: value})
