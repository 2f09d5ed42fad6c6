"""The error contract: every error of every layer in one shape, and no input gives a 500."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.exc import DataError, IntegrityError, OperationalError

from core.platform.errors import Unavailable
from tests.support.answers import error
from tests.support.people import Person

JSON = {"Content-Type": "application/json"}


# --- routing --------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/nothing", "/api/nothing", "/api/v1", "/api/v1/nothing", "/api/v1/tasks/1/nothing", "/x.php"]
)
def test_an_unknown_path_is_404_and_lists_no_routes(anonymous: Person, path: str) -> None:
    response = anonymous.client.get(path)
    assert response.status_code == 404
    assert error(response)["code"] == "not_found"
    assert "tasks" not in error(response)["message"]


def test_a_wrong_method_is_405_and_names_the_right_ones(anonymous: Person) -> None:
    response = anonymous.client.delete("/api/v1/tasks")
    assert response.status_code == 405
    assert error(response)["code"] == "method_not_allowed"
    assert {"GET", "POST"} <= set(response.headers["Allow"].split(", "))


@pytest.mark.parametrize(
    "accept", ["text/html", "application/xml", "image/*", "application/json;q=0", "application/json;q=0, */*"]
)
def test_what_cannot_be_answered_is_406_before_anything_happens(ada: Person, accept: str) -> None:
    response = ada.post("/tasks", {"title": "x"}, headers={"Accept": accept})
    assert response.status_code == 406
    assert error(response)["code"] == "not_acceptable"
    assert ada.get("/tasks").get_json()["data"] == []


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "application/*",
        "text/html, */*;q=0.1",
        "application/json",
        "nonsense, */*",
        "application/json; charset=utf-8",
        "application/json;odata=verbose, text/plain",
    ],
)
def test_whoever_takes_json_gets_json(ada: Person, accept: str) -> None:
    assert ada.get("/tasks", headers={"Accept": accept}).status_code == 200


def test_problem_details_for_those_who_ask_for_them(ada: Person) -> None:
    response = ada.post("/tasks", {}, headers={"Accept": "application/problem+json"})
    assert response.status_code == 422
    assert response.mimetype == "application/problem+json"
    assert response.get_json() == {
        "type": "about:blank",
        "title": "Unprocessable Entity",
        "status": 422,
        "detail": "The request has invalid fields.",
        "code": "validation_failed",
        "request_id": response.headers["X-Request-ID"],
        "errors": {"title": ["This field is required."]},
    }
    assert ada.get("/tasks", headers={"Accept": "application/problem+json"}).status_code == 200


@pytest.mark.parametrize(
    "accept", ["application/json, application/problem+json", "application/problem+json, */*;q=0.5"]
)
def test_whoever_names_problem_details_gets_them(ada: Person, accept: str) -> None:
    assert ada.get("/tasks/0", headers={"Accept": accept}).mimetype == "application/problem+json"


@pytest.mark.parametrize("host", ["a b", "[::1", "a:99999", "foo@bar", ""])
def test_a_host_that_no_url_can_have_is_400_before_anything_happens(ada: Person, host: str) -> None:
    response = ada.post("/tasks", {"title": "x"}, headers={"Host": host})
    assert response.status_code == 400
    assert ada.get("/tasks").get_json()["data"] == []


# --- bodies ---------------------------------------------------------------------


BROKEN = [
    b"",
    b"{",
    b"nonsense",
    b"{'title': 'x'}",
    b'{"title": "x",}',
    b'{"title": "x"} {}',
    b"null",
    b"[]",
    b"5",
    b'"title"',
    b"true",
    b'{"title": NaN}',
    b'{"title": Infinity}',
    b'{"title": -Infinity}',
    b'{"title": "a", "title": "b"}',
    b'{"title": {"a": 1, "a": 2}}',
    b'{"title": "\xff"}',
    b'\xef\xbb\xbf\xef\xbb\xbf{"title": "x"}',
    b'{"title": "a\nb"}',
    b'{"title": "\\ud8"}',
    b'{"title": ' + b"[" * 33 + b"]" * 33 + b"}",
    b'{"title": ' + b"[" * 100_000 + b"}",
    b'{"title": ' + b'{"a":' * 5_000 + b"1" + b"}" * 5_000 + b"}",
    b"[" * 500_000,
]


@pytest.mark.parametrize("raw", BROKEN, ids=lambda raw: repr(raw[:30]))
def test_a_broken_body_is_400(ada: Person, raw: bytes) -> None:
    response = ada.post("/tasks", data=raw, headers=JSON)
    assert response.status_code == 400
    assert error(response)["code"] == "bad_request"


def test_the_mark_that_some_editors_put_in_front_is_passed_over(ada: Person) -> None:
    for method, path in (("POST", "/tasks"), ("PATCH", f"/tasks/{ada.create_task()['id']}")):
        response = ada.open(method, path, data=b'\xef\xbb\xbf{"title": "x"}', headers=JSON)
        assert response.status_code < 300, response.text
        assert response.get_json()["data"]["title"] == "x"


STRANGE = [
    b'{"title": "\\ud800"}',
    b'{"title": "\\u0000"}',
    b'{"title": "x", "\\ud800": 1}',
    b'{"title": "x", "\\u0000": 1}',
    b'{"title": "x", "assignee_id": 9223372036854775808}',
    b'{"title": "x", "assignee_id": -9223372036854775809}',
    b'{"title": "x", "assignee_id": ' + b"9" * 10_000 + b"}",
    b'{"title": "x", "description": [[[["\\u0000"]]]]}',
    b'{"title": "x", "__proto__": {}}',
    b'{"title": "x", "": 1}',
    b'{"title": ' + b"[" * 31 + b"]" * 31 + b"}",
    b'{"title": "' + b"[{" * 100 + b'\\"[", "x": 1}',
    b'{"title": 1e308}',
    b'{"title": 1e400}',
    b'{"title": 1e999999999}',
    b'{"title": 1e99999999999999999999}',
    b'{"title": "x", "description": [{"a": -0.5e-999999999}]}',
    b'{"title": "x", "assignee_id": 1.0}',
    b'{"title": "x", "assignee_id": 1e2}',
]


@pytest.mark.parametrize("raw", STRANGE, ids=lambda raw: repr(raw[:40]))
def test_a_strange_value_is_422_with_its_field(ada: Person, raw: bytes) -> None:
    response = ada.post("/tasks", data=raw, headers=JSON)
    assert response.status_code == 422
    assert error(response)["details"]
    assert ada.get("/tasks").get_json()["data"] == []


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/xml", "multipart/form-data; boundary=x", "application/jsonp", "x"]
)
def test_a_body_that_is_not_json_is_415(ada: Person, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    response = ada.post("/tasks", data=b'{"title": "x"}', headers=headers)
    assert response.status_code == 415
    assert error(response)["code"] == "unsupported_media_type"


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON"])
def test_json_may_be_announced_in_several_ways(ada: Person, content_type: str) -> None:
    response = ada.post("/tasks", data=b'{"title": "x"}', headers={"Content-Type": content_type})
    assert response.status_code == 201


@pytest.mark.parametrize("path", ["/tasks", "/auth/login", "/tasks/1/process"])
def test_a_body_over_one_mebibyte_is_413(ada: Person, path: str) -> None:
    response = ada.post(path, data=b'{"title": "' + b"x" * 1024 * 1024 + b'"}', headers=JSON)
    assert response.status_code == 413
    assert error(response)["code"] == "content_too_large"


def test_a_stranger_learns_nothing_about_what_would_be_valid(anonymous: Person) -> None:
    for response in (anonymous.post("/tasks", {}), anonymous.get("/tasks?page=0"), anonymous.get("/tasks/1")):
        assert response.status_code == 401
        assert error(response)["code"] == "unauthenticated"
        assert "details" not in error(response)


# --- the layers below -------------------------------------------------------------


class Driver(Exception):
    """Error as a database driver raises it; its text must stay inside."""


@pytest.mark.parametrize(
    ("raised", "status", "code"),
    [
        (RuntimeError("canary"), 500, "internal_error"),
        (KeyError("canary"), 500, "internal_error"),
        (RecursionError("canary"), 500, "internal_error"),
        (OperationalError("SELECT canary", {}, Driver("canary")), 503, "unavailable"),
        (IntegrityError("INSERT canary", {}, Driver("canary")), 409, "conflict"),
        (DataError("INSERT canary", {}, Driver("canary")), 422, "validation_failed"),
        (Unavailable("The upstream is away."), 503, "unavailable"),
    ],
)
def test_an_error_of_a_lower_layer_tells_nothing_of_it(
    ada: Person, monkeypatch: pytest.MonkeyPatch, raised: Exception, status: int, code: str
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise raised

    monkeypatch.setattr("core.tasks.service.get", fail)
    # None of these codes can come from this operation in truth, so the document is not asked.
    client = FlaskClient(ada.app, ada.app.response_class)
    response = client.get("/api/v1/tasks/1", headers={"Authorization": f"Bearer {ada.tokens['access_token']}"})
    assert response.status_code == status
    assert error(response)["code"] == code
    assert "canary" not in response.text
    assert ("Retry-After" in response.headers) == (status == 503)


def test_a_bug_is_logged_with_the_request_id(
    ada: Person, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("core.tasks.service.get", lambda *args, **kwargs: 1 / 0)
    ada.get("/tasks/1", headers={"X-Request-ID": "find-me"})
    record = next(record for record in caplog.records if record.exc_info)
    assert "ZeroDivisionError" in caplog.text
    assert record.getMessage() == "Unexpected error"


@pytest.mark.parametrize("config_name_is_production_like", [False, True])
def test_errors_look_the_same_outside_test_mode(
    remake_app: Callable[..., Flask], ada: Person, config_name_is_production_like: bool
) -> None:
    """Test mode hides that Flask-RESTX turns JWT errors into 500 (flask-restx issue 512)."""
    app = remake_app()
    app.testing = not config_name_is_production_like
    app.debug = not config_name_is_production_like
    person = Person(app)
    assert person.get("/auth/me").status_code == 401
    assert person.get("/auth/me", token="garbage").status_code == 401
    assert person.get("/auth/me", token=ada.tokens["refresh_token"]).status_code == 401
    assert person.client.get("/api/v1/nothing").status_code == 404


def test_the_fields_mask_of_restx_has_no_effect(ada: Person) -> None:
    task = ada.create_task()
    shown = ada.get(f"/tasks/{task['id']}", headers={"X-Fields": "{data{id}}"})
    assert shown.get_json()["data"] == task
