"""Every field of text, wherever it comes in: blank is what nobody can see, and white space is that of the document."""

import re
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask

from core.platform.text.checks import BLANK, WHITE_SPACE
from tests.support.document import document_of
from tests.support.imports import run, upload
from tests.support.people import PASSWORD, Person

NEW_USER = {"username": "grace", "email": "grace@example.com", "password": "a long password"}
# The field, and what is sent with it.
FIELDS: list[tuple[str, str, str, dict[str, Any]]] = [
    ("POST", "/tasks", "title", {}),
    ("PUT", "/tasks/{task}", "title", {"status": "pending"}),
    ("PATCH", "/tasks/{task}", "title", {}),
    ("POST", "/posts", "title", {"content": "x"}),
    ("POST", "/posts", "content", {"title": "x"}),
    ("POST", "/tasks/{task}/posts", "content", {"title": "x"}),
    ("POST", "/items", "name", {"price": 1}),
    ("POST", "/items", "sku", {"name": "x", "price": 1}),
    ("POST", "/projects", "name", {"key": "OPS"}),
    ("POST", "/users", "name", NEW_USER),
    ("PATCH", "/auth/me", "name", {}),
    ("POST", "/auth/keys", "name", {"scopes": ["tasks:read"]}),
    ("POST", "/reports", "title", {}),
]
BLANKS = [
    "",
    " ",
    "\u200b",
    "\ufeff",
    "\x1f",
    "\x85",
    "\u2800",
    "\u3164",
    "\u180e",
    "\xad \u2060",
    2 * "\U000e0020",
    3 * "\u200d",
]


def models_of(app: Flask, method: str, path: str, field: str) -> dict[str, Any]:
    document = document_of(app)
    template = "/v1" + path.replace("{task}", "{task_id}")
    parameters = document["paths"][template][method.lower()]["parameters"]
    body = next(one for one in parameters if one["in"] == "body")
    found: dict[str, Any] = document["definitions"][body["schema"]["$ref"].rpartition("/")[2]]["properties"][field]
    return found


@pytest.mark.parametrize(
    ("method", "path", "field", "rest"), FIELDS, ids=lambda it: str(it) if isinstance(it, str) else ""
)
def test_no_field_takes_what_nobody_can_see(
    app: Flask, admin: Person, method: str, path: str, field: str, rest: dict[str, Any]
) -> None:
    place = path.format(task=admin.create_task()["id"])
    pattern = models_of(app, method, path, field)["pattern"]
    for text in BLANKS:
        refused = admin.open(method, place, {**rest, field: text})
        assert refused.status_code == 422, ascii(text)
        assert BLANK in refused.get_json()["error"]["details"][field], ascii(text)
        assert text == 2 * "\U000e0020" or not re.search(pattern, text), ascii(text)


@pytest.mark.parametrize(
    ("method", "path", "field", "rest"), FIELDS, ids=lambda it: str(it) if isinstance(it, str) else ""
)
def test_every_field_takes_what_its_pattern_allows(
    app: Flask, admin: Person, method: str, path: str, field: str, rest: dict[str, Any]
) -> None:
    place = path.format(task=admin.create_task()["id"])
    schema = models_of(app, method, path, field)
    for number, text in enumerate(("\x1fA", "A\x85", "\u200bA\u200b", "🎉🎉", "A\tB", "A\x1c")):
        # No two accounts or projects may be alike.
        others = {
            **rest,
            **({"username": f"grace{number}", "email": f"g{number}@example.com"} if path == "/users" else {}),
        }
        others |= {"key": "OPS" + "ABCDEF"[number]} if path == "/projects" else {}
        assert re.search(schema["pattern"], text), ascii(text)
        answer = admin.open(method, place, {**others, field: text})
        assert answer.status_code in (200, 201, 202), (ascii(text), answer.text)
        shown = answer.get_json()["data"]
        assert shown.get(field, text) == text


def test_white_space_at_the_ends_is_taken_away_once(admin: Person) -> None:
    for space in (" ", "\ufeff", "\u2003", "\t\r\n"):
        assert admin.create_task(title=f"{space}A B{space}")["title"] == "A B"


@pytest.mark.parametrize("text", [" ", "\ufeff", "\u3000", "\u200b", "\x1f", "\u3164", "\u200bA"])
def test_white_space_is_nothing_to_look_for_and_nobody_to_greet(app: Flask, ada: Person, text: str) -> None:
    parameters = document_of(app)["paths"]["/v1/search"]["get"]["parameters"]
    pattern = next(one["pattern"] for one in parameters if one["name"] == "q")
    is_space = text in WHITE_SPACE
    assert bool(re.search(pattern, text)) != is_space
    if is_space or "A" in text:
        assert ada.get(f"/search?q={quote(text)}").status_code == (400 if is_space else 200)
    assert ada.get(f"/greet/{quote(text)}").status_code == (200 if "A" in text else 400)


def test_an_import_takes_and_refuses_the_same(app: Flask, ada: Person) -> None:
    rows = 'title\n"\u200b"\n"\u3164"\n"\ufeff"\n"\x1fA"\n" B "\n'
    job = run(app, upload(ada, rows, on_error="skip").get_json()["data"]["job_id"])
    assert job.result is not None
    titles = [task["title"] for task in ada.get("/tasks?sort=id").get_json()["data"]]
    assert titles == ["\x1fA", "B"]


def test_a_log_in_strips_what_a_registration_strips(anonymous: Person, ada: Person) -> None:
    for name in ("\ufeffada", "ada\u3000"):
        assert anonymous.post("/auth/login", {"username": name, "password": PASSWORD}).status_code == 200
