"""The API reference as Markdown, made from the OpenAPI document."""

from collections.abc import Iterator
from typing import Any

from flask import Flask

from api.http.answers.models import error_out
from api.http.answers.refusals import ERROR, REFUSALS

VERBS = ("get", "post", "put", "patch", "delete")

INTRODUCTION = """\
# API reference

Made from the OpenAPI document by `manage.py reference > docs/api.md`; do not edit.
Paths are below `/api`. The text of an operation begins with its name in clients (operationId).
Every answer that is not marked otherwise is
`{"status": "success", "data": ...}`; every error is
`{"status": "error", "error": {"message", "code", "request_id", "details"}}`.
"""


# Where each version of the document is served.
DOCUMENTS = {"3.1": "/api/openapi.json", "2.0": "/api/swagger.json"}


def document(app: Flask, version: str = "2.0") -> dict[str, Any]:
    """Return the document in OpenAPI 3.1, or in Swagger 2.0."""
    found: dict[str, Any] = app.test_client().get(DOCUMENTS[version]).get_json()
    return found


def markdown(app: Flask) -> str:
    """Return the reference of every operation and model."""
    return reference_of(document(app))


def reference_of(whole: dict[str, Any]) -> str:
    """Return the reference that a document makes."""
    lines = [INTRODUCTION, *_refusals()]
    for tag in whole["tags"]:
        lines += [f"\n## {tag['name']}\n", f"{tag.get('description', '')}.\n"]
        for path, item in whole["paths"].items():
            for verb in VERBS:
                if verb in item and item[verb]["tags"] == [tag["name"]]:
                    lines += _operation(path, verb, item[verb], item.get("parameters", []))
    lines.append("\n## Models\n")
    for name, model in sorted(whole["definitions"].items()):
        if not _is_envelope(name):
            lines += _model(name, model)
    return "\n".join(lines).rstrip() + "\n"


def _operation(path: str, verb: str, operation: dict[str, Any], shared: list[dict[str, Any]]) -> Iterator[str]:
    yield f"\n### {verb.upper()} {path}\n"
    yield f"`{operation['operationId']}`: {operation['summary']}.\n"
    if operation.get("description"):
        yield f"{operation['description']}\n"
    if operation["security"] == []:
        yield "Public.\n"
    parameters = [*shared, *operation.get("parameters", [])]
    for parameter in parameters:
        if parameter["in"] == "body":
            yield f"- body: {_type(parameter['schema'])}"
        else:
            kind = _type(parameter) + (
                ", required" if parameter["in"] == "formData" and parameter.get("required") else ""
            )
            text = parameter.get("description", "") + _choices(parameter)
            yield f"- {parameter['in']} `{parameter['name']}` ({kind}): {text}"
    refused = []
    for code, answer in sorted(operation["responses"].items()):
        if int(code) >= 400 and answer.get("schema") == ERROR:
            refused.append(code)
            continue
        body = f" {_type(answer['schema'])}." if "schema" in answer else ""
        headers = "".join(f" `{name}`: {header['description']}" for name, header in answer.get("headers", {}).items())
        yield f"- **{code}** {answer['description']}{body}{headers}"
    yield f"- refused with {', '.join(refused)}"


def _refusals() -> Iterator[str]:
    """Say once what each error code means, as the operations do."""
    yield "\n| code | meaning |"
    yield "|---|---|"
    for code, meaning in REFUSALS.items():
        yield f"| {code} | {meaning} |"


def _model(name: str, model: dict[str, Any]) -> Iterator[str]:
    yield f"\n### {name}\n"
    yield "| field | type | meaning |"
    yield "|---|---|---|"
    required = model.get("required", [])
    for field, schema in model["properties"].items():
        mark = "" if field in required else " (optional)"
        meaning = schema.get("description", "")
        yield f"| `{field}`{mark} | {_type(schema)} | {meaning}{_choices(schema)} |"


def _is_envelope(name: str) -> bool:
    return name.endswith(("Page", "Response")) and name != error_out.name


def _choices(schema: dict[str, Any]) -> str:
    return f" One of {', '.join(f'`{choice}`' for choice in schema['enum'])}." if "enum" in schema else ""


def _link(name: str) -> str:
    return f"[{name}](#{name.lower()})"


def _type(schema: dict[str, Any]) -> str:
    """Return a short name of a type, with its bounds."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        # An envelope is named after what it holds.
        if name.endswith("Page"):
            return f"list of {_link(name.removesuffix('Page'))}"
        if name == "AnyValueResponse":
            return "any JSON value"
        return _link(name.removesuffix("Response"))
    if "allOf" in schema:
        return _type(schema["allOf"][0])
    if schema.get("x-any-type"):
        return "any JSON value"
    if schema["type"] == "array":
        return f"list of {_type(schema['items'])}"
    text = str(schema["type"]) + (f" {schema['format']}" if "format" in schema else "")
    for low, high in (("minLength", "maxLength"), ("minimum", "maximum")):
        if high in schema:
            text += f", {schema.get(low, 0)} to {schema[high]}"
        elif low in schema:
            text += f", {schema[low]} or more"
    return text + (" or null" if schema.get("x-nullable") else "")
