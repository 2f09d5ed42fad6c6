"""Holds every answer against the OpenAPI document, so that the document cannot lie."""

from functools import cache
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from flask_restx.swagger import extract_path
from jsonschema_rs import Draft4Validator
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse

# The documents of this process: no setting changes them (tests/api/test_document.py), and they take a while to make.
_documents: list[dict[str, Any]] = []
_openapi: list[dict[str, Any]] = []


def document_of(app: Flask) -> dict[str, Any]:
    """Return the document in Swagger 2.0, made by the first application that is asked for it."""
    return _made(app, "/api/swagger.json", _documents)


def openapi_of(app: Flask) -> dict[str, Any]:
    """Return the document in OpenAPI 3.1, made likewise."""
    return _made(app, "/api/openapi.json", _openapi)


def _made(app: Flask, path: str, made: list[dict[str, Any]]) -> dict[str, Any]:
    if not made:
        response = app.test_client().get(path)
        assert response.status_code == 200
        made.append(response.get_json())
    return made[0]


def operation_of(app: Flask, path: str, method: str) -> tuple[str, str] | None:
    """Return template and verb of the documented operation that answers this request, or None if no route does."""
    try:
        rule, _ = app.url_map.bind("localhost").match(path, method=method, return_rule=True)
    except HTTPException:
        return None
    template = extract_path(rule.rule).removeprefix("/api")
    verb = "get" if method == "HEAD" else method.lower()
    return (template, verb) if verb in document_of(app)["paths"].get(template, {}) else None


def answers_of(template: str, verb: str) -> dict[str, dict[str, Any]]:
    """Return what an operation may answer, by status."""
    answers: dict[str, dict[str, Any]] = _documents[0]["paths"][template][verb]["responses"]
    return answers


@cache
def _validator(template: str, verb: str, status: str) -> Draft4Validator:
    """Return what knows whether a body fits an answer; made once, because every request of every test asks it."""
    schema = answers_of(template, verb)[status]["schema"]
    return Draft4Validator({**_plain(schema), "definitions": _definitions()})


@cache
def _definitions() -> dict[str, Any]:
    return {name: _plain(body) for name, body in _documents[0]["definitions"].items()}


def check_answer(app: Flask, path: str, method: str, response: TestResponse) -> None:
    """Fail unless the document announces this status with a schema that fits this body."""
    operation = operation_of(app, path, method)
    if operation is None:
        return
    announced = answers_of(*operation)
    status = str(response.status_code)
    assert status in announced, f"{method} {path} answered {status}, which is not documented: {sorted(announced)}"
    if response.mimetype == "application/problem+json" or method == "HEAD":
        return
    if operation == ("/v1/auth/login", "post") and response.status_code >= 400 and sends_a_form(response):
        # Swagger 2.0 has one shape for a status. The clients of this form know theirs (RFC 6749, section 5.2).
        assert response.get_json().keys() == {"error", "error_description"}
        return
    schema = announced[status].get("schema")
    if schema == {"type": "file"}:
        return
    if schema is None:
        assert response.data == b""
        return
    assert response.mimetype == "application/json"
    _validator(*operation, status).validate(response.get_json())


def sends_a_form(response: TestResponse) -> bool:
    return response.request.mimetype == "application/x-www-form-urlencoded"


def _plain(schema: Any) -> Any:
    """Turn Swagger 2.0's dialect into JSON Schema: x-nullable, and nothing beyond what is described."""
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {name: _plain(value) for name, value in schema.items()}
    if plain.get("x-nullable") and isinstance(plain.get("type"), str):
        plain["type"] = [plain["type"], "null"]
        if "enum" in plain:
            plain["enum"] = [*plain["enum"], None]
    if "properties" in plain and isinstance(plain["properties"], dict):
        plain["additionalProperties"] = False
    return plain


class CheckedClient(FlaskClient):
    """A test client that refuses an answer which the document does not announce."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        response = super().open(*args, **kwargs)
        request = response.request
        if request.path.startswith("/api/v1"):
            check_answer(self.application, request.path, request.method, response)
        return response
