"""Items: exact prices, unique SKUs, and nothing that tasks are about is lost."""

import json
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.items import service as items
from core.platform.database.session import transaction
from core.platform.errors import Invalid
from core.platform.text.json_out import dump
from core.platform.text.strict_json import parse
from core.tasks.model import Task
from tests.support.answers import data, details
from tests.support.engines import on_sqlite
from tests.support.people import Person

JSON = {"Content-Type": "application/json"}


def names(response: Any) -> list[str]:
    assert response.status_code == 200, response.text
    return [row["name"] for row in data(response)]


def post_price(person: Person, digits: str) -> Any:
    return person.post("/items", data=f'{{"name": "x", "price": {digits}}}'.encode(), headers=JSON)


def price_bytes(response: Any) -> str:
    """Return the digits of the price as they were sent."""
    assert response.status_code in (200, 201), response.text
    value: str = json.loads(response.data, parse_float=str, parse_int=str)["data"]["price"]
    return value


def attach(app: Flask, item_id: int, task_id: int) -> None:
    with app.app_context(), transaction() as session:
        session.get_one(Task, task_id).item_id = item_id


def test_a_created_item_is_answered_whole_and_lives_at_its_location(ada: Person) -> None:
    body = {"name": "  Label printer ", "price": 19.99, "description": " It jams. ", "sku": " PRT/0042 "}
    response = ada.post("/items", body)

    assert response.status_code == 201
    item = data(response)
    assert item["name"] == "Label printer"
    assert item["price"] == 19.99
    assert item["description"] == " It jams. "
    assert item["sku"] == "PRT/0042"
    assert item["created_by"] == ada.user_id
    assert item["version"] == 1
    assert item["created_at"].endswith("Z")
    assert response.headers["Location"] == f"http://localhost/api/v1/items/{item['id']}"
    assert data(ada.get(f"/items/{item['id']}")) == item
    bare = data(ada.post("/items", {"name": "x", "price": 0}))
    assert (bare["description"], bare["sku"]) == (None, None)


# --- money --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("19.99", "19.99"),
        ("0.1", "0.10"),
        ("0.30", "0.30"),
        ("0.29", "0.29"),
        ("1.15", "1.15"),
        ("4.35", "4.35"),
        ("1.005e2", "100.50"),
        ("1E2", "100.00"),
        ("1e+9", "1000000000.00"),
        ("0", "0.00"),
        ("-0", "0.00"),
        ("-0.0", "0.00"),
        ("0e-300", "0.00"),
        ("12", "12.00"),
        ("2.500000", "2.50"),
        ("999999999.99", "999999999.99"),
        ("9999999999.99", "9999999999.99"),
        ("8796093022207.99e-3", None),
        ("70368744.17", "70368744.17"),
    ],
)
def test_a_price_comes_out_as_exactly_what_went_in(ada: Person, sent: str, stored: str | None) -> None:
    response = post_price(ada, sent)
    if stored is None:
        assert details(response) == {"price": ["Must have at most two decimal places."]}
        return
    assert price_bytes(response) == stored
    assert price_bytes(ada.get(f"/items/{data(response)['id']}")) == stored
    assert f'"price":{stored},'.encode() in ada.get("/items").data


CENTS = "Must have at most two decimal places."
LIMIT = "Must be less than 10000000000."
EXPONENT = "Must not have an exponent beyond 308."


