"""The fields RateLimit and RateLimit-Policy: read as structured fields, and held against the counting."""

import re
import time
from collections.abc import Callable, Mapping

import pytest
from flask import Flask
from limits import RateLimitItemPerHour, RateLimitItemPerMinute, WindowStats
from werkzeug.test import TestResponse

from api.http.door.limit_headers import Quota, told
from tests.support.people import Person

pytestmark = pytest.mark.usefixtures("patient_limits")

# An item of a list whose members are strings with parameters that are integers (RFC 9651, section 3.1).
MEMBER = re.compile(r'"(?P<name>[ !#-\[\]-~]+)"(?P<parameters>(?:;[a-z][a-z0-9_.*-]*=[0-9]{1,15})+)')
LIMITS = {
    "user": "5 per minute",
    "admin": "7 per minute; 100 per 2 hours",
    "api_key": "3 per minute",
    "address": "4/minute",
}


def parsed(value: str) -> Mapping[str, Mapping[str, int]]:
    """Return the parameters of each member of a list, by its name."""
    members = {}
    for text in re.split(r"[ \t]*,[ \t]*", value):
        found = MEMBER.fullmatch(text)
        assert found, text
        pairs = (pair.split("=") for pair in found["parameters"].strip(";").split(";"))
        members[found["name"]] = {key: int(number) for key, number in pairs}
    return members


def fields(answer: TestResponse) -> tuple[Mapping[str, Mapping[str, int]], Mapping[str, Mapping[str, int]]]:
    """Return what an answer says of policies, and of what is left."""
    policies, left = answer.headers.getlist("RateLimit-Policy"), answer.headers.getlist("RateLimit")
    assert (len(policies), len(left)) == (1, 1)
    return parsed(policies[0]), parsed(left[0])


@pytest.fixture
def small(remake_app: Callable[..., Flask]) -> Flask:
    return remake_app(ratelimit_enabled=True, **{f"limits__{name}": limit for name, limit in LIMITS.items()})


def test_each_caller_is_told_their_own_policy_and_what_it_leaves(small: Flask, ada: Person) -> None:
    for left in (4, 3, 2, 1, 0):
        policies, limits = fields(ada.at(small).get("/tasks"))
        assert policies == {"user": {"q": 5, "w": 60}}
        assert limits["user"]["r"] == left
        assert left * 12 <= limits["user"]["t"] <= 120
    assert fields(Person(small).get("/welcome"))[0] == {"address": {"q": 4, "w": 60}}
    key = ada.post("/auth/keys", {"name": "A", "scopes": ["tasks:read"]}).get_json()["data"]["key"]
    assert fields(Person(small).get("/tasks", headers={"X-API-Key": key}))[0] == {"api_key": {"q": 3, "w": 60}}


def test_each_window_of_a_limit_has_a_name_of_its_own(small: Flask, admin: Person) -> None:
    policies, limits = fields(admin.at(small).get("/tasks"))
    assert policies == {"admin-60": {"q": 7, "w": 60}, "admin-7200": {"q": 100, "w": 7200}}
    assert {name: limit["r"] for name, limit in limits.items()} == {"admin-60": 6, "admin-7200": 99}


def test_a_log_in_is_told_of_both_limits_that_count_it(remake_app: Callable[..., Flask]) -> None:
    app = remake_app(ratelimit_enabled=True, auth__login_limit="2 per minute", auth__address_limit="9 per hour")
    for left in (1, 0, 0):
        answer = Person(app).post("/auth/login", {"username": "ada", "password": "wrong password"})
        policies, limits = fields(answer)
        assert policies == {"login": {"q": 2, "w": 60}, "logins": {"q": 9, "w": 3600}}
        assert limits["login"]["r"] == left
    assert answer.status_code == 429
    # No effective window ends after Retry-After (the draft, section 6).
    assert max(limit["t"] for limit in limits.values()) == int(answer.headers["Retry-After"])


def test_a_refusal_and_an_unchanged_answer_tell_them_too(small: Flask, ada: Person) -> None:
    person = ada.at(small)
    tag = person.get("/tasks").headers["ETag"]
    unchanged = person.get("/tasks", headers={"If-None-Match": tag})
    assert (unchanged.status_code, fields(unchanged)[1]["user"]["r"]) == (304, 4)
    for _ in range(4):
        person.get("/tasks")
    refused = person.get("/tasks")
    assert refused.status_code == 429
    assert fields(refused)[1]["user"] == {"r": 0, "t": int(refused.headers["Retry-After"])}
    assert "RateLimit" not in Person(small).get("/health").headers


def test_who_spends_what_is_left_evenly_keeps_to_the_policy() -> None:
    minute, hour = RateLimitItemPerMinute(600), RateLimitItemPerHour(7200)
    quota = Quota("user", [(minute, WindowStats(time.time(), 600)), (hour, WindowStats(time.time() + 30, 100))])
    headers = dict(told([quota], 200, None))
    assert parsed(headers["RateLimit"]) == {"user-60": {"r": 600, "t": 60}, "user-3600": {"r": 100, "t": 50}}
    # A job that is worth a look soon says so itself.
    headers = dict(told([quota], 200, 2))
    assert {limit["t"] for limit in parsed(headers["RateLimit"]).values()} == {int(headers["Retry-After"])} == {2}
