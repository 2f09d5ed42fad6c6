"""Values that Swagger UI offers for an operation, sampled from the document as it does that itself.

A port of `sampleFromSchemaGeneric` and of the parameters' `setDefaultValue` in
Swagger UI, for the document in Swagger 2.0. `tests/browser` holds the bodies against what the page offers, which
reads the one in OpenAPI 3.1.
"""

import json
from typing import Any

NOTHING = object()
# Numbers in JavaScript are doubles, and what is larger than this is written with an exponent.
LARGEST_WRITTEN_OUT = 10**21


def offered_body(operation: dict[str, Any], definitions: dict[str, Any]) -> Any:
    """Return the body that is in the text area before anybody types, or NOTHING if there is none."""
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "body":
            return sample(parameter["schema"], definitions)
    return NOTHING


def offered_parameter(parameter: dict[str, Any]) -> Any:
    """Return what a parameter that is no body is filled in with, or NOTHING."""
    for key in ("x-example", "default"):
        if key in parameter:
            return parameter[key]
    return parameter["enum"][0] if parameter.get("required") and parameter.get("enum") else NOTHING


def sample(schema: dict[str, Any], definitions: dict[str, Any]) -> Any:
    """Return the example of a schema, else its default, else a value of its type."""
    schema = _resolved(schema, definitions)
    kind = schema.get("type") or ("object" if "properties" in schema else "string")
    for key in ("example", "default"):
        if key in schema:
            return _written(schema[key], kind)
    if kind == "object":
        shown = {
            name: sample(part, definitions)
            for name, part in schema.get("properties", {}).items()
            if not (part.get("readOnly") or part.get("deprecated"))
        }
        more = schema.get("additionalProperties")
        return {**shown, **({"additionalProp1": {}} if more is True else {})}
    if kind == "array":
        entries = [sample(schema["items"], definitions)]
        return entries * max(1, schema.get("minItems", 1))
    if "enum" in schema:
        return schema["enum"][0]
    return _of_type(schema, kind)


def _resolved(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        return dict(definitions[schema["$ref"].rpartition("/")[2]])
    whole = {name: value for name, value in schema.items() if name != "allOf"}
    for part in schema.get("allOf", []):
        whole = {**_resolved(part, definitions), **whole}
    return whole


def _written(value: Any, kind: str) -> Any:
    if kind == "string" and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if kind != "string" and isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _of_type(schema: dict[str, Any], kind: str) -> Any:
    if kind in ("integer", "number"):
        value = schema.get("minimum", 0) + (1 if schema.get("exclusiveMinimum") else 0)
        if "maximum" in schema:
            # The upper bound wins, and most 64-bit numbers are no doubles.
            value = _double(schema["maximum"]) - (1 if schema.get("exclusiveMaximum") else 0)
        return value
    if kind == "boolean":
        return True
    value = {"date": "2026-11-27", "date-time": "2026-11-27T12:00:00.000Z", "email": "user@example.com"}.get(
        str(schema.get("format")), "string"
    )
    value = value[: schema.get("maxLength", len(value))]
    return value.ljust(schema.get("minLength", 0), "s")


def _double(number: int) -> int:
    shortest = repr(float(number))
    mantissa, _, exponent = shortest.partition("e")
    if not exponent or abs(number) >= LARGEST_WRITTEN_OUT:
        return int(float(number))
    digits = mantissa.replace(".", "")
    return int(digits.ljust(int(exponent) + 1, "0"))
