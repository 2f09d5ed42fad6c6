"""The OpenAPI document: complete, consistent, and true of what is served."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask_restx import Namespace
from flask_restx.swagger import extract_path

from api import reference
from api.http.door.resource import SecureResource
from api.http.input.query import NO_PARAMETERS
from api.http.input.takes import input_of
from core.platform.access import Permission
from core.platform.config.load import ROOT
from tests.support.document import document_of
from tests.support.people import Person

VERBS = ("get", "post", "put", "patch", "delete")


def operations(app: Flask) -> list[tuple[str, str, dict[str, Any]]]:
    paths = document_of(app)["paths"]
    return [(path, verb, item[verb]) for path, item in paths.items() for verb in VERBS if verb in item]


def test_every_route_is_documented_and_nothing_else(app: Flask) -> None:
    routes = {
        (extract_path(rule.rule).removeprefix("/api"), method.lower())
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/v1/")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert {(path, verb) for path, verb, _ in operations(app)} == routes


def test_every_operation_is_described_with_models_codes_and_security(app: Flask) -> None:
    ids = set()
    for path, verb, operation in operations(app):
        where = f"{verb} {path}"
        assert operation["summary"][0].isupper(), where
        assert operation["operationId"] not in ids, where
        ids.add(operation["operationId"])
        codes = set(operation["responses"])
        assert any(code.startswith("2") for code in codes), where
        assert {"400", "413", "500"} <= codes, where
        for code, answer in operation["responses"].items():
            assert answer["description"].endswith("."), where
            assert ("schema" in answer) == (code not in ("204", "304")), where
        is_public = operation["security"] == []
        assert is_public or {"401"} <= codes, where
        has_body = any(parameter["in"] in ("body", "formData") for parameter in operation.get("parameters", []))
        assert "415" in codes, where
        assert "422" in codes or not has_body, where
        if codes & {"201", "202"}:
            code = (codes & {"201", "202"}).pop()
            assert "Location" in operation["responses"][code]["headers"], where


def test_every_parameter_has_a_type_and_a_meaning(app: Flask) -> None:
    for path, item in document_of(app)["paths"].items():
        shared = item.get("parameters", [])
        for verb in set(item) & set(VERBS):
            for parameter in [*shared, *item[verb].get("parameters", [])]:
                where = f"{verb} {path} {parameter['name']}"
                assert parameter["in"] in ("path", "query", "header", "body", "formData"), where
                assert "schema" in parameter or parameter["type"], where
                assert parameter["in"] == "body" or parameter.get("description"), where


def test_every_reference_leads_somewhere_and_every_property_has_a_type(app: Flask) -> None:
    definitions = document_of(app)["definitions"]

    def references(part: Any) -> list[str]:
        if isinstance(part, dict):
            own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
            return own + [found for value in part.values() for found in references(value)]
        return [found for value in part for found in references(value)] if isinstance(part, list) else []

    for target in references(document_of(app)):
        assert target.removeprefix("#/definitions/") in definitions
    for name, definition in definitions.items():
        for field, schema in definition["properties"].items():
            kinds = schema.keys() & {"type", "$ref", "allOf", "x-any-type"}
            assert kinds, f"{name}.{field}"


def test_every_body_can_be_tried_out_from_its_example(app: Flask) -> None:
    definitions = document_of(app)["definitions"]
    bare = set()
    for path, verb, operation in operations(app):
        for parameter in operation.get("parameters", []):
            if parameter["in"] == "body" and "$ref" in parameter["schema"]:
                model = definitions[parameter["schema"]["$ref"].rpartition("/")[2]]
                for name in model.get("required", []):
                    schema = model["properties"][name]
                    if not ({"example", "enum", "default", "$ref", "allOf"} & set(schema) or "items" in schema):
                        bare.add(f"{verb} {path}: {name}")
    assert bare == set()


def test_a_form_with_a_file_can_be_tried_out(app: Flask) -> None:
    operation = document_of(app)["paths"]["/v1/imports"]["post"]
    assert operation["consumes"] == ["multipart/form-data"]
    parts = {parameter["name"]: parameter for parameter in operation["parameters"] if parameter["in"] != "header"}
    assert {part["in"] for part in parts.values()} == {"formData"}
    assert (parts["file"]["type"], parts["file"]["required"]) == ("file", True)
    assert parts["kind"]["enum"] == ["tasks", "posts", "items", "users"]
    assert parts["format"]["enum"] == ["csv", "json", "jsonl"]
    assert parts["dry_run"]["type"] == "boolean"
    assert parts["on_error"]["enum"] == ["abort", "skip"]


def test_the_authorize_dialog_can_log_in(app: Flask, ada: Person) -> None:
    document = document_of(app)
    dialog = document["securityDefinitions"]["Password"]
    assert (dialog["type"], dialog["flow"]) == ("oauth2", "password")
    # A whole URL, which some validators insist on, of the host that was asked.
    assert dialog["tokenUrl"] == "http://localhost/api/v1/auth/login"
    elsewhere = app.test_client().get("/api/swagger.json", base_url="https://tasks.example.com").get_json()
    assert elsewhere["securityDefinitions"]["Password"]["tokenUrl"] == "https://tasks.example.com/api/v1/auth/login"
    assert document["securityDefinitions"]["Bearer"]["in"] == "header"
    assert document["securityDefinitions"]["ApiKey"]["name"] == "X-API-Key"
    assert document["paths"]["/v1/tasks"]["post"]["security"] == [{"Password": []}, {"Bearer": []}, {"ApiKey": []}]
    assert document["paths"]["/v1/auth/keys"]["post"]["security"] == [{"Password": []}, {"Bearer": []}]
    assert document["paths"]["/v1/welcome"]["get"]["security"] == []


def test_list_parameters_show_their_bounds_and_choices(app: Flask) -> None:
    parameters = {p["name"]: p for p in document_of(app)["paths"]["/v1/tasks"]["get"]["parameters"]}
    assert parameters["per_page"]["maximum"] == 100
    assert parameters["status"]["items"]["enum"] == ["pending", "in_progress", "completed", "cancelled"]
    assert parameters["overdue"]["type"] == "boolean"
    assert "due_date[gte]" in parameters


def test_a_verb_without_a_permission_fails_at_import() -> None:
    with pytest.raises(TypeError, match=r"Forgetful\.post names no permission"):

        class Forgetful(SecureResource):
            operations = {"GET": "get_nothing"}
            permissions = {"GET": Permission.PUBLIC}

            def get(self) -> None:
                """Do nothing."""

            def post(self) -> None:
                """Do nothing either."""


def test_a_verb_without_a_name_fails_at_import() -> None:
    with pytest.raises(TypeError, match=r"Nameless\.post has no name in operations"):

        class Nameless(SecureResource):
            operations = {"GET": "get_nothing"}
            permissions = {"GET": Permission.PUBLIC, "POST": Permission.PUBLIC}

            def get(self) -> None:
                """Do nothing."""

            def post(self) -> None:
                """Do nothing either."""


def test_what_a_verb_documents_that_it_takes_is_what_the_door_reads(app: Flask) -> None:
    """Flask-RESTX has a decorator of its own, which documents a body that nothing reads."""
    seen = 0
    for function in app.view_functions.values():
        resource = getattr(function, "view_class", None)
        for name in VERBS if resource is not None and issubclass(resource, SecureResource) else ():
            verb = getattr(resource, name, None)
            takes = input_of(verb)
            read = [one for one in (takes.body, takes.form, takes.query) if one not in (None, NO_PARAMETERS)]
            assert getattr(verb, "__apidoc__", {}).get("expect", []) == read, f"{resource.__name__}.{name}"
            seen += bool(read)
    assert seen > 40


def test_the_document_is_made_of_models_with_unique_names() -> None:
    from api.v1 import NAMESPACES

    seen: dict[str, Namespace] = {}
    for namespace in NAMESPACES:
        for name in namespace.models:
            assert name not in seen, f"{name} is defined in {namespace.name} and {seen[name].name}"
            seen[name] = namespace


def test_the_written_reference_is_the_one_made_from_the_document(app: Flask) -> None:
    """Refresh it by `manage.py reference > docs/api.md`."""
    assert (ROOT / "docs" / "api.md").read_text() == reference.markdown(app)


def test_no_setting_changes_the_document(app: Flask, remake_app: Callable[..., Flask]) -> None:
    """So tests hold the answers of every application against one."""
    other = remake_app(ratelimit_enabled=True, metrics__enabled=True, cors_origins=["https://a.b"])
    assert other.test_client().get("/api/swagger.json").get_json() == document_of(app)
