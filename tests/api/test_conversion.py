"""The converter: a small document of Swagger 2.0, and what OpenAPI 3.1 says in its place."""

from copy import deepcopy
from typing import Any

import pytest

from api.http.openapi.convert import Additions, convert
from api.http.openapi.enums import named
from api.http.openapi.schemas import schema

BOOK = {"$ref": "#/definitions/Book"}
SAMPLE = {"status": "error", "error": {"code": "not_found", "message": "There is none."}}
NOT_FOUND = {
    "description": "There is none.",
    "schema": {"$ref": "#/definitions/ErrorResponse"},
    "examples": {"application/json": SAMPLE},
}
OLD: dict[str, Any] = {
    "swagger": "2.0",
    "info": {"title": "Books", "version": "1"},
    "basePath": "/api",
    "consumes": ["application/json"],
    "security": [{"Password": []}, {"Bearer": []}],
    "tags": [{"name": "books"}, {"name": "authors"}],
    "definitions": {
        "Book": {
            "type": "object",
            "properties": {"kind": {"type": "string", "enum": ["novel", "poem"]}, "title": {"type": "string"}},
        },
        "ErrorResponse": {"type": "object", "properties": {}},
    },
    "paths": {
        "/authors": {
            "get": {
                "operationId": "list_authors",
                "tags": ["authors"],
                "responses": {"200": {"description": "All."}, "404": NOT_FOUND},
            }
        },
        "/books/{id}": {
            "parameters": [{"name": "id", "in": "path", "required": True, "type": "integer", "x-example": 1}],
            "patch": {
                "operationId": "update_book",
                "tags": ["books"],
                "security": [{"Password": []}, {"Bearer": []}],
                "consumes": ["application/json", "application/merge-patch+json"],
                "parameters": [{"name": "payload", "in": "body", "required": True, "schema": BOOK}],
                "responses": {
                    "200": {
                        "description": "Changed.",
                        "schema": BOOK,
                        "headers": {"ETag": {"type": "string", "description": "Its state."}},
                    },
                    "404": NOT_FOUND,
                },
            },
            "get": {
                "operationId": "download_book",
                "tags": ["books"],
                "security": [{"Password": []}, {"Bearer": []}],
                "parameters": [
                    {
                        "name": "sort",
                        "in": "query",
                        "type": "array",
                        "collectionFormat": "multi",
                        "items": {"type": "string", "enum": ["id", "-id"]},
                    },
                    {"name": "page", "in": "query", "type": "integer", "minimum": 1},
                ],
                "responses": {
                    "200": {"description": "The book.", "schema": {"type": "file"}},
                    "404": {**NOT_FOUND, "description": "It is lost."},
                },
            },
            "post": {
                "operationId": "upload_book",
                "tags": ["books"],
                "security": [],
                "parameters": [
                    {"name": "file", "in": "formData", "type": "file", "required": True, "description": "The text."},
                    {"name": "kind", "in": "formData", "type": "string", "enum": ["novel", "poem"]},
                ],
                "responses": {"204": {"description": "Done."}},
            },
        },
    },
}


@pytest.fixture(scope="module")
def new() -> dict[str, Any]:
    before = deepcopy(OLD)
    made = convert(OLD, Additions(enum_names={"Book.kind": "BookKind", "download_book.sort": "BookSort"}))
    assert before == OLD, "What is converted stays as it was."
    return made


@pytest.mark.parametrize(
    ("old", "said_anew"),
    [
        ({"type": "string", "x-nullable": True}, {"type": ["string", "null"]}),
        ({"x-any-type": True, "description": "Any."}, {"description": "Any."}),
        ({"type": "string", "enum": ["ok"]}, {"type": "string", "const": "ok"}),
        (
            {"type": "string", "enum": ["a", "b"], "default": "a"},
            {"$ref": "#/components/schemas/Letter", "default": "a"},
        ),
        (
            {"type": "string", "enum": ["a", "b"], "x-nullable": True, "description": "One."},
            {"anyOf": [{"$ref": "#/components/schemas/Letter"}, {"type": "null"}], "description": "One."},
        ),
        ({"allOf": [BOOK], "description": "It."}, {"$ref": "#/components/schemas/Book", "description": "It."}),
        (
            {"allOf": [BOOK], "x-nullable": True},
            {"anyOf": [{"$ref": "#/components/schemas/Book"}, {"type": "null"}]},
        ),
        ({"type": "integer", "example": None}, {"type": "integer", "examples": [None]}),
        (
            {"type": "number", "minimum": 0, "exclusiveMinimum": False, "maximum": 9, "exclusiveMaximum": True},
            {"type": "number", "minimum": 0, "exclusiveMaximum": 9},
        ),
        (
            {"type": "array", "items": {"type": "string", "x-nullable": True}},
            {"type": "array", "items": {"type": ["string", "null"]}},
        ),
        (
            {"type": "object", "additionalProperties": {"type": "integer", "x-nullable": True}},
            {"type": "object", "additionalProperties": {"type": ["integer", "null"]}},
        ),
        # Properties that are called like words of a schema.
        (
            {"type": "object", "properties": {"example": {"type": "string"}, "enum": {"type": "string"}}},
            {"type": "object", "properties": {"example": {"type": "string"}, "enum": {"type": "string"}}},
        ),
    ],
)
def test_a_schema_says_the_same_in_other_words(old: dict[str, Any], said_anew: dict[str, Any]) -> None:
    assert schema(old, {("a", "b"): "Letter"}) == said_anew


