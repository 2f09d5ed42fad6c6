"""Holds every answer against the OpenAPI document, so that the document cannot lie."""

import json
from functools import cache
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from flask_restx.swagger import extract_path
from jsonschema import Draft4Validator
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse


@cache
def document_of(app: Flask) -> dict[str, Any]:
    response = app.test_client().get("/api/swagger.json")
    assert response.status_code == 200
    document: dict[str, Any] = response.get_json()
    return document


def operation_of(app: Flask, path: str, method: str) -> dict[str, Any] | None:
    """Return the documented operation that answers this request, or None if no route does."""
    try:
        rule, _ = app.url_map.bind("localhost").match(path, method=method, return_rule=True)
    except HTTPException:
        return None
    template = extract_path(rule.rule).removeprefix("/api")
    name = "get" if method == "HEAD" else method.lower()
    operation: dict[str, Any] | None = document_of(app)["paths"].get(template, {}).get(name)
    return operation


def check_answer(app: Flask, path: str, method: str, response: TestResponse) -> None:
    """Fail unless the document announces this status with a schema that fits this body."""
    operation = operation_of(app, path, method)
    if operation is None:
        return
    announced = operation["responses"]
    status = str(response.status_code)
    assert status in announced, f"{method} {path} answered {status}, which is not documented: {sorted(announced)}"
    if response.mimetype == "application/problem+json" or method == "HEAD":
        return
    schema = announced[status].get("schema")
    if schema == {"type": "file"}:
        return
    if schema is None:
        assert response.data == b""
        return
    assert response.mimetype == "application/json"
    _validator(app, json.dumps(schema)).validate(response.get_json())


@cache
def _definitions(app: Flask) -> dict[str, Any]:
    return {name: _plain(body) for name, body in document_of(app)["definitions"].items()}


@cache
def _validator(app: Flask, schema: str) -> Draft4Validator:
    return Draft4Validator({**_plain(json.loads(schema)), "definitions": _definitions(app)})


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
