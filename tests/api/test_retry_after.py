"""A caller who waits as long as `Retry-After` says is let in, and no answer names two contradicting times."""

import random
import time
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from limits import RateLimitItem, RateLimitItemPerMinute, RateLimitItemPerSecond, WindowStats
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import RateLimiter
from werkzeug.test import TestResponse

from api.http.door.counting import MemoryWindows, RedisWindows, Windows
from api.http.door.limiters import credentials_limiter
from api.http.door.windows import MovingWindow, whole_seconds_until
from core.auth import lockout
from tests.support.people import Person
from tests.support.servers import RedisServer

LIMITS = [
    RateLimitItemPerMinute(5),
    RateLimitItemPerMinute(1),
    RateLimitItemPerMinute(60, 2),
    RateLimitItemPerSecond(3),
]

pytestmark = pytest.mark.usefixtures("patient_limits")


class Time:
    """A clock that goes only when it is moved; the counters of Redis go with it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, server: RedisServer | None = None) -> None:
        self.now = 1_800_000_000.0
        self.server = server
        monkeypatch.setattr(time, "time", lambda: self.now)

    def move(self, seconds: float) -> None:
        self.now += seconds
        if self.server is None:
            return
        with self.server.client as client:
            for key in client.scan_iter("LIMITS*"):
                left = int(client.pttl(key)) - round(seconds * 1000)
                client.pexpire(key, left) if left > 0 else client.delete(key)


def wait_of(counted: RateLimiter, item: RateLimitItem) -> int:
    stats = counted.get_window_stats(item, "ada")
    # At the very moment at which the oldest leaves, the library refuses and says that there is room.
    return 1 if stats.remaining else whole_seconds_until(stats.reset_time)


def play(counted: RateLimiter, item: RateLimitItem, clock: Time, chance: random.Random, *, waits: int) -> None:
    """Ask at odd moments, and after each refusal wait as long as it says: then the next is let in."""
    while waits:
        start = time.monotonic()
        clock.move(round(chance.choice([0, 0.001, chance.random() * item.get_expiry() / item.amount]), 3))
        if counted.hit(item, "ada"):
            continue
        seconds = wait_of(counted, item)
        assert 1 <= seconds <= 2 * item.get_expiry()
        # Nobody waits much longer than is needed. The clock of Redis goes on by itself, so that it lets callers
        # in sooner on a machine that is busy: only where that was a moment can this be seen.
        if seconds > 1:
            clock.move(seconds - 1.1)
            is_refused = not counted.test(item, "ada")
            assert is_refused or (clock.server is not None and time.monotonic() - start > 0.05)
            clock.move(1.1)
        else:
            clock.move(1)
        assert counted.hit(item, "ada"), (item, seconds)
        waits -= 1


class OneWindow(RateLimiter):
    """Counter of all requests, asked as the library asks for a single window."""

    def __init__(self, windows: Windows) -> None:
        self._windows = windows

    def hit(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> bool:
        return self._windows.count((item,), *identifiers, counts=True).refused_by is None

    def test(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> bool:
        return self._windows.count((item,), *identifiers, counts=False).refused_by is None

    def get_window_stats(self, item: RateLimitItem, *identifiers: str) -> WindowStats:
        return self._windows.count((item,), *identifiers, counts=False).windows[0][1]


@pytest.mark.parametrize("what", ["log-ins", "requests"])
@pytest.mark.parametrize("item", LIMITS, ids=repr)
def test_whoever_waits_as_long_as_the_window_says_is_let_in(
    monkeypatch: pytest.MonkeyPatch, what: str, item: RateLimitItem
) -> None:
    counted = MovingWindow(MemoryStorage()) if what == "log-ins" else OneWindow(MemoryWindows())
    play(counted, item, Time(monkeypatch), random.Random(1), waits=150)


@pytest.mark.parametrize("what", ["log-ins", "requests"])
@pytest.mark.parametrize("item", LIMITS, ids=repr)
def test_redis_says_it_as_exactly(
    own_redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, what: str, item: RateLimitItem
) -> None:
    if what == "log-ins":
        counted: RateLimiter = MovingWindow(RedisStorage("redis+" + own_redis_server.url))
        play(counted, item, Time(monkeypatch, own_redis_server), random.Random(2), waits=25)
        return
    with own_redis_server.client as client:
        windows = RedisWindows(client)
        play(OneWindow(windows), item, Time(monkeypatch, own_redis_server), random.Random(2), waits=25)
        windows.close()


def test_both_places_say_the_same_of_every_window(
    own_redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The counters of Redis begin with the first request, those in memory with the minute: at its start both do."""
    clock, chance, items = Time(monkeypatch, own_redis_server), random.Random(3), (LIMITS[0], LIMITS[2])
    with own_redis_server.client as client:
        in_redis, in_memory = RedisWindows(client), MemoryWindows()
        for number in range(8):
            counts = chance.random() < 0.8
            told = [windows.count(items, "ada", counts=counts) for windows in (in_redis, in_memory)]
            assert told[0].refused_by == told[1].refused_by
            for (item, stats), (_, other) in zip(told[0].windows, told[1].windows, strict=True):
                assert stats.remaining == other.remaining, (number, item)
        in_redis.close()
    assert clock.now == 1_800_000_000


def test_a_request_that_one_window_refuses_is_counted_in_none(own_redis_server: RedisServer) -> None:
    short, long = RateLimitItemPerSecond(100), RateLimitItemPerMinute(3)
    with own_redis_server.client as client:
        for windows in (in_redis := RedisWindows(client), MemoryWindows()):
            told = [windows.count((short, long), "ada", counts=True) for _ in range(5)]
            assert [count.refused_by for count in told] == [None] * 3 + [long] * 2
            assert [count.windows[1][1].remaining for count in told] == [2, 1, 0, 0, 0]
            assert told[-1].windows[0][1].remaining >= 97
        in_redis.close()


