"""Marshalling: from objects and rows to plain values to JSON, each once."""

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from flask import Response, current_app
from flask_restx.model import ModelBase
from orjson import Fragment

from core.platform.text.json_out import dump

Marshaller = Callable[[Any], dict[str, Any]]

_marshallers: dict[str, Marshaller] = {}


def _marshaller(model: ModelBase) -> Marshaller:
    """Return the function that picks the model's fields; made once for each model."""
    if model.name not in _marshallers:
        names = tuple(model)
        values = attrgetter(*(field.attribute or name for name, field in model.items()))
        _marshallers[model.name] = lambda value: dict(zip(names, values(value), strict=True))
    return _marshallers[model.name]


def marshal(model: ModelBase, value: Any) -> Any:
    """Return the model's fields of an object or a row as plain values; what is plain or JSON already stays."""
    return value if isinstance(value, dict | Fragment) else _marshaller(model)(value)


def json_response(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return `body` as a JSON answer."""
    return current_app.response_class(dump(body), status, headers, mimetype="application/json")


def success(data: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return `data` in the envelope of good answers."""
    return json_response({"status": "success", "data": data}, status, headers)


def representation(model: ModelBase, value: Any) -> bytes:
    """Return the whole body of the answer that shows `value`."""
    return dump({"status": "success", "data": marshal(model, value)})
