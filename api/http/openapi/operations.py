"""Operations of Swagger 2.0 as those of OpenAPI 3.1: parameters, bodies, answers."""

from collections.abc import Iterable, Mapping
from typing import Any

from api.http.answers.models import error_out, problem_out
from api.http.answers.negotiation import JSON, PROBLEM
from api.http.input.media import MULTIPART
from api.http.openapi import security
from api.http.openapi.enums import Words
from api.http.openapi.schemas import SCHEMAS, of_value, schema

Part = dict[str, Any]

BINARY = "application/octet-stream"
_KEPT = ("operationId", "summary", "description", "tags", "deprecated")
_ERROR = {"$ref": f"{SCHEMAS}{error_out.name}"}
_PROBLEM = {"$ref": f"{SCHEMAS}{problem_out.name}"}


class Operations:
    """Turns the operations of one document, whose enums have these names."""

    def __init__(self, names: Mapping[Words, str], *, consumes: list[str]) -> None:
        self._names = names
        self._consumes = consumes

    def operation(self, method: str, old: Mapping[str, Any]) -> Part:
        """Return an operation in the words of 3.1."""
        new = {key: old[key] for key in _KEPT if key in old}
        sent = {
            place: [one for one in old.get("parameters", []) if one["in"] == place] for place in ("body", "formData")
        }
        if parameters := self.parameters(one for one in old.get("parameters", []) if one["in"] not in sent):
            new["parameters"] = parameters
        if sent["body"]:
            new["requestBody"] = self._body(sent["body"][0], old.get("consumes", self._consumes))
        elif sent["formData"]:
            new["requestBody"] = self._form(sent["formData"])
        new["responses"] = {code: self._answer(answer) for code, answer in sorted(old["responses"].items())}
        if "security" in old:
            new["security"] = security.requirements(method, old["security"])
        return new

    def parameters(self, old: Iterable[Mapping[str, Any]]) -> list[Part]:
        """Return parameters of a path, a query or a header."""
        return [self._parameter(one) for one in old]

    def _parameter(self, old: Mapping[str, Any]) -> Part:
        new = {key: old[key] for key in ("name", "in", "description") if key in old}
        new["required"] = old.get("required", False)
        new["schema"] = of_value(old, self._names)
        if "x-example" in old:
            new["example"] = old["x-example"]
        if old.get("type") == "array":
            new["explode"] = old.get("collectionFormat") == "multi"
        return new

    def _body(self, old: Mapping[str, Any], types: Iterable[str]) -> Part:
        shape = schema(old["schema"], self._names)
        return {"required": old.get("required", False), "content": {name: {"schema": shape} for name in types}}

    def _form(self, parts: list[Mapping[str, Any]]) -> Part:
        described = {
            part["name"]: {"description": part.get("description", ""), **of_value(part, self._names)} for part in parts
        }
        required = [part["name"] for part in parts if part.get("required")]
        shape = {"type": "object", "properties": described, "required": required, "additionalProperties": False}
        return {"required": bool(required), "content": {MULTIPART: {"schema": shape}}}

    def _answer(self, old: Mapping[str, Any]) -> Part:
        new: Part = {"description": old["description"]}
        if old.get("headers"):
            new["headers"] = {name: self._header(header) for name, header in old["headers"].items()}
        if "schema" not in old:
            return new
        shape = schema(old["schema"], self._names)
        media = BINARY if old["schema"].get("type") == "file" else JSON
        sample = old.get("examples", {}).get(JSON)
        new["content"] = {media: {"schema": shape} if sample is None else {"schema": shape, "example": sample}}
        if shape == _ERROR:
            new["content"][PROBLEM] = {"schema": _PROBLEM}
        return new

    def _header(self, old: Mapping[str, Any]) -> Part:
        return {"description": old.get("description", ""), "schema": of_value(old, self._names)}
