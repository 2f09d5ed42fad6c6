"""Several mistakes in one request are all named at once; and a new row's time of change is that of its creation."""

from typing import Any

import pytest
from flask import Flask

from core.auth import accounts
from core.platform.errors import Invalid
from tests.support.engines import on_sqlite
from tests.support.imports import run, upload
from tests.support.people import Person

BAD_ADDRESSES = ["nobody", "a@b", "a b@example.com", "@example.com", "a@example..com"]
# What is sent, and what has to be named.
FAULTS: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/auth/register", {"username": "a b", "password": "short", "email": "nobody"}),
    (
        "POST",
        "/auth/register",
        {"username": "x", "password": "x", "email": "x", "name": "x", "time_zone": "Berlin", "more": 1},
    ),
    ("POST", "/users", {"username": "a b", "password": "short", "email": "a@b", "role": "king", "is_active": 1}),
    ("PATCH", "/auth/me", {"email": "nobody", "name": " ", "time_zone": "Mars/Olympus"}),
    ("PUT", "/users/{me}", {"username": "a b", "email": "nobody", "time_zone": ""}),
    ("PATCH", "/users/{me}", {"username": "a b", "email": "nobody", "time_zone": "X" * 80, "role": "x"}),
    ("POST", "/reports", {"from": "yesterday", "title": " ", "time_zone": "Mars", "to": "2026-02-30"}),
    ("POST", "/tasks", {"title": " ", "due_date": "soon", "assignee_id": "me", "status": "x", "nope": 1}),
    ("POST", "/items", {"name": "", "price": "free", "sku": " "}),
    ("POST", "/projects", {"name": " ", "key": "a"}),
    ("POST", "/posts", {"title": " ", "content": "", "task_id": 0}),
    ("POST", "/auth/keys", {"name": " ", "scopes": ["all"], "expires_at": "never"}),
]


@on_sqlite
@pytest.mark.parametrize(("method", "path", "body"), FAULTS)
def test_all_faults_of_a_body_are_named_at_once(admin: Person, method: str, path: str, body: dict[str, Any]) -> None:
    refused = admin.open(method, path.format(me=admin.user_id), body)
    assert refused.status_code == 422, refused.text
    details = refused.get_json()["error"]["details"]
    assert {name.partition(".")[0] for name in details} == set(body), details
    assert all(
        sentences and all(sentence.endswith((".", "?")) for sentence in sentences) for sentences in details.values()
    )


@on_sqlite
@pytest.mark.parametrize("address", BAD_ADDRESSES)
def test_an_address_is_judged_with_everything_else(anonymous: Person, address: str) -> None:
    body = {"username": "ada", "password": "short", "email": address}
    details = anonymous.post("/auth/register", body).get_json()["error"]["details"]
    assert details == {
        "email": ["Must be a valid e-mail address."],
        "password": ["Must be at least 8 characters long."],
    }


@on_sqlite
def test_commands_hear_of_all_faults_too(app: Flask) -> None:
    with app.app_context(), pytest.raises(Invalid) as caught:
        accounts.create(username="a b", email="nobody", password="short", name="x", time_zone="Mars")
    assert set(caught.value.details or {}) == {"username", "email", "password", "name", "time_zone"}


def test_a_new_thing_was_last_changed_when_it_was_made(app: Flask, admin: Person) -> None:
    admin.create_task()
    admin.create_item()
    admin.create_post()
    assert admin.post("/projects", {"name": "Garden", "key": "GARDEN"}).status_code == 201
    account = {"username": "newcomer", "email": "new@example.com", "password": "a long password"}
    assert admin.post("/users", account).status_code == 201
    bulk = {"operations": [{"op": "create", "task": {"title": f"Task {number}"}} for number in range(3)]}
    assert admin.post("/tasks/bulk", bulk).status_code == 200
    ordered = upload(admin, b"title\nFrom a file\nAnother\n", kind="tasks", name="tasks.csv")
    run(app, ordered.get_json()["data"]["job_id"])
    seen = 0
    for path in ("/tasks", "/items", "/posts", "/projects", "/users"):
        for entry in admin.get(path).get_json()["data"]:
            thing = admin.get(f"{path}/{entry['id']}").get_json()["data"]
            assert thing["created_at"] == thing["updated_at"], (path, thing)
            seen += 1
    assert seen >= 11
