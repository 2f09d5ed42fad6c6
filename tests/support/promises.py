"""Contract of version 1: everything in the OpenAPI document that a client may rely on."""

import hashlib
from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]
Contract = dict[str, dict[str, Any]]

VERBS = ("get", "post", "put", "patch", "delete")
# Words for readers, and names that follow from others: no client is told anything by them.
_PROSE = {"description", "summary", "example", "examples", "title", "x-enum-varnames"}
# Ways to put schemas together that the document does not have.
_NOT_COMPARED = {"allOf", "oneOf", "not", "if", "patternProperties"}
_PUBLIC = "anybody"
INPUT, OUTPUT = "input", "output"


def promises_of(document: Mapping[str, Any]) -> Contract:
    """Return what a document of OpenAPI 3.1 promises.

    What an operation takes and what it answers are schemas, too: a parameter is a property of its input, a
    status one of its output. So one comparison does for all.
    """
    schemas = {name: _plain(schema) for name, schema in document["components"]["schemas"].items()}
    operations = {}
    for path, item in document["paths"].items():
        for verb in (verb for verb in VERBS if verb in item):
            operation = item[verb]
            parameters = [*item.get("parameters", []), *operation.get("parameters", [])]
            operations[operation["operationId"]] = {
                "at": f"{verb} {path}",
                # Generators make a class or a folder of each.
                "tags": operation["tags"],
                "security": ["+".join(sorted(way)) for way in operation["security"]] or [_PUBLIC],
                INPUT: _input(parameters, operation.get("requestBody")),
                OUTPUT: _output(operation["responses"], document["components"]["responses"]),
            }
    for name in schemas:
        schemas[name]["used as"] = []
    for direction in (INPUT, OUTPUT):
        for name in _reached([operation[direction] for operation in operations.values()], schemas):
            schemas[name]["used as"].append(direction)
    return {"operations": operations, "schemas": schemas, "credentials": _credentials(document)}


def _credentials(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return how each of them is sent, and, under the name of no scheme, below which path all operations are."""
    schemes = document["components"]["securitySchemes"]
    sent = {
        name: {key: one[key] for key in ("type", "scheme", "in", "name") if key in one} for name, one in schemes.items()
    }
    return {**sent, "base": {"name": [server["url"] for server in document["servers"]]}}


def _input(parameters: list[Mapping[str, Any]], body: Mapping[str, Any] | None) -> Schema:
    properties = {}
    for one in parameters:
        properties[f"{one['in']} {one['name']}"] = {
            **_plain(one["schema"]),
            **({"repeated": True} if one.get("explode") else {}),
        }
    required = [f"{one['in']} {one['name']}" for one in parameters if one["required"]]
    if body is not None:
        properties["body"] = {"properties": {name: _plain(media["schema"]) for name, media in body["content"].items()}}
        required += ["body"] if body["required"] else []
    return {"properties": properties, "required": sorted(required)}


def _output(answers: Mapping[str, Any], shared: Mapping[str, Any]) -> Schema:
    found = {}
    for code, answer in answers.items():
        whole = shared[answer["$ref"].rpartition("/")[2]] if "$ref" in answer else answer
        parts = {name: _plain(media["schema"]) for name, media in whole.get("content", {}).items()}
        parts |= {f"header {name}": _plain(header["schema"]) for name, header in whole.get("headers", {}).items()}
        found[code] = {"properties": parts}
    return {"properties": found}


def _plain(schema: Mapping[str, Any]) -> Schema:
    """Return a schema without prose: with the name alone of what it refers to, and all its types as a list."""
    if unknown := _NOT_COMPARED & schema.keys():
        raise ValueError(f"The contract does not know how to compare {', '.join(sorted(unknown))}.")
    if "anyOf" in schema:
        (only,) = (part for part in schema["anyOf"] if part != {"type": "null"})
        beside = {key: value for key, value in schema.items() if key != "anyOf"}
        return {**_plain(beside), **_plain(only), "type": ["null"]}
    plain = {key: value for key, value in schema.items() if key not in _PROSE}
    if "$ref" in plain:
        return {**plain, "$ref": plain["$ref"].rpartition("/")[2]}
    if "type" in plain:
        plain["type"] = [plain["type"]] if isinstance(plain["type"], str) else sorted(plain["type"])
    if "pattern" in plain:
        # Some are long, and all that matters is whether they change.
        plain["pattern"] = hashlib.sha256(plain["pattern"].encode()).hexdigest()[:12]
    if "const" in plain:
        plain["enum"] = [plain.pop("const")]
    for key in ("items", "additionalProperties"):
        if isinstance(plain.get(key), dict):
            plain[key] = _plain(plain[key])
    if "properties" in plain:
        plain["properties"] = {name: _plain(part) for name, part in plain["properties"].items()}
    return plain


def _reached(found: list[Schema], schemas: Mapping[str, Schema]) -> set[str]:
    """Return the names of all schemas that these refer to, directly or not."""
    reached: set[str] = set()
    while found:
        schema = found.pop()
        if schema.get("$ref") not in (None, *reached):
            reached.add(schema["$ref"])
            found.append(schemas[schema["$ref"]])
        found += schema.get("properties", {}).values()
        found += [schema[key] for key in ("items", "additionalProperties") if isinstance(schema.get(key), dict)]
    return reached