# --- answers -------------------------------------------------------------------------


def named(response: TestResponse) -> tuple[int, float]:
    """Return both times that an answer names, in seconds from now."""
    for header in ("Retry-After", "X-RateLimit-Reset", "X-RateLimit-Limit", "X-RateLimit-Remaining"):
        assert len(response.headers.getlist(header)) == 1, header
    return int(response.headers["Retry-After"]), int(response.headers["X-RateLimit-Reset"]) - time.time()


def attempt(app: Flask, name: str, **options: Any) -> TestResponse:
    return Person(app).post("/auth/login", {"username": name, "password": "wrong password"}, **options)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, redis_server: RedisServer) -> Time:
    return Time(monkeypatch, redis_server)


def test_the_sixth_login_is_let_in_when_it_was_told(remake_app: Callable[..., Flask], ada: Person, clock: Time) -> None:
    app = remake_app(ratelimit_enabled=True)
    for _ in range(5):
        assert attempt(app, "ada").status_code == 401
        clock.move(0.7)
    refused = attempt(app, "ada")
    assert refused.status_code == 429
    seconds, reset = named(refused)
    assert seconds == 57
    assert 0 <= reset - seconds < 1
    clock.move(seconds)
    assert attempt(app, "ada").status_code == 401


def test_of_several_limits_that_are_used_up_the_longest_wait_is_told(
    remake_app: Callable[..., Flask], ada: Person, clock: Time
) -> None:
    app = remake_app(ratelimit_enabled=True, auth__login_limit="2 per minute", auth__address_limit="3 per hour")
    statuses = [attempt(app, name).status_code for name in ("ada", "ada", "bob", "ada")]
    assert statuses == [401, 401, 401, 429]
    refused = attempt(app, "ada")
    assert (refused.headers["X-RateLimit-Limit"], named(refused)[0]) == ("3", 3601)
    clock.move(60.1)
    assert attempt(app, "ada").status_code == 429
    clock.move(3600)
    assert attempt(app, "ada").status_code == 401


def test_a_limit_of_several_windows_tells_the_longest_wait(
    remake_app: Callable[..., Flask], ada: Person, clock: Time
) -> None:
    app = remake_app(ratelimit_enabled=True, limits__user="2 per second; 3 per minute")
    person = ada.at(app)
    assert [person.get("/welcome").status_code for _ in range(2)] == [200] * 2
    refused = [answer for _ in range(4) if (answer := person.get("/tasks")).status_code == 429]
    seconds, reset = named(refused[-1])
    assert 0 <= reset - seconds < 1
    clock.move(seconds)
    assert person.get("/tasks").status_code == 200


def test_a_lock_and_a_limit_name_one_time(remake_app: Callable[..., Flask], ada: Person, clock: Time) -> None:
    app = remake_app(ratelimit_enabled=True)
    with app.app_context():
        for _ in range(lockout.FREE_FAILURES + 3):
            lockout.note_failure("ada", None, secret_key=app.extensions["tasklane"].secret_key)
    told = [named(attempt(app, "ada")) for _ in range(6)]
    assert told[0][0] in (120, 121)
    for seconds, reset in told:
        assert 0 <= reset - seconds < 1


def test_an_answer_that_two_limits_concern_names_one_of_them(remake_app: Callable[..., Flask], app: Flask) -> None:
    app = remake_app(ratelimit_enabled=True, limits__address="2 per minute")
    answers = [attempt(app, "ada", headers={"Accept": "text/html"}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [406, 406, 429]
    assert [answer.headers.getlist("X-RateLimit-Limit") for answer in answers] == [["2"]] * 3
    seconds, reset = named(answers[-1])
    assert 0 <= reset - seconds < 1


def test_a_job_that_is_worth_a_look_soon_waits_for_the_limit(remake_app: Callable[..., Flask], ada: Person) -> None:
    app = remake_app(ratelimit_enabled=True, limits__user="4 per minute")
    person = ada.at(app)
    ordered = person.post(f"/tasks/{person.create_task()['id']}/process")
    place = f"/jobs/{ordered.get_json()['data']['job_id']}"
    assert person.get(place).headers["Retry-After"] == "2"
    assert int(person.get(place).headers["Retry-After"]) > 30


def test_a_refused_login_counts_for_no_other_limit_and_names_the_limit_of_logins(
    remake_app: Callable[..., Flask], ada: Person
) -> None:
    app = remake_app(ratelimit_enabled=True, auth__login_limit="2 per minute", limits__address="9 per minute")
    answers = [attempt(app, "ada") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [401, 401, 429, 429]
    assert [answer.headers.getlist("X-RateLimit-Limit") for answer in answers] == [["2"]] * 4
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["1", "0", "0", "0"]
    # Nothing of this was taken from what the address may ask, nor from the other names that it may try.
    welcome = Person(app).get("/welcome")
    assert (welcome.headers["X-RateLimit-Limit"], welcome.headers["X-RateLimit-Remaining"]) == ("9", "8")
    assert attempt(app, "bob").headers["X-RateLimit-Remaining"] == "1"
    with app.test_request_context():
        counted = credentials_limiter.limiter.get_window_stats(
            RateLimitItemPerMinute(60), "tasklane", "127.0.0.1", "logins"
        )
    assert counted.remaining == 60 - 3