@on_sqlite
@pytest.mark.parametrize(
    ("sent", "sentences"),
    [
        ("0.001", [CENTS]),
        ("19.990000000000000000000000000000000000000000001", [CENTS]),
        ("0." + "1" * 100_000, [CENTS]),
        ("1e-300", [CENTS]),
        ("0.1e-1", None),
        ("-1", ["Must be at least 0."]),
        ("-0.01", ["Must be at least 0."]),
        ("-1e308", ["Must be at least 0."]),
        ("10000000000", [LIMIT]),
        ("10000000000.00", [LIMIT]),
        ("9999999999.991", [CENTS]),
        ("9999999999.999", [CENTS]),
        ("1e10", [LIMIT]),
        ("1e308", [LIMIT]),
        ("1e400", [EXPONENT]),
        ("1e-400", [EXPONENT]),
        ("1e999999999", [EXPONENT]),
        ("-1e999999999", [EXPONENT]),
        ("1e-999999999", [EXPONENT]),
        ("1e99999999999999999999", [EXPONENT]),
        ("1e-99999999999999999999", [EXPONENT]),
        ("9" * 400, ["Must be an integer of at most 64 bits."]),
        ("9" * 400 + ".0", [EXPONENT]),
        ('"12"', ["Must be a number."]),
        ('"19.99"', ["Must be a number."]),
        ("true", ["Must be a number."]),
        ("null", ["Must be a number."]),
        ("[1]", ["Must be a number."]),
        ("{}", ["Must be a number."]),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_price_that_cannot_be_kept_exactly_is_refused_with_a_reason(
    ada: Person, sent: str, sentences: list[str] | None
) -> None:
    response = post_price(ada, sent)
    if sentences is None:
        assert price_bytes(response) == "0.01"
        return
    assert response.status_code == 422
    assert details(response) == {"price": sentences}
    assert data(ada.get("/items")) == []


@on_sqlite
@pytest.mark.parametrize("sent", ["NaN", "Infinity", "-Infinity", "1.", ".5", "01.5", "+1", "0x10", "1_000.0", "١"])
def test_a_price_that_is_no_json_number_is_malformed(ada: Person, sent: str) -> None:
    assert post_price(ada, sent).status_code == 400


@settings(max_examples=30, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(price=st.decimals(min_value=0, max_value=Decimal("9999999999.99"), places=2))
def test_any_price_survives_creation_reading_and_change(ada: Person, price: Decimal) -> None:
    created = post_price(ada, f"{price:f}")
    path = f"/items/{data(created)['id']}"
    assert Decimal(price_bytes(created)) == price
    assert Decimal(price_bytes(ada.get(path))) == price
    ada.patch(path, {"price": 1})
    assert Decimal(price_bytes(ada.patch(path, data=f'{{"price": {price:f}}}'.encode(), headers=JSON))) == price
    assert data(ada.get(f"/items?price={price:f}"))[0]["id"] == data(created)["id"]


def test_a_price_that_is_written_differently_is_no_change(ada: Person) -> None:
    item = ada.create_item(price=5)
    response = ada.patch(f"/items/{item['id']}", data=b'{"price": 5.00}', headers=JSON)
    assert data(response)["version"] == 1


def test_the_domain_refuses_what_the_api_would_have_refused(app: Flask, ada: Person) -> None:
    """Commands and imports come in by other doors than HTTP."""
    with app.app_context():
        for digits in ("NaN", "sNaN", "Infinity", "-0.01", "0.001", "1E+10", "1E+999999999", "1E-999999999"):
            with pytest.raises(Invalid):
                items.create(ada.actor, name="x", price=Decimal(digits))
        for digits, stored in (("1E+2", "100.00"), ("-0", "0.00"), ("0E+9", "0.00"), ("1.500", "1.50")):
            assert str(items.create(ada.actor, name="x", price=Decimal(digits)).price) == stored


def test_numbers_are_exact_and_in_plain_notation_on_their_way_in_and_out() -> None:
    assert parse(b"[0.1, 1e2, 7, -0, 1.0]") == [Decimal("0.1"), Decimal(100), 7, 0, Decimal(1)]
    assert [type(value) for value in parse(b"[0.1, 1e2, 7, -0, 1.0]")] == [Decimal, Decimal, int, int, Decimal]
    for text in ("1E+2", "1E-9", "12345678901234567890.123456789", "0E-7", "-0.10"):
        assert dump(Decimal(text)) == f"{Decimal(text):f}".encode()
    assert dump(Decimal("1E+2")) == b"100"
    assert dump([0.5, 1, Decimal("0.10")]) == b"[0.5,1,0.10]"


@on_sqlite
def test_the_document_says_that_a_price_is_a_number(ada: Person) -> None:
    document = ada.get("/api/swagger.json").get_json()
    price = document["definitions"]["ItemCreate"]["properties"]["price"]
    assert (price["type"], price["format"], price["minimum"]) == ("number", "decimal", 0)
    assert (price["maximum"], price["exclusiveMaximum"], price["example"]) == (10**10, True, 19.99)


# --- fields -------------------------------------------------------------------


@on_sqlite
@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"name", "price"}),
        ({"name": "x"}, {"price"}),
        ({"price": 1}, {"name"}),
        ({"name": " ", "price": 1}, {"name"}),
        ({"name": "x" * 121, "price": 1}, {"name"}),
        ({"name": None, "price": 1}, {"name"}),
        ({"name": 1.5, "price": 1}, {"name"}),
        ({"name": "x", "price": 1, "description": "y" * 10_001}, {"description"}),
        ({"name": "x", "price": 1, "description": 1.5}, {"description"}),
        ({"name": "x", "price": 1, "sku": ""}, {"sku"}),
        ({"name": "x", "price": 1, "sku": "  "}, {"sku"}),
        ({"name": "x", "price": 1, "sku": "x" * 65}, {"sku"}),
        ({"name": "x", "price": 1, "sku": 5}, {"sku"}),
        ({"name": "x", "price": 1, "sku": "a\x00b"}, {"sku"}),
        ({"name": "x", "price": 1, "prise": 1}, {"prise"}),
        ({"name": "x", "price": 1, "id": 1}, {"id"}),
        ({"name": "x", "price": 1, "version": 1}, {"version"}),
        ({"name": "x", "price": 1, "created_by": 1}, {"created_by"}),
        ({"name": "x", "price": 1, "created_at": "2020-01-01T00:00:00Z"}, {"created_at"}),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_stored(ada: Person, body: dict[str, Any], fields: set[str]) -> None:
    response = ada.post("/items", body)
    assert response.status_code == 422
    assert set(details(response)) == fields
    assert data(ada.get("/items")) == []


def test_the_creator_is_set_by_the_server(ada: Person) -> None:
    response = ada.post("/items", {"name": "x", "price": 1, "created_by": 1})
    assert details(response) == {"created_by": ["This field is set by the server."]}


def test_replacing_needs_name_and_price_and_clears_the_rest(ada: Person) -> None:
    item = ada.create_item(description="old", sku="A-1")
    path = f"/items/{item['id']}"
    assert set(details(ada.put(path, {"sku": "A-1"}))) == {"name", "price"}
    replaced = data(ada.put(path, {"name": "New", "price": 7.25}))
    assert (replaced["name"], replaced["price"], replaced["version"]) == ("New", 7.25, 2)
    assert (replaced["description"], replaced["sku"]) == (None, None)
    assert replaced["created_at"] == item["created_at"]
    assert replaced["updated_at"] > item["updated_at"]


def test_patching_leaves_what_is_omitted_and_clears_what_is_null(ada: Person) -> None:
    item = ada.create_item(description="old", sku="A-1")
    path = f"/items/{item['id']}"
    patched = data(ada.patch(path, {"sku": None}))
    assert (patched["sku"], patched["description"], patched["price"]) == (None, "old", 5)
    assert ada.patch(path, {}).status_code == 400
    assert details(ada.patch(path, {"colour": "red"})) == {"colour": ["Unknown field."]}
    for body in ({"name": None}, {"price": None}, {"price": -1}, {"created_by": ada.user_id}):
        assert ada.patch(path, body).status_code == 422


# --- whose item it is ---------------------------------------------------------


def test_everybody_sees_an_item_and_only_its_creator_and_administrators_change_it(
    ada: Person, bob: Person, admin: Person
) -> None:
    item = ada.create_item()
    path = f"/items/{item['id']}"
    assert data(bob.get(path)) == item
    assert names(bob.get("/items")) == ["Label printer"]
    for response in (bob.put(path, {"name": "x", "price": 1}), bob.patch(path, {"name": "x"}), bob.delete(path)):
        assert response.status_code == 403
    assert data(ada.get(path)) == item
    assert data(admin.patch(path, {"name": "Corrected"}))["created_by"] == ada.user_id
    assert admin.delete(path).status_code == 204


@on_sqlite
@pytest.mark.parametrize(("method", "path"), [("GET", "/items"), ("POST", "/items"), ("GET", "/items/by-sku/x")])
def test_a_stranger_needs_credentials(anonymous: Person, method: str, path: str) -> None:
    assert anonymous.open(method, path).status_code == 401


def test_deleting_answers_nothing_and_then_404(ada: Person) -> None:
    item = ada.create_item()
    response = ada.delete(f"/items/{item['id']}")
    assert (response.status_code, response.data) == (204, b"")
    for method in ("GET", "DELETE"):
        assert ada.open(method, f"/items/{item['id']}").status_code == 404
    assert ada.create_item()["id"] > item["id"]


@on_sqlite
@pytest.mark.parametrize("number", ["abc", "0", "-1", "1.5", str(2**63 - 1), str(2**63), "%00", "by-sku"])
def test_a_number_that_names_no_item_is_404(ada: Person, number: str) -> None:
    for method in ("GET", "DELETE"):
        assert ada.open(method, f"/items/{number}").status_code == 404
    assert ada.patch(f"/items/{number}", {"name": "x"}).status_code == 404


def test_an_item_that_tasks_are_about_is_not_deleted(app: Flask, ada: Person, bob: Person) -> None:
    item = ada.create_item()
    path = f"/items/{item['id']}"
    mine, theirs = ada.create_task(), bob.create_task(title="Secret plans")
    attach(app, item["id"], mine["id"])
    response = ada.delete(path)
    assert response.status_code == 409
    assert response.get_json()["error"]["message"].startswith("1 task is about this item.")
    attach(app, item["id"], theirs["id"])
    response = ada.delete(path)
    assert response.get_json()["error"]["message"].startswith("2 tasks are about this item.")
    assert "Secret" not in response.text
    assert bob.delete(path).status_code == 403
    assert data(ada.get(path)) == item

    ada.delete(f"/tasks/{mine['id']}")
    bob.delete(f"/tasks/{theirs['id']}")
    assert ada.delete(path).status_code == 204


# --- SKUs ---------------------------------------------------------------------


def test_an_sku_is_unique_and_the_second_is_a_conflict_that_names_it(ada: Person, bob: Person) -> None:
    ada.create_item(sku="A-1")
    response = bob.post("/items", {"name": "x", "price": 1, "sku": " A-1 "})
    assert response.status_code == 409
    assert details(response) == {"sku": ["This value is already taken."]}
    other = bob.create_item(sku="A-2")
    assert bob.patch(f"/items/{other['id']}", {"sku": "A-1"}).status_code == 409
    assert bob.put(f"/items/{other['id']}", {"name": "x", "price": 1, "sku": "A-1"}).status_code == 409
    assert data(bob.get(f"/items/{other['id']}")) == other
    # Null is not a value, and the own SKU is not another's.
    assert {bob.create_item()["sku"], bob.create_item()["sku"]} == {None}
    assert bob.patch(f"/items/{other['id']}", {"sku": "A-2"}).status_code == 200


def test_skus_that_merely_look_alike_are_different(ada: Person) -> None:
    skus = ["a-1", "A-1", "Café", "Cafe\u0301", "STRASSE", "straße", "Ａ-1", "a 1", "a  1", "1", "01", "a", "a/"]
    ids = {sku: ada.create_item(sku=sku)["id"] for sku in skus}
    for sku, item_id in ids.items():
        assert data(ada.get(f"/items/by-sku/{quote(sku, safe='')}"))["id"] == item_id
        assert [row["id"] for row in data(ada.get("/items", query_string={"sku": sku}))] == [item_id]


SKUS = [
    "PRT/0042",
    "a/b/c",
    "/leading",
    "//two",
    "trailing/",
    "trailing//",
    "/",
    "///",
    "a//b",
    "日本語 ☕",
    "with space",
    "100%",
    "%2F",
    "a%20b",
    "a+b",
    "a?b=c&d",
    "a#b",
    "a;b",
    "../etc/passwd",
    "..",
    "line\nbreak",
    "\u202eabc",
    "'; DROP TABLE items; --",
    "42",
    "\U0001f4a9" * 64,
]


def test_any_sku_is_found_by_its_encoded_text(ada: Person) -> None:
    ada.create_item(sku="other")
    for sku in SKUS:
        item = ada.create_item(sku=sku)
        assert item["sku"] == sku
        for safe in ("", "/"):
            assert data(ada.get(f"/items/by-sku/{quote(sku, safe=safe)}")) == item


def test_a_slash_at_the_end_of_the_path_is_the_skus_if_it_can_be(ada: Person) -> None:
    bare = ada.create_item(sku="A-1")
    assert data(ada.get("/items/by-sku/A-1/")) == bare
    slashed = ada.create_item(sku="A-1/")
    assert data(ada.get("/items/by-sku/A-1/")) == slashed
    assert data(ada.get("/items/by-sku/A-1")) == bare
    assert ada.get("/items/by-sku/A-1//").status_code == 200
    assert data(ada.get("/items/by-sku/A-1//")) == slashed


@pytest.mark.parametrize(
    "path",
    ["", "/", "//", "/a-1", "/A", "/A-1//", "/A-1/x", "/%20A-1", "/A%00-1", "/%00", "/%ff", "/" + "x" * 5000],
)
def test_an_sku_that_nothing_has_is_404(ada: Person, path: str) -> None:
    ada.create_item(sku="A-1")
    ada.create_item()
    response = ada.get(f"/items/by-sku{path}")
    assert response.status_code == 404
    assert response.get_json()["error"]["code"] == "not_found"


# --- lists --------------------------------------------------------------------


@pytest.fixture
def shelf(ada: Person, bob: Person) -> Person:
    ada.create_item(name="drill", price=99.5, sku="D-1")
    ada.create_item(name="bolt", price=0.1)
    bob.create_item(name="Anvil", price=100, description="Drill on it", sku="A/1")
    bob.create_item(name="crane", price=9_999_999_999.99)
    return ada


LISTS = {
    "": ["crane", "Anvil", "bolt", "drill"],
    "sort=price": ["bolt", "drill", "Anvil", "crane"],
    "sort=-price": ["crane", "Anvil", "drill", "bolt"],
    "sort=created_at": ["drill", "bolt", "Anvil", "crane"],
    "sort=sku,id": ["Anvil", "drill", "bolt", "crane"],
    "sort=-sku,-id": ["drill", "Anvil", "crane", "bolt"],
    "q=DRILL": ["Anvil", "drill"],
    "q=a/1": ["Anvil"],
    "q=%25": [],
    "sku=D-1": ["drill"],
    "sku=d-1": [],
    "price=0.1": ["bolt"],
    "price=0.10": ["bolt"],
    "price[gte]=99.50&price[lt]=100": ["drill"],
    "price[gt]=99.5": ["crane", "Anvil"],
    "price[lte]=0.10": ["bolt"],
    "price[lt]=0.1": [],
    "price[gte]=9999999999.99": ["crane"],
    "created_by=me": ["bolt", "drill"],
    "created_at[lt]=2020-01-01": [],
    "created_by=999999": [],
}


def test_filters_and_sorting(shelf: Person) -> None:
    answers = {query: shelf.get(f"/items?{query}") for query in LISTS}
    assert {query: names(answer) for query, answer in answers.items()} == LISTS
    totals = {query: answer.get_json()["meta"]["pagination"]["total"] for query, answer in answers.items()}
    assert totals == {query: len(expected) for query, expected in LISTS.items()}


def test_walking_by_cursor_sees_every_item_once(shelf: Person) -> None:
    for sort in ("price", "-price", "sku", "-sku", "name", "-created_at", "price,-name"):
        whole = names(shelf.get(f"/items?sort={sort}"))
        assert _walked(shelf, sort) == whole
        assert len(whole) == 4


def _walked(shelf: Person, sort: str) -> list[str]:
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        response = shelf.get("/items", query_string={"sort": sort, "per_page": 1, "cursor": cursor, "price[gte]": "0"})
        seen += names(response)
        cursor = response.get_json()["meta"]["pagination"]["next_cursor"]
    return seen


@on_sqlite
@pytest.mark.parametrize(
    "query",
    [
        "price=cheap",
        "price=0.001",
        "price=-1",
        "price=1e2",
        "price=NaN",
        "price=",
        "price=10000000000",
        "price=%D9%A1",
        "price[ge]=1",
        "prise=1",
        "sort=description",
        "sku=",
        "created_by=ada",
        "q=a%00b",
    ],
)
def test_a_parameter_that_cannot_be_used_is_named(ada: Person, query: str) -> None:
    response = ada.get(f"/items?{query}")
    assert response.status_code == 400
    assert list(details(response)) == [query.split("=")[0]]


def test_a_list_of_items_takes_three_statements_whatever_the_number_of_rows(ada: Person, statements: list[str]) -> None:
    for _ in range(20):
        ada.create_item()
    statements.clear()
    assert len(data(ada.get("/items?per_page=100&price[gte]=1&sort=-price"))) == 20
    assert len(statements) == 3, statements
    statements.clear()
    item = ada.create_item(sku="A-1")
    assert len(statements) <= 3, statements
    for path in (f"/items/{item['id']}", "/items/by-sku/A-1"):
        statements.clear()
        ada.get(path)
        assert len(statements) == 2, statements
