"""The document in OpenAPI 3.1: valid, and the same as that in Swagger 2.0 wherever both can say it."""

import gzip
import re
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from flask import Flask

from api.v1 import document as documents
from api.v1.names import ENUM_NAMES
from tests.support.document import document_of, openapi_of

VERBS = ("get", "post", "put", "patch", "delete")
ERROR, PROBLEM = "application/json", "application/problem+json"


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the operations by method and path, each with the parameters of its path."""
    return {
        f"{verb} {path}": {**item[verb], "parameters": [*item.get("parameters", []), *item[verb].get("parameters", [])]}
        for path, item in document["paths"].items()
        for verb in VERBS
        if verb in item
    }


def answers(document: dict[str, Any], operation: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what an operation may answer, references followed."""
    shared = document["components"]["responses"]
    return {
        code: shared[answer["$ref"].rpartition("/")[2]] if "$ref" in answer else answer
        for code, answer in operation["responses"].items()
    }


def parts(value: Any) -> list[dict[str, Any]]:
    """Return every object in a document, at whatever depth."""
    if isinstance(value, list):
        return [part for entry in value for part in parts(entry)]
    return [value, *parts(list(value.values()))] if isinstance(value, dict) else []


def test_the_document_is_valid_by_the_schema_of_the_specification(app: Flask) -> None:
    # Here and not above, because each worker of the suite loads this file, and one of them runs it.
    import schemathesis

    document = deepcopy(openapi_of(app))
    schemathesis.openapi.from_dict(document).validate()
    document["paths"]["/v1/tasks"]["get"]["parameters"][0]["in"] = "nowhere"
    with pytest.raises(Exception, match="nowhere"):
        schemathesis.openapi.from_dict(document).validate()


def test_both_documents_have_the_same_operations_parameters_bodies_and_codes(app: Flask) -> None:
    old, new = document_of(app), openapi_of(app)
    said, said_anew = operations(old), operations(new)
    assert said_anew.keys() == said.keys()
    assert [tag["name"] for tag in new["tags"]] == [tag["name"] for tag in old["tags"]]
    for name, operation in said.items():
        other = said_anew[name]
        for key in ("operationId", "summary", "description", "tags", "deprecated"):
            assert operation.get(key) == other.get(key), (name, key)
        assert set(operation["responses"]) == set(other["responses"]), name
        sent = {(one["in"], one["name"]): one for one in operation["parameters"]}
        named = {(one["in"], one["name"]): one for one in other["parameters"]}
        assert {place for place in sent if place[0] not in ("body", "formData")} == set(named), name
        for place, parameter in named.items():
            assert parameter["required"] == sent[place].get("required", False), (name, place)
            assert parameter.get("description") == sent[place].get("description"), (name, place)
        types = set(other.get("requestBody", {}).get("content", {}))
        has_body = any(where in ("body", "formData") for where, _ in sent)
        assert types == (set(operation.get("consumes", old["consumes"])) if has_body else set()), name


def test_every_operation_has_a_name_that_reads_well_in_every_language(app: Flask) -> None:
    """A verb, and mostly its noun, in snake case, from which generators make their own."""
    names = [operation["operationId"] for operation in operations(openapi_of(app)).values()]
    assert [name for name in names if not re.fullmatch(r"[a-z]+(_[a-z]+)+", name)] == []
    assert len(set(names)) == len(names)
    assert {"list_tasks", "create_task", "get_task", "replace_task", "update_task", "delete_task"} <= set(names)
    assert openapi_of(app)["tags"][0]["name"] == "tasks"


def test_every_model_has_the_same_properties_in_both_and_null_where_it_may_be(app: Flask) -> None:
    old, new = document_of(app)["definitions"], openapi_of(app)["components"]["schemas"]
    seen = 0
    for name, model in old.items():
        assert new[name].get("required") == model.get("required"), name
        assert new[name]["properties"].keys() == model["properties"].keys(), name
        for key, schema in model["properties"].items():
            other = new[name]["properties"][key]
            may_be_null = "null" in other.get("type", []) or {"type": "null"} in other.get("anyOf", [])
            assert may_be_null == schema.get("x-nullable", False), f"{name}.{key}"
            seen += may_be_null
    assert seen > 40
    assert set(new) - set(old) == {*ENUM_NAMES.values(), "Problem"}


def test_every_enum_is_a_component_with_a_name_of_its_own(app: Flask) -> None:
    schemas = openapi_of(app)["components"]["schemas"]
    enums = [part for part in parts(openapi_of(app)) if isinstance(part.get("enum"), list)]
    assert {id(one) for one in enums} == {id(schema) for schema in schemas.values() if "enum" in schema}
    assert sorted(name for name, schema in schemas.items() if "enum" in schema) == sorted(ENUM_NAMES.values())
    assert schemas["TaskStatus"]["enum"] == ["pending", "in_progress", "completed", "cancelled"]
    assert schemas["TaskSort"]["x-enum-varnames"][:2] == ["ASSIGNEE_ID", "ASSIGNEE_ID_DESC"]
    for schema in schemas.values():
        names = schema.get("x-enum-varnames", [])
        assert len(set(names)) == len(names)


