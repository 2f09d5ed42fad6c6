"""Bytes that are no UTF-8 are refused wherever text is expected, and are named; nothing else is put in their place."""

import re
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tests.support.people import Person

NOT_UTF8 = {
    "no byte of UTF-8": "%FF",
    "Latin-1": "caf%E9",
    "a surrogate": "%ED%A0%80",
    "a pair of surrogates": "%ED%A0%BD%ED%B8%80",
    "an overlong slash": "%C0%AF",
    "an overlong letter": "%E0%81%81",
    "cut off": "a%E2%82",
    "only the end": "%82a",
    "beyond Unicode": "%F4%90%80%80",
}
GOOD = ["%EF%BF%BD", "%F0%9F%98%80", "%E6%97%A5", "%C3%A9"]


def ask(person: Person, path: str, query: str = "", method: str = "GET", **options: Any) -> TestResponse:
    """Ask as a server hands it on: the path in bytes, which the test client would rewrite."""
    environ = {"PATH_INFO": unquote_to_bytes(f"/api/v1{path}").decode("latin-1"), "QUERY_STRING": query}
    return person.open(method, "/welcome", environ_overrides=environ, **options)


def refusal(response: TestResponse) -> list[str]:
    assert response.status_code == 400, response.text
    details: dict[str, list[str]] = response.get_json()["error"]["details"]
    assert set(map(tuple, details.values())) == {("Must be UTF-8.",)}
    return list(details)


@pytest.mark.parametrize("sent", NOT_UTF8.values(), ids=NOT_UTF8)
def test_a_query_that_is_no_utf8_is_refused_by_name(ada: Person, sent: str) -> None:
    for path, name in (("/tasks", "q"), ("/search", "q"), ("/welcome", "nothing"), ("/upstreams/far/x", "any")):
        assert refusal(ask(ada, path, f"page=1&{name}=ab{sent}")) == [name]
        assert refusal(ask(ada, path, f"{sent}=1")) == [sent]
    raw = unquote_to_bytes(sent).decode("latin-1")
    assert refusal(ask(ada, "/tasks", f"q={raw}")) == ["q"]
    assert refusal(ask(ada, "/tasks", f"due_date%5Bgte%5D={sent}&q={sent}")) == ["due_date[gte]", "q"]


def test_every_parameter_of_every_path_is_named(app: Flask, ada: Person) -> None:
    rules = [rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/api/v1/") and rule.arguments]
    assert len(rules) > 15
    for rule in rules:
        method = sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})[0]
        for wanted in rule.arguments:

            def fill(found: "re.Match[str]", wanted: str = wanted) -> str:
                return "%FF" if found[1] == wanted else "1"

            path = re.sub(r"<(?:\w+:)?(\w+)>", fill, rule.rule).removeprefix("/api/v1")
            assert refusal(ask(ada, path, method=method)) == [wanted], path


@pytest.mark.parametrize("sent", NOT_UTF8.values(), ids=NOT_UTF8)
def test_a_path_that_is_no_utf8_is_refused(anonymous: Person, sent: str) -> None:
    assert refusal(ask(anonymous, f"/greet/{sent}")) == ["name"]
    assert refusal(ask(anonymous, f"/greet/a/b{sent}/c")) == ["name"]
    assert refusal(ask(anonymous, f"/no/such{sent}")) == ["path"]
    assert refusal(ask(anonymous, f"/greet/{sent}", method="DELETE")) == ["path"]


@pytest.mark.parametrize("sent", GOOD)
def test_what_is_utf8_is_not_refused(ada: Person, sent: str) -> None:
    name = unquote_to_bytes(sent).decode()
    assert name in ask(ada, f"/greet/{sent}").get_json()["data"]["greeting"]
    assert ask(ada, "/tasks", f"q={sent}").status_code == 200
    assert ask(ada, "/tasks", f"q={unquote_to_bytes(sent).decode('latin-1')}").status_code == 200


@pytest.mark.parametrize("sent", ["a%0Ab", "%0Aa", "a%0D%0Ab", "a%E2%80%A8b", "a%1Bb", "a%7Fb"])
def test_a_line_break_in_a_path_is_answered(ada: Person, sent: str) -> None:
    greeted = ask(ada, f"/greet/{sent}")
    assert greeted.status_code == 200
    assert unquote_to_bytes(sent).decode().strip() in greeted.get_json()["data"]["greeting"]
    for path in (f"/items/by-sku/{sent}", f"/jobs/{sent}", f"/tasks/1{sent}", f"/upstreams/far/{sent}"):
        assert ask(ada, path).status_code in (400, 404), path


@pytest.mark.parametrize("sent", NOT_UTF8.values(), ids=NOT_UTF8)
def test_a_form_that_is_no_utf8_is_refused_by_name(ada: Person, sent: str) -> None:
    options: dict[str, Any] = {"token": "", "content_type": "application/x-www-form-urlencoded"}
    body = f"grant_type=password&username=ada&password=a{sent}"
    raw = b"username=" + unquote_to_bytes(sent)
    for form, name in ((body, "password"), (f"grant_type=password&{sent}=1", sent), (raw, "username")):
        refused = ada.post("/auth/login", data=form, **options)
        # Clients of OAuth get two strings (RFC 6749, section 5.2).
        assert (refused.status_code, refused.get_json()["error"]) == (400, "invalid_request")
        assert f"{name}: Must be UTF-8." in refused.get_json()["error_description"]
    boundary = b"--x\r\nContent-Disposition: form-data; name="
    parts = (
        boundary
        + b'"kind"\r\n\r\n'
        + unquote_to_bytes(sent)
        + b"\r\n"
        + boundary
        + b'"file"; filename="a.csv"\r\n\r\nt\r\n--x--\r\n'
    )
    assert refusal(ada.post("/imports", data=parts, content_type="multipart/form-data; boundary=x")) == ["kind"]


def test_a_field_of_a_login_form_is_given_once(ada: Person) -> None:
    body = "grant_type=password&username=ada&username=bob&password=x"
    response = ada.post("/auth/login", data=body, token="", content_type="application/x-www-form-urlencoded")
    assert response.status_code == 400
    assert "username: Given more than once." in response.get_json()["error_description"]