def test_paths_come_in_the_order_of_the_tags_and_verbs_in_that_of_people(new: dict[str, Any]) -> None:
    assert list(new["paths"]) == ["/books/{id}", "/authors"]
    assert list(new["paths"]["/books/{id}"]) == ["parameters", "get", "post", "patch"]


def test_parameters_have_a_schema_and_lists_are_repeated(new: dict[str, Any]) -> None:
    book = new["paths"]["/books/{id}"]
    assert book["parameters"] == [
        {"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}, "example": 1}
    ]
    listed, scalar = book["get"]["parameters"]
    assert listed["schema"] == {"type": "array", "items": {"$ref": "#/components/schemas/BookSort"}}
    assert (listed["explode"], listed["required"]) == (True, False)
    assert scalar == {
        "name": "page",
        "in": "query",
        "required": False,
        "schema": {"type": "integer", "minimum": 1},
    }


def test_bodies_name_each_of_their_types_and_forms_their_file(new: dict[str, Any]) -> None:
    book = new["paths"]["/books/{id}"]
    shape = {"schema": {"$ref": "#/components/schemas/Book"}}
    assert book["patch"]["requestBody"] == {
        "required": True,
        "content": {"application/json": shape, "application/merge-patch+json": shape},
    }
    form = book["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form["properties"] == {
        "file": {"type": "string", "format": "binary", "description": "The text."},
        "kind": {"$ref": "#/components/schemas/BookKind", "description": ""},
    }
    assert (form["required"], book["post"]["requestBody"]["required"]) == (["file"], True)


def test_answers_have_media_types_and_headers_a_schema(new: dict[str, Any]) -> None:
    book = new["paths"]["/books/{id}"]
    assert book["patch"]["responses"]["200"] == {
        "description": "Changed.",
        "headers": {"ETag": {"description": "Its state.", "schema": {"type": "string"}}},
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Book"}}},
    }
    assert book["get"]["responses"]["200"]["content"] == {
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}
    }
    assert book["post"]["responses"] == {"204": {"description": "Done."}}


def test_a_refusal_is_said_once_and_one_of_its_own_in_its_place(new: dict[str, Any]) -> None:
    shared = {"$ref": "#/components/responses/NotFound"}
    content = {
        "application/json": {"schema": {"$ref": "#/components/schemas/ErrorResponse"}, "example": SAMPLE},
        "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}},
    }
    book = new["paths"]["/books/{id}"]
    assert book["get"]["responses"]["404"] == {"description": "It is lost.", "content": content}
    assert book["patch"]["responses"]["404"] == shared
    assert new["paths"]["/authors"]["get"]["responses"]["404"] == shared
    assert new["components"]["responses"] == {"NotFound": {"description": "There is none.", "content": content}}


def test_the_cookie_opens_what_a_token_opens_with_its_own_token_where_something_changes(new: dict[str, Any]) -> None:
    book = new["paths"]["/books/{id}"]
    assert new["security"] == book["get"]["security"] == [{"Password": []}, {"Bearer": []}, {"Session": []}]
    assert book["patch"]["security"] == [{"Password": []}, {"Bearer": []}, {"Session": [], "CsrfToken": []}]
    assert book["post"]["security"] == []
    assert "security" not in new["paths"]["/authors"]["get"]


def test_enums_are_components_and_what_has_no_name_is_called_after_its_place(new: dict[str, Any]) -> None:
    schemas = new["components"]["schemas"]
    assert schemas["BookKind"] == {"type": "string", "enum": ["novel", "poem"]}
    assert schemas["BookSort"]["x-enum-varnames"] == ["ID", "ID_DESC"]
    assert named(OLD, {}) == {("novel", "poem"): "BookKind", ("id", "-id"): "DownloadBookSort"}


@pytest.mark.parametrize("names", [{"Book.kind": "Book"}, {"Book.kind": "Word", "download_book.sort": "Word"}])
def test_no_two_things_have_one_name(names: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"Two things of the document have one name: (Book|Word)"):
        named(OLD, names)
