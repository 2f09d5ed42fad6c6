"""A document of Swagger 2.0 as one of OpenAPI 3.1: the same operations, parameters and answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from api.http.openapi import enums, refusals, security
from api.http.openapi.enums import VERBS
from api.http.openapi.operations import Operations
from api.http.openapi.schemas import schema

Document = dict[str, Any]

VERSION = "3.1.1"


@dataclass(frozen=True, kw_only=True)
class Additions:
    """Things that a document of 3.1 says, and one of Swagger 2.0 cannot."""

    # What the enum at a place is called: `{"Task.status": "TaskStatus"}`.
    enum_names: Mapping[str, str] = field(default_factory=dict)
    # Models that no operation names, in the words of Swagger 2.0.
    definitions: Mapping[str, Any] = field(default_factory=dict)
    info: Mapping[str, Any] = field(default_factory=dict)


def convert(old: Mapping[str, Any], additions: Additions) -> Document:
    """Return the document in the words of 3.1, without its servers and its ways to say who asks."""
    names = enums.named(old, additions.enum_names)
    operations = Operations(names, consumes=old["consumes"])
    paths = {path: _path(old["paths"][path], operations) for path in _by_tags(old)}
    definitions = {**old["definitions"], **additions.definitions}
    schemas = {name: schema(model, names) for name, model in definitions.items()} | enums.components(names)
    return {
        "openapi": VERSION,
        "info": {**old["info"], **additions.info},
        "security": security.requirements("get", old["security"]),
        "tags": old["tags"],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "responses": refusals.share(paths),
        },
    }


def _path(old: Mapping[str, Any], operations: Operations) -> dict[str, Any]:
    shared = operations.parameters(old.get("parameters", []))
    verbs = {verb: operations.operation(verb, old[verb]) for verb in VERBS if verb in old}
    return {**({"parameters": shared} if shared else {}), **verbs}


def _by_tags(old: Mapping[str, Any]) -> list[str]:
    """Return the paths in the order of the tags: those first that people need first."""
    order = {tag["name"]: number for number, tag in enumerate(old["tags"])}

    def place(path: str) -> int:
        return min(
            order[tag] for verb in VERBS if verb in old["paths"][path] for tag in old["paths"][path][verb]["tags"]
        )

    return sorted(old["paths"], key=place)
