"""A user who leaves hands over their things, and gives no user a right that they could not give otherwise."""

from typing import Any

import pytest
from flask import Flask

from tests.support.engines import on_sqlite
from tests.support.people import Person, make_person


def ok(response: Any) -> Any:
    assert response.status_code < 300, response.text
    return response.get_json(silent=True)


@pytest.fixture
def eve(app: Flask) -> Person:
    return make_person(app, "eve")


@pytest.fixture
def project_id(ada: Person) -> int:
    number: int = ok(ada.post("/projects", {"key": "OPS", "name": "Operations"}))["data"]["id"]
    return number


def role_of(ada: Person, project_id: int, person: Person) -> str | None:
    answer = ada.get(f"/projects/{project_id}/members/{person.user_id}")
    return answer.get_json()["data"]["role"] if answer.status_code == 200 else None


# The role of who leaves, that of the receiver before, by whom, and the receiver's role afterwards.
MEMBERSHIPS = [
    ("viewer", None, "self", None),
    ("viewer", None, "admin", "viewer"),
    ("viewer", "editor", "self", "editor"),
    ("editor", None, "self", None),
    ("editor", "viewer", "self", "viewer"),
    ("editor", "viewer", "admin", "editor"),
    ("owner", None, "self", "owner"),
    ("owner", "viewer", "self", "owner"),
]


@pytest.mark.parametrize(("role", "before", "by", "after"), MEMBERSHIPS)
def test_a_membership_is_given_only_by_who_may_choose_members(
    ada: Person, bob: Person, eve: Person, admin: Person, project_id: int, role: str, before: str, by: str, after: str
) -> None:
    ok(ada.put(f"/projects/{project_id}/members/{bob.user_id}", {"role": role}))
    if before:
        ok(ada.put(f"/projects/{project_id}/members/{eve.user_id}", {"role": before}))
    ok((bob if by == "self" else admin).delete(f"/users/{bob.user_id}?transfer_to={eve.user_id}"))
    assert role_of(ada, project_id, eve) == after
    assert eve.get(f"/projects/{project_id}").status_code == (200 if after else 403)


@pytest.mark.parametrize(
    ("role", "by", "assignee"), [("viewer", "self", None), ("editor", "self", "eve"), ("viewer", "admin", "eve")]
)
def test_an_assignment_is_given_only_by_who_may_assign(
    ada: Person, bob: Person, eve: Person, admin: Person, project_id: int, role: str, by: str, assignee: str | None
) -> None:
    ok(ada.put(f"/projects/{project_id}/members/{bob.user_id}", {"role": role}))
    task_id = ada.create_task(project_id=project_id, assignee_id=bob.user_id)["id"]
    ok((bob if by == "self" else admin).delete(f"/users/{bob.user_id}?transfer_to={eve.user_id}"))
    expected = eve.user_id if assignee else None
    assert ok(ada.get(f"/tasks/{task_id}"))["data"]["assignee_id"] == expected
    assert eve.get(f"/tasks/{task_id}").status_code == (200 if assignee else 403)
    change = ok(ada.get(f"/tasks/{task_id}/history"))["data"][0]
    assert change["changes"] == [{"field": "assignee_id", "old": bob.user_id, "new": expected}]


def test_an_assignment_outside_of_projects_ends_with_the_assignee(ada: Person, bob: Person, eve: Person) -> None:
    task_id = ada.create_task(assignee_id=bob.user_id)["id"]
    own = bob.create_task(assignee_id=bob.user_id)["id"]
    ok(bob.delete(f"/users/{bob.user_id}?transfer_to={eve.user_id}"))
    assert ok(ada.get(f"/tasks/{task_id}"))["data"]["assignee_id"] is None
    moved = ok(eve.get(f"/tasks/{own}"))["data"]
    assert (moved["owner_id"], moved["assignee_id"]) == (eve.user_id, eve.user_id)


@on_sqlite
@pytest.mark.parametrize("missing", ["tasks:write", "posts:write", "items:write", "projects:write"])
def test_a_key_hands_over_no_more_than_it_could_write(ada: Person, bob: Person, missing: str) -> None:
    ada.create_task()
    scopes = {"users:write", "tasks:write", "posts:write", "items:write", "projects:write"}

    def leave(*scopes: str) -> int:
        key = ok(ada.post("/auth/keys", {"name": "CI", "scopes": list(scopes)}))["data"]["key"]
        path = f"/users/{ada.user_id}?transfer_to={bob.user_id}"
        return ada.delete(path, token="", headers={"X-API-Key": key}).status_code

    assert leave(*scopes - {missing}) == 403
    assert leave(*scopes) == 204


def test_an_owner_who_cannot_log_in_does_not_count(ada: Person, bob: Person, admin: Person, project_id: int) -> None:
    place = f"/projects/{project_id}/members"
    ok(ada.put(f"{place}/{bob.user_id}", {"role": "owner"}))
    ok(admin.patch(f"/users/{bob.user_id}", {"is_active": False}))
    assert ada.delete(f"{place}/{ada.user_id}").status_code == 409
    assert ada.put(f"{place}/{ada.user_id}", {"role": "viewer"}).status_code == 409
    ok(admin.patch(f"/users/{bob.user_id}", {"is_active": True}))
    ok(ada.delete(f"{place}/{ada.user_id}"))
