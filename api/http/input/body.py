"""Request bodies: read strictly, checked against the documented model, converted.

Flask-RESTX's own check answers 400 and names fields awkwardly; the contract
wants 422 with one list of sentences for each field path.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import chain, islice
from typing import Any

from flask import request
from flask_restx import fields
from flask_restx.model import ModelBase
from jsonschema import Draft4Validator, FormatChecker, ValidationError, validators

from api.http.input import json, media
from api.http.input.fields import NOT_BLANK, TRIMMED
from core.platform.errors import Invalid, Malformed
from core.platform.text import checks, redaction
from core.platform.text.faults import MAX_FAULTS, Faults

SERVER_OWNED = frozenset(
    {
        "id",
        "owner_id",
        "user_id",
        "created_by",
        "author",
        "version",
        "created_at",
        "updated_at",
        "completed_at",
        "role",
        "is_active",
    }
)

LACKING = "The request lacks required fields."

# What a field of a format is turned into once it has been checked.
_CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "date": checks.day,
    "date-time": checks.moment,
    "decimal": Decimal,
}

_formats = FormatChecker(formats=())


@_formats.checks("date", raises=ValueError)
def _is_date(value: object) -> bool:
    return not isinstance(value, str) or bool(checks.day(value))


@_formats.checks("decimal")
def _is_amount(value: object) -> bool:
    return not isinstance(value, Decimal) or checks.has_whole_cents(value)


@_formats.checks("date-time", raises=ValueError)
def _is_moment(value: object) -> bool:
    return not isinstance(value, str) or bool(checks.moment(value))


@_formats.checks("email", raises=Invalid)
def _is_email(value: object) -> bool:
    # What is blank or too long is told as that.
    return not isinstance(value, str) or not 0 < len(value) <= 120 or bool(checks.email(value))


@_formats.checks("time-zone", raises=Invalid)
def _is_time_zone(value: object) -> bool:
    return not isinstance(value, str) or not 0 < len(value) <= 64 or bool(checks.time_zone("time_zone", value))


def load_body(model: ModelBase, *, missing_status: int = 422, needs_a_field: bool = False) -> dict[str, Any]:
    """Return the body of the current request, checked and converted as `model` says.

    `missing_status=400` is for credentials, whose absence is a malformed
    request; `needs_a_field` refuses `{}`. Raises Malformed, Invalid and
    WrongType.
    """
    value = load_object()
    if needs_a_field and not value:
        raise Malformed("At least one field is needed.")
    return check(model, value, missing_status=missing_status)


def load_object(*others: str) -> dict[str, Any]:
    """Return the body of the current request, any JSON object. Raises like `load_body`.

    `others` are the types that the operation takes, too, and that its caller has seen to.
    """
    raw = request.get_data()
    if not raw:
        raise Malformed("A JSON body is needed.")
    media.require_json(*others)
    value = json.parse(raw)
    if not isinstance(value, dict):
        raise Malformed("The body must be a JSON object.")
    # No body of ours has more members.
    members = islice(value.items(), MAX_FAULTS)
    redaction.confide(*(item for name, item in members if redaction.is_secret_name(name)))
    return value


def check(model: ModelBase, value: dict[str, Any], *, missing_status: int = 422) -> dict[str, Any]:
    """Return `value` trimmed, checked and converted as `model` says. Raises Malformed and Invalid."""
    shape = _shape(model)
    for name in shape.trimmed & value.keys():
        if isinstance(value[name], str):
            value[name] = checks.strip(value[name])
    faults = Faults()
    missing = False
    for error in islice(shape.validator.iter_errors(value), MAX_ERRORS):
        missing = missing or error.validator == "required"
        _note(error, faults)
    if faults:
        told: dict[str, Any] = {"details": faults.details, "unnamed": faults.unnamed}
        if missing and missing_status == 400:
            raise Malformed(LACKING, **told)
        raise Invalid("The request has invalid fields.", **told)
    for name, convert in shape.converters.items():
        if value.get(name) is not None:
            value[name] = convert(value[name])
    return value


class _Shape:
    """What is known of a model before any request comes."""

    def __init__(self, model: ModelBase) -> None:
        self.trimmed = frozenset(name for name, field in model.items() if getattr(field, "trim", False))
        self.converters = {
            name: _CONVERTERS[field.__schema_format__]
            for name, field in model.items()
            if field.__schema_format__ in _CONVERTERS
        }
        # It takes Decimal for a number and not for an integer, as we want it: see numbers.Number.
        self.validator = _Validator(_model_schema(model), format_checker=_formats)


_shapes: dict[str, _Shape] = {}


def _shape(model: ModelBase) -> _Shape:
    # Models cannot be hashed, but their names are unique: Swagger needs that too.
    if model.name not in _shapes:
        _shapes[model.name] = _Shape(model)
    return _shapes[model.name]


def _model_schema(model: ModelBase) -> dict[str, Any]:
    properties = {name: _field_schema(field) for name, field in model.items()}
    required = sorted(name for name, field in model.items() if field.required)
    schema: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**schema, "required": required} if required else schema


def _field_schema(field: fields.Raw) -> dict[str, Any]:
    if isinstance(field, fields.Nested):
        return _model_schema(field.nested)
    schema = dict(field.__schema__)
    if isinstance(field, fields.List):
        schema["items"] = _field_schema(field.container)
    if schema.get("x-nullable"):
        schema["type"] = [schema["type"], "null"]
        if "enum" in schema:
            schema["enum"] = [*schema["enum"], None]
    return schema


# How many errors of a body are looked at: as many as the longest list has entries.
MAX_ERRORS = 1_000


def _items(validator: Any, items: Any, instance: Any, schema: dict[str, Any]) -> Iterator[ValidationError]:
    """Look at the entries of a list, unless there are too many, which is said anyway."""
    if isinstance(instance, list) and len(instance) <= schema.get("maxItems", len(instance)):
        for index, item in enumerate(instance):
            yield from validator.descend(item, items, path=index)


def _unique_items(_: Any, is_unique: bool, instance: Any, schema: dict[str, Any]) -> Iterator[ValidationError]:
    """Look for words and numbers that come twice; of anything else it is said that it is neither."""
    if not is_unique or not isinstance(instance, list) or len(instance) > schema.get("maxItems", len(instance)):
        return
    scalars = [(type(item), item) for item in instance if isinstance(item, str | int | Decimal)]
    if len(set(scalars)) != len(scalars):
        yield ValidationError("An entry comes twice.")


def _no_others(_: Any, others: Any, instance: Any, schema: dict[str, Any]) -> Iterator[ValidationError]:
    """Look for unknown names, and list none of them yet: they may be many."""
    if isinstance(instance, dict) and not instance.keys() <= schema["properties"].keys():
        yield ValidationError("There are unknown names.")


# Only what takes no longer for a hundred thousand entries than for a hundred.
_Validator = validators.extend(
    Draft4Validator, {"items": _items, "uniqueItems": _unique_items, "additionalProperties": _no_others}
)

_TYPES = {
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "object": "an object",
    "array": "a list",
    "null": "null",
}


def _note(error: ValidationError, faults: Faults) -> None:
    """Note the field path and a sentence for each thing that is wrong."""
    path = [json.printable(str(part)) for part in error.absolute_path]
    schema: Any = error.schema
    limit: Any = error.validator_value
    value: Any = error.instance
    match error.validator:
        case "required":
            # jsonschema reports each missing name by itself; only the message tells which.
            name = next(name for name in limit if name not in value and repr(name) in error.message)
            faults.add(".".join([*path, name]), checks.REQUIRED)
        case "additionalProperties":
            unknown = [name for name in value if name not in schema["properties"]]
            for name in unknown[:MAX_FAULTS]:
                where = ".".join([*path, json.printable(name)])
                if name in SERVER_OWNED:
                    faults.add(where, checks.SERVER_SET)
                else:
                    faults.add_unknown(where, "Unknown field.", name, schema["properties"])
            faults.add_more(len(unknown[MAX_FAULTS:]))
        case "format" if isinstance(error.cause, Invalid) and error.cause.details:
            for sentence in chain(*error.cause.details.values()):
                faults.add(".".join(path), sentence)
        case validator:
            faults.add(".".join(path) or "body", _sentence(str(validator), limit, schema))


_FORMATS = {
    "date": checks.NO_DAY,
    "date-time": checks.NO_MOMENT,
    "decimal": "Must have at most two decimal places.",
}
_SENTENCES = {
    "minLength": checks.TOO_SHORT,
    "maxLength": checks.TOO_LONG,
    "minItems": "Must have at least {0} entries.",
    "maxItems": "Must have at most {0} entries.",
    "uniqueItems": "Must not have an entry twice.",
    "minimum": "Must be at least {0}.",
    "maximum": "Must be at most {0}.",
    "pattern": "Must match {0}.",
}


def _sentence(validator: str, limit: Any, schema: dict[str, Any]) -> str:
    if validator == "type":
        names = limit if isinstance(limit, list) else [limit]
        return f"Must be {' or '.join(_TYPES[name] for name in names)}."
    if validator == "enum":
        return f"Must be one of {', '.join(str(item) for item in limit if item is not None)}."
    if (validator == "minLength" and limit == 1) or (validator == "pattern" and limit in (NOT_BLANK, TRIMMED)):
        return checks.BLANK
    if validator == "format":
        return _FORMATS[limit]
    if validator == "maximum" and schema.get("exclusiveMaximum"):
        return f"Must be less than {limit}."
    return _SENTENCES.get(validator, "Is not valid.").format(limit)
