"""Schemas of Swagger 2.0 as those of OpenAPI 3.1, which are JSON Schema (2020-12)."""

from collections.abc import Mapping
from typing import Any

from api.http.openapi.enums import Words

Schema = dict[str, Any]

_DEFINITIONS = "#/definitions/"
SCHEMAS = "#/components/schemas/"
# What a parameter or a header of Swagger 2.0 says of its value beside itself, and OpenAPI 3.1 in a schema.
_OF_A_VALUE = {
    *("type", "format", "enum", "items", "default", "x-nullable", "pattern", "minLength", "maxLength", "minItems"),
    *("maxItems", "uniqueItems", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}
_BOUNDS = {"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"}


def of_value(old: Mapping[str, Any], names: Mapping[Words, str]) -> Schema:
    """Return the schema of the value of a parameter or a header."""
    return schema({key: said for key, said in old.items() if key in _OF_A_VALUE}, names)


def schema(old: Mapping[str, Any], names: Mapping[Words, str]) -> Schema:
    """Return a schema in the words of 3.1; `names` are those of the enums."""
    new = {key: said for key, said in old.items() if key not in ("x-nullable", "x-any-type")}
    if "properties" in new:
        new["properties"] = {name: schema(part, names) for name, part in new["properties"].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(new.get(key), Mapping):
            new[key] = schema(new[key], names)
    if "example" in new:
        new["examples"] = [new.pop("example")]
    for bound, inclusive in _BOUNDS.items():
        if new.pop(bound, False):
            new[bound] = new.pop(inclusive)
    new = _typed(new, names)
    return _or_null(new) if old.get("x-nullable") else new


def _typed(new: Schema, names: Mapping[Words, str]) -> Schema:
    """Return a schema with its type as 3.1 says it."""
    if "allOf" in new:
        # In Swagger 2.0 nothing may stand beside a reference, so Flask-RESTX wraps it.
        (wrapped,) = new.pop("allOf")
        new = {**new, **wrapped}
    if "$ref" in new:
        return {**new, "$ref": SCHEMAS + new["$ref"].removeprefix(_DEFINITIONS)}
    if new.get("type") == "file":
        return {**new, "type": "string", "format": "binary"}
    if "enum" not in new:
        return new
    words, kind = new.pop("enum"), new.pop("type")
    # The only word there is needs no name.
    return {
        **new,
        **({"type": kind, "const": words[0]} if len(words) == 1 else {"$ref": SCHEMAS + names[tuple(words)]}),
    }


def _or_null(new: Schema) -> Schema:
    if "$ref" in new:
        return {"anyOf": [{"$ref": new.pop("$ref")}, {"type": "null"}], **new}
    if "const" in new:
        return {"anyOf": [{"type": new.pop("type"), "const": new.pop("const")}, {"type": "null"}], **new}
    return {**new, "type": [new["type"], "null"]} if "type" in new else new