def test_nothing_is_left_of_the_words_of_swagger_2(app: Flask) -> None:
    for part in parts(openapi_of(app)):
        assert not part.keys() & {"x-nullable", "x-any-type", "x-example", "collectionFormat", "definitions"}
        assert not isinstance(part.get("exclusiveMaximum", 0), bool)
        assert part.get("type") != "file"


def test_every_error_is_there_as_problem_too(app: Flask) -> None:
    document = openapi_of(app)
    for name, operation in operations(document).items():
        for code, answer in answers(document, operation).items():
            if code >= "400" and (name, code) != ("get /v1/health/ready", "503"):
                assert answer["content"].keys() == {ERROR, PROBLEM}, (name, code)
                assert answer["content"][PROBLEM]["schema"] == {"$ref": "#/components/schemas/Problem"}


def test_a_list_is_repeated_and_nothing_else_is(app: Flask) -> None:
    for name, operation in operations(openapi_of(app)).items():
        for parameter in operation["parameters"]:
            is_list = parameter["schema"].get("type") == "array"
            assert parameter.get("explode", False) == is_list, (name, parameter["name"])


def test_who_may_come_in_is_said_at_the_root_and_the_cookie_has_its_token(app: Flask) -> None:
    document = openapi_of(app)
    ways = document["components"]["securitySchemes"]
    assert {name: way["type"] for name, way in ways.items()} == {
        "Password": "oauth2",
        "Bearer": "http",
        "ApiKey": "apiKey",
        "Session": "apiKey",
        "CsrfToken": "apiKey",
    }
    assert (ways["Session"]["in"], ways["Session"]["name"]) == ("cookie", "tasklane_session")
    read = [{"Password": []}, {"Bearer": []}, {"ApiKey": []}, {"Session": []}]
    assert document["security"] == document["paths"]["/v1/tasks"]["get"]["security"] == read
    assert document["paths"]["/v1/tasks"]["post"]["security"][-1] == {"Session": [], "CsrfToken": []}
    assert document["paths"]["/v1/welcome"]["get"]["security"] == []
    assert document_of(app)["security"] == read[:-1]


@pytest.mark.parametrize("path", ["/api/openapi.json", "/api/swagger.json"])
def test_a_document_is_the_same_until_it_changes(app: Flask, path: str) -> None:
    client = app.test_client()
    first = client.get(path)
    assert (first.status_code, first.mimetype) == (200, "application/json")
    assert first.headers["Cache-Control"] == "public, no-cache"
    again = client.get(path)
    assert (again.data, again.headers["ETag"]) == (first.data, first.headers["ETag"])
    unchanged = client.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (unchanged.status_code, unchanged.data) == (304, b"")
    # As a proxy weakens it that compresses the answer.
    assert client.get(path, headers={"If-None-Match": f"W/{first.headers['ETag']}"}).status_code == 304
    assert client.head(path).headers["ETag"] == first.headers["ETag"]


@pytest.mark.parametrize("path", ["/api/openapi.json", "/api/swagger.json"])
def test_a_document_is_sent_in_a_tenth_of_its_size_to_who_takes_that(app: Flask, path: str) -> None:
    client = app.test_client()
    whole = client.get(path, headers={"Accept-Encoding": "br, gzip;q=0"})
    short = client.get(path, headers={"Accept-Encoding": "gzip, br"})
    assert "Content-Encoding" not in whole.headers
    assert short.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(short.data) == whole.data
    assert len(short.data) * 10 < len(whole.data)
    assert whole.headers["Vary"] == short.headers["Vary"] == "Accept-Encoding"
    assert whole.headers["ETag"] != short.headers["ETag"]
    again = client.get(path, headers={"Accept-Encoding": "gzip", "If-None-Match": short.headers["ETag"]})
    assert (again.status_code, again.data, again.headers["Vary"]) == (304, b"", "Accept-Encoding")


def test_a_process_converts_the_document_once(
    remake_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    convert = documents.convert
    monkeypatch.setattr(documents, "convert", lambda *args: made.append(1) or convert(*args))
    client = remake_app().test_client()
    for host in ("a.example", "b.example", "a.example"):
        assert client.get("/api/openapi.json", base_url=f"https://{host}").status_code == 200
    assert len(made) == 1


def test_the_documents_say_where_they_are_behind_another_path_and_host(app: Flask) -> None:
    client = app.test_client()
    place = {"base_url": "https://work.example.com/tasklane"}
    document = client.get("/api/openapi.json", **place).get_json()
    assert document["servers"] == [{"url": "/tasklane/api"}]
    flow = document["components"]["securitySchemes"]["Password"]["flows"]["password"]
    assert flow["tokenUrl"] == "https://work.example.com/tasklane/api/v1/auth/login"
    assert client.get("/api/swagger.json", **place).get_json()["basePath"] == "/tasklane/api"
    # Nobody else may say so: no setting makes a proxy trusted in this.
    asked = client.get("/api/openapi.json", headers={"X-Forwarded-Prefix": "/elsewhere", "X-Script-Name": "/elsewhere"})
    assert asked.get_json()["servers"] == openapi_of(app)["servers"] == [{"url": "/api"}]
