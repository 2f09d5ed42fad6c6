"""The password grant, as clients of OAuth know it: what goes wrong is said by RFC 6749, section 5.2."""

import re
from collections.abc import Callable

import pytest
from flask import Flask

from tests.support.people import PASSWORD, Person

GRANT = {"grant_type": "password", "username": "ada", "password": PASSWORD}
FORM = "application/x-www-form-urlencoded"


def test_a_wrong_password_is_an_invalid_grant(ada: Person, anonymous: Person) -> None:
    """Its status is that of every failed log-in; clients read the body."""
    refused = anonymous.post("/auth/login", data={**GRANT, "password": "wrong password"})
    unknown = anonymous.post("/auth/login", data={**GRANT, "username": "nobody"})
    assert (refused.status_code, refused.get_json()) == (unknown.status_code, unknown.get_json())
    assert refused.status_code == 401
    assert refused.get_json() == {
        "error": "invalid_grant",
        "error_description": "The username or the password is wrong.",
    }
    assert refused.headers["Content-Type"] == "application/json"
    assert refused.headers["Cache-Control"] == "no-store"
    assert refused.headers["WWW-Authenticate"] == 'Bearer realm="tasklane"'


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ("", "invalid_request"),
        ("username=ada&password=x", "invalid_request"),
        ("grant_type=&username=ada&password=x", "invalid_request"),
        ("grant_type=password&username=ada", "invalid_request"),
        ("grant_type=password&username=&password=", "invalid_request"),
        ("grant_type=password&username=ada&username=bob&password=x", "invalid_request"),
        ("grant_type=password&grant_type=password&username=ada&password=x", "invalid_request"),
        ("grant_type=password&username=a%00a&password=x", "invalid_request"),
        ("grant_type=password&username=%FF&password=x", "invalid_request"),
        ("grant_type=client_credentials", "unsupported_grant_type"),
        ("grant_type=Password&username=ada&password=x", "unsupported_grant_type"),
        ('grant_type=password&username=ada&password=x&scope="', "invalid_scope"),
        ("grant_type=password&username=ada&password=x&scope=a++b", "invalid_scope"),
        ("grant_type=password&username=ada&password=x&scope=%C3%A4", "invalid_scope"),
    ],
)
def test_what_is_no_grant_says_why(anonymous: Person, form: str, error: str) -> None:
    refused = anonymous.post("/auth/login", data=form, content_type=FORM)
    assert (refused.status_code, refused.get_json()["error"]) == (400, error)
    # Section 5.2 allows no others, and no quotes.
    assert re.fullmatch(r"[\x20\x21\x23-\x5b\x5d-\x7e]+", refused.get_json()["error_description"])


@pytest.mark.parametrize("scope", ["", "tasks:read", "read write openid"])
def test_a_scope_does_not_matter_because_the_role_decides(ada: Person, anonymous: Person, scope: str) -> None:
    assert anonymous.post("/auth/login", data={**GRANT, "scope": scope}).status_code == 200


def test_everything_else_that_is_refused_has_the_same_shape(remake_app: Callable[..., Flask], ada: Person) -> None:
    limited = Person(remake_app(ratelimit_enabled=True, auth__login_limit="1 per hour"))
    limited.post("/auth/login", data={**GRANT, "password": "wrong password"})
    limit = limited.post("/auth/login", data=GRANT)
    lost = Person(remake_app(database_url="sqlite:////nowhere/at/all.db"))
    answers = {
        "limit": limit,
        "outage": lost.post("/auth/login", data=GRANT),
        "parameter": lost.post("/auth/login?no_such=1", data=GRANT),
        "size": lost.post("/auth/login", data={**GRANT, "password": "x" * 2_000_000}),
        "type": lost.post("/auth/login", data=GRANT, headers={"Accept": "image/png"}),
    }
    said = {name: (answer.status_code, answer.get_json().get("error")) for name, answer in answers.items()}
    assert said == {
        "limit": (429, "temporarily_unavailable"),
        "outage": (503, "temporarily_unavailable"),
        "parameter": (400, "invalid_request"),
        "size": (413, "invalid_request"),
        "type": (406, "invalid_request"),
    }
    assert answers["limit"].headers["Retry-After"]
    assert answers["outage"].headers["Retry-After"]


def test_a_bug_is_told_in_the_same_shape(anonymous: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise RuntimeError("A bug.")

    monkeypatch.setattr("core.auth.service.login", fail)
    answer = anonymous.post("/auth/login", data=GRANT)
    assert (answer.status_code, answer.get_json()["error"]) == (500, "server_error")


def test_who_sends_json_or_asks_for_problems_hears_what_everybody_hears(ada: Person, anonymous: Person) -> None:
    wrong = {**GRANT, "password": "wrong password"}
    envelope = anonymous.post("/auth/login", {"username": "ada", "password": "wrong password"}).get_json()
    assert envelope["error"]["code"] == "unauthenticated"
    problem = anonymous.post("/auth/login", data=wrong, headers={"Accept": "application/problem+json"})
    assert (problem.mimetype, problem.get_json()["code"]) == ("application/problem+json", "unauthenticated")
    # The form is known at this one place.
    elsewhere = anonymous.post("/auth/register", data=GRANT)
    assert (elsewhere.status_code, elsewhere.get_json()["error"]["code"]) == (415, "unsupported_media_type")
