"""Schemas of bodies, each made of a documented model when it is first needed, and how a value is checked."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from typing import Any

from flask_restx import fields
from flask_restx.model import ModelBase
from jsonschema import Draft4Validator, FormatChecker, ValidationError, validators

from core.platform.errors import Invalid
from core.platform.text import checks

# What a field of a format is turned into once it has been checked.
_CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "date": checks.day,
    "date-time": checks.moment,
    "decimal": Decimal,
}

_formats = FormatChecker(formats=())


def _of_text(convert: Callable[[str], Any], *, longest: int | None = None) -> Callable[[object], bool]:
    """Return the check of a format. A value of another type, blank or too long has a fault of its own already."""
    return lambda value: (
        not isinstance(value, str) or (longest is not None and not 0 < len(value) <= longest) or bool(convert(value))
    )


_formats.checks("date", raises=ValueError)(_of_text(checks.day))
_formats.checks("date-time", raises=ValueError)(_of_text(checks.moment))
_formats.checks("email", raises=Invalid)(_of_text(checks.email, longest=120))
_formats.checks("time-zone", raises=Invalid)(_of_text(partial(checks.time_zone, "time_zone"), longest=64))


@_formats.checks("decimal")
def _is_amount(value: object) -> bool:
    return not isinstance(value, Decimal) or checks.has_whole_cents(value)


class Shape:
    """Facts of a model that are worked out once, at the first request that needs them."""

    def __init__(self, model: ModelBase) -> None:
        self.trimmed = frozenset(name for name, field in model.items() if getattr(field, "trim", False))
        self.converters = {
            name: _CONVERTERS[field.__schema_format__]
            for name, field in model.items()
            if field.__schema_format__ in _CONVERTERS
        }
        # It takes Decimal for a number and not for an integer, as we want it: see numbers.Number.
        self.validator = _Validator(_model_schema(model), format_checker=_formats)


_shapes: dict[str, Shape] = {}


def shape_of(model: ModelBase) -> Shape:
    """Return what is known of a model."""
    # Models cannot be hashed, but their names are unique: Swagger needs that too.
    if model.name not in _shapes:
        _shapes[model.name] = Shape(model)
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
