"""Version 1 only grows: nothing that the last release has promised is gone, renamed, narrower or newly required."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from flask import Flask

from tests.support.contract import BASELINE, baseline, written
from tests.support.document import openapi_of
from tests.support.promise_changes import additions, breaks
from tests.support.promises import promises_of

# Changes that break a client all the same, in the words of the test, and the reason why they are made. A release
# makes them part of the contract, so the list is empty after it.
EXCEPTIONS: dict[str, str] = {}

Document = dict[str, Any]


def test_version_1_only_grows(app: Flask) -> None:
    """`python -m tests.support.contract` prints what has changed, and what a line of the change log has to say."""
    found = breaks(baseline(), promises_of(openapi_of(app)))
    assert [change for change in found if change not in EXCEPTIONS] == []
    assert [change for change in EXCEPTIONS if change not in found] == [], "This exception is of no use any more."


def test_the_contract_is_written_as_it_is_read() -> None:
    assert written(baseline()) == BASELINE.read_text()


# --- a small document, and everything that could happen to it ---------------------


def reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def parameter(name: str, schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema, **more}


BOOK_PARTS = {
    "authors": {"type": "array", "items": {"type": "string"}},
    "id": {"type": "integer", "format": "int64"},
    "kind": reference("Kind"),
    "note": {"type": ["string", "null"]},
}
BEFORE: Document = {
    "paths": {
        "/books": {
            "get": {
                "operationId": "list_books",
                "tags": ["books"],
                "security": [],
                "parameters": [
                    parameter("kind", {"type": "array", "items": reference("Kind")}, explode=True),
                    parameter("limit", {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}),
                    parameter("since", {"type": "string", "minLength": 3}),
                ],
                "responses": {
                    "200": {
                        "headers": {"ETag": {"schema": {"type": "string"}}},
                        "content": {"application/json": {"schema": {"type": "array", "items": reference("Book")}}},
                    },
                    "404": {"$ref": "#/components/responses/NotFound"},
                },
            },
            "post": {
                "operationId": "create_book",
                "tags": ["books"],
                "security": [{"Bearer": []}, {"ApiKey": []}],
                "requestBody": {
                    "required": False,
                    "content": {
                        "application/json": {"schema": reference("BookCreate")},
                        "text/csv": {"schema": {"type": "string"}},
                    },
                },
                "responses": {"201": {"content": {"application/json": {"schema": reference("Book")}}}},
            },
        }
    },
    "servers": [{"url": "/api"}],
    "components": {
        "securitySchemes": {
            "Bearer": {"type": "http", "scheme": "bearer", "description": "A token."},
            "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        },
        "responses": {
            "NotFound": {
                "content": {
                    "application/json": {"schema": {"type": "object"}},
                    "application/problem+json": {"schema": {"type": "object"}},
                }
            }
        },
        "schemas": {
            "Kind": {"type": "string", "enum": ["novel", "poem"]},
            "Book": {"type": "object", "required": ["id", "note"], "properties": BOOK_PARTS},
            "BookCreate": {
                "type": "object",
                "required": ["title"],
                "properties": {
                    "title": {"type": "string", "minLength": 1, "maxLength": 100, "pattern": "^a"},
                    "note": {"type": ["string", "null"]},
                    "kind": {"anyOf": [reference("Kind"), {"type": "null"}]},
                    "tags": {"type": "array", "items": {"type": "string", "maxLength": 10}},
                    "price": {"type": "number", "exclusiveMaximum": 10},
                    "due": {"type": "string"},
                    "extra": {"type": "object"},
                },
            },
        },
    },
}


def operation(document: Document, verb: str = "get") -> Document:
    found: Document = document["paths"]["/books"][verb]
    return found


def schema(document: Document, name: str, *properties: str) -> Document:
    found: Document = document["components"]["schemas"][name]
    for one in properties:
        found = found["properties"][one]
    return found


def limit(document: Document) -> Document:
    found: Document = operation(document)["parameters"][1]
    return found


def shared(document: Document) -> Document:
    found: Document = document["components"]["responses"]["NotFound"]["content"]
    return found


def sent(document: Document) -> Document:
    found: Document = operation(document, "post")["requestBody"]
    return found


def rename(document: Document) -> None:
    schemas = document["components"]["schemas"]
    schemas["NewBook"] = schemas.pop("BookCreate")
    sent(document)["content"]["application/json"]["schema"] = reference("NewBook")


def key(document: Document) -> Document:
    found: Document = document["components"]["securitySchemes"]["ApiKey"]
    return found


def key_by(name: str) -> str:
    return f"{{'type': 'apiKey', 'in': 'header', 'name': '{name}'}}"


BREAKING: dict[str, Callable[[Document], object]] = {
    f"ApiKey: was {key_by('X-API-Key')} and is {key_by('X-Key')}": lambda d: key(d).update(name="X-Key"),
    "base: was {'name': ['/api']} and is {'name': ['/v1']}": lambda d: d.update(servers=[{"url": "/v1"}]),
    "create_book: post /books is gone": lambda d: d["paths"]["/books"].pop("post"),
    "list_books: is now called get_books": lambda d: operation(d).update(operationId="get_books"),
    "list_books: has not the tag books any more": lambda d: operation(d).update(tags=["library"]),
    "list_books: is not reached by anybody any more": lambda d: operation(d).update(security=[{"Bearer": []}]),
    "create_book: is not reached by ApiKey any more": lambda d: operation(d, "post")["security"].pop(),
    "list_books input: 'query limit' is gone": lambda d: operation(d)["parameters"].pop(1),
    "list_books input: 'query limit' is required now": lambda d: limit(d).update(required=True),
    "list_books input: 'query more' is required now": lambda d: operation(d)["parameters"].append(
        parameter("more", {"type": "string"}, required=True)
    ),
    "list_books input 'query limit': maximum was 100 and is 50": lambda d: limit(d)["schema"].update(maximum=50),
    "list_books input 'query limit': minimum was 1 and is 2": lambda d: limit(d)["schema"].update(minimum=2),
    "list_books input 'query limit': default was 20 and is 50": lambda d: limit(d)["schema"].update(default=50),
    "list_books input 'query limit': integer is not taken any more": lambda d: limit(d)["schema"].update(type="string"),
    "list_books input 'query limit': has the format int32 now": lambda d: limit(d)["schema"].update(format="int32"),
    "list_books input 'query limit': has the multipleOf 5 now": lambda d: limit(d)["schema"].update(multipleOf=5),
    "list_books input 'query since': has the default today now": lambda d: operation(d)["parameters"][2][
        "schema"
    ].update(default="today"),
    "list_books input 'query kind': may not be repeated any more": lambda d: operation(d)["parameters"][0].update(
        explode=False
    ),
    "list_books input 'query kind' items: $ref was 'Kind' and is 'Book'": lambda d: operation(d)["parameters"][0][
        "schema"
    ].update(items=reference("Book")),
    "list_books output: '404' is gone": lambda d: operation(d)["responses"].pop("404"),
    "list_books output '404': 'application/problem+json' is gone": lambda d: shared(d).pop("application/problem+json"),
    "list_books output '200': 'header ETag' is gone": lambda d: operation(d)["responses"]["200"]["headers"].clear(),
    "create_book input: 'body' is required now": lambda d: sent(d).update(required=True),
    "create_book input 'body': 'text/csv' is gone": lambda d: sent(d)["content"].pop("text/csv"),
    "BookCreate: the schema is gone": rename,
    "Kind: the value 'poem' is gone": lambda d: schema(d, "Kind")["enum"].pop(),
    "Book: 'note' is gone": lambda d: schema(d, "Book")["properties"].pop("note"),
    "Book: 'note' may be missing now": lambda d: schema(d, "Book")["required"].pop(),
    "Book 'id': may be null now": lambda d: schema(d, "Book", "id").update(type=["integer", "null"]),
    "Book 'id': format was 'int64' and is None": lambda d: schema(d, "Book", "id").pop("format"),
    "Book 'kind': may be null now": lambda d: schema(d, "Book")["properties"].update(
        kind={"anyOf": [reference("Kind"), {"type": "null"}]}
    ),
    "BookCreate: 'note' is required now": lambda d: schema(d, "BookCreate")["required"].append("note"),
    "BookCreate: other properties are not taken any more": lambda d: schema(d, "BookCreate").update(
        additionalProperties=False
    ),
    "BookCreate 'note': null is not taken any more": lambda d: schema(d, "BookCreate", "note").update(type="string"),
    "BookCreate 'kind': null is not taken any more": lambda d: schema(d, "BookCreate")["properties"].update(
        kind=reference("Kind")
    ),
    "BookCreate 'title': the pattern is another": lambda d: schema(d, "BookCreate", "title").update(pattern="^b"),
    "BookCreate 'title': maxLength was 100 and is 90": lambda d: schema(d, "BookCreate", "title").update(maxLength=90),
    "BookCreate 'note': maxLength was None and is 9": lambda d: schema(d, "BookCreate", "note").update(maxLength=9),
    "BookCreate 'price': exclusiveMaximum was 10 and is 9": lambda d: schema(d, "BookCreate", "price").update(
        exclusiveMaximum=9
    ),
    "BookCreate 'price': number is not taken any more": lambda d: schema(d, "BookCreate", "price").update(
        type="integer"
    ),
    "BookCreate 'extra': minProperties was None and is 1": lambda d: schema(d, "BookCreate", "extra").update(
        minProperties=1
    ),
    "BookCreate 'tags': maxItems was None and is 5": lambda d: schema(d, "BookCreate", "tags").update(maxItems=5),
    "BookCreate 'tags': entries must be unique now": lambda d: schema(d, "BookCreate", "tags").update(uniqueItems=True),
    "BookCreate 'tags' items: maxLength was 10 and is 5": lambda d: schema(d, "BookCreate", "tags")["items"].update(
        maxLength=5
    ),
    "BookCreate 'extra': additionalProperties are restricted now": lambda d: schema(d, "BookCreate", "extra").update(
        additionalProperties={"type": "integer"}
    ),
    "Book 'authors': items may be anything now": lambda d: schema(d, "Book", "authors").pop("items"),
    "BookCreate 'due': is one of some words now": lambda d: schema(d, "BookCreate", "due").update(enum=["today"]),
}


@pytest.mark.parametrize("sentence", BREAKING)
def test_what_breaks_a_client_is_told(sentence: str) -> None:
    after = deepcopy(BEFORE)
    BREAKING[sentence](after)
    assert sentence in breaks(promises_of(BEFORE), promises_of(after))


def test_what_cannot_be_compared_is_no_promise() -> None:
    after = deepcopy(BEFORE)
    schema(after, "Book").update(oneOf=[{"type": "object"}])
    with pytest.raises(ValueError, match="oneOf"):
        promises_of(after)


ADDING: dict[str, Callable[[Document], object]] = {
    "delete_book: new operation, delete /books": lambda d: d["paths"]["/books"].update(
        delete={"operationId": "delete_book", "tags": ["books"], "security": [], "responses": {}}
    ),
    "create_book: may be reached by Csrf+Session": lambda d: operation(d, "post")["security"].append(
        {"Session": [], "Csrf": []}
    ),
    "list_books input: 'query more' is new": lambda d: operation(d)["parameters"].append(
        parameter("more", {"type": "string"})
    ),
    "list_books output: '429' is new": lambda d: operation(d)["responses"].update({"429": {}}),
    "list_books output '404': 'text/html' is new": lambda d: shared(d).update({"text/html": {"schema": {}}}),
    "list_books output '200': 'header Link' is new": lambda d: operation(d)["responses"]["200"]["headers"].update(
        Link={"schema": {"type": "string"}}
    ),
    "create_book input 'body': 'text/plain' is new": lambda d: sent(d)["content"].update(
        {"text/plain": {"schema": {}}}
    ),
    "Kind: the value 'play' is new": lambda d: schema(d, "Kind")["enum"].append("play"),
    "Book: 'pages' is new": lambda d: schema(d, "Book")["properties"].update(pages={"type": "integer"}),
    "Author: new schema": lambda d: d["components"]["schemas"].update(Author={"type": "object"}),
}
# Changes that no client has to know of.
HARMLESS: dict[str, Callable[[Document], object]] = {
    "a description": lambda d: operation(d).update(description="All books.", summary="List books"),
    "an order": lambda d: operation(d)["parameters"].reverse(),
    "a wider bound": lambda d: limit(d)["schema"].update(maximum=200, minimum=0),
    "a bound less": lambda d: schema(d, "BookCreate", "title").pop("maxLength"),
    "null where it was not taken": lambda d: schema(d, "BookCreate", "due").update(type=["string", "null"]),
    "null that is never answered": lambda d: schema(d, "Book", "note").update(type="string"),
    "a property that is always answered": lambda d: schema(d, "Book")["required"].append("kind"),
    "a property that need not be sent": lambda d: schema(d, "BookCreate")["required"].clear(),
}


@pytest.mark.parametrize("sentence", ADDING)
def test_what_is_added_is_told_and_breaks_nothing(sentence: str) -> None:
    after = deepcopy(BEFORE)
    ADDING[sentence](after)
    assert breaks(promises_of(BEFORE), promises_of(after)) == []
    assert additions(promises_of(BEFORE), promises_of(after)) == [sentence]


@pytest.mark.parametrize("change", HARMLESS)
def test_what_concerns_no_client_is_no_change(change: str) -> None:
    after = deepcopy(BEFORE)
    HARMLESS[change](after)
    assert after != BEFORE
    assert breaks(promises_of(BEFORE), promises_of(after)) == []
    assert additions(promises_of(BEFORE), promises_of(after)) == []
