"""Parts of an answer's envelope."""

from typing import Any


def data(response: Any) -> Any:
    """Return what was asked for; fail if it was refused."""
    assert response.status_code < 300, response.text
    return response.get_json()["data"]


def error(response: Any) -> Any:
    """Return what was wrong; fail if nothing was, or if the envelope has anything that it should not."""
    assert response.mimetype == "application/json", response.text
    body = response.get_json()
    assert set(body) == {"status", "error"}
    assert body["status"] == "error"
    assert set(body["error"]) <= {"message", "code", "request_id", "details"}
    assert body["error"]["request_id"] == response.headers["X-Request-ID"]
    return body["error"]


def details(response: Any) -> Any:
    """Return what was wrong with each field."""
    return error(response)["details"]
