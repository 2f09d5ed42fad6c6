"""The main job: tasks from creation to deletion."""

from datetime import datetime
from typing import Any

import pytest
from flask import Flask

from tests.support.answers import data, details
from tests.support.engines import on_sqlite
from tests.support.people import Person


def test_a_created_task_is_answered_whole_and_lives_at_its_location(ada: Person) -> None:
    response = ada.post(
        "/tasks", {"title": "  Water the plants ", "description": "All of them", "due_date": "2026-12-01"}
    )

    assert response.status_code == 201
    task = data(response)
    assert task["title"] == "Water the plants"
    assert task["description"] == "All of them"
    assert task["status"] == "pending"
    assert task["due_date"] == "2026-12-01"
    assert task["owner_id"] == ada.user_id
    assert task["assignee_id"] is None
    assert task["version"] == 1
    assert task["completed_at"] is None
    assert task["created_at"].endswith("Z")
    assert datetime.fromisoformat(task["created_at"]).utcoffset() is not None
    assert response.headers["Location"] == f"http://localhost/api/v1/tasks/{task['id']}"
    assert data(ada.get(f"/tasks/{task['id']}")) == task


@pytest.mark.parametrize("path", ["/tasks", "/tasks/"])
def test_a_slash_at_the_end_changes_nothing(ada: Person, path: str) -> None:
    created = ada.post(path, {"title": "Either way"})
    assert created.status_code == 201
    assert created.headers["Location"].endswith(f"/api/v1/tasks/{data(created)['id']}")
    assert len(data(ada.get(path))) == 1
    assert ada.get(f"/tasks/{data(created)['id']}/").status_code == 200


def test_unicode_is_kept_as_it_was_sent(ada: Person) -> None:
    title = "Cafe\u0301 ☕ — 日本語 🧵 \u202e"
    task = ada.create_task(title=title, description="a\r\nb\tc")
    assert data(ada.get(f"/tasks/{task['id']}"))["title"] == title
    assert data(ada.get(f"/tasks/{task['id']}"))["description"] == "a\r\nb\tc"


@on_sqlite
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "title"),
        ({"title": ""}, "title"),
        ({"title": " \t\n "}, "title"),
        ({"title": "x" * 151}, "title"),
        ({"title": None}, "title"),
        ({"title": 5}, "title"),
        ({"title": ["x"]}, "title"),
        ({"title": "x\u0000y"}, "title"),
        ({"title": "x", "description": "y" * 10_001}, "description"),
        ({"title": "x", "description": 1}, "description"),
        ({"title": "x", "status": "done"}, "status"),
        ({"title": "x", "status": None}, "status"),
        ({"title": "x", "due_date": "2026-02-30"}, "due_date"),
        ({"title": "x", "due_date": "20260201"}, "due_date"),
        ({"title": "x", "due_date": "2026-W05-1"}, "due_date"),
        ({"title": "x", "due_date": "2026-12-01T00:00:00Z"}, "due_date"),
        ({"title": "x", "due_date": 5}, "due_date"),
        ({"title": "x", "assignee_id": "me"}, "assignee_id"),
        ({"title": "x", "assignee_id": 0}, "assignee_id"),
        ({"title": "x", "assignee_id": True}, "assignee_id"),
        ({"title": "x", "assignee_id": 1.5}, "assignee_id"),
        ({"title": "x", "assignee_id": 2**63}, "assignee_id"),
        ({"title": "x", "assignee_id": 10**400}, "assignee_id"),
        ({"title": "x", "assignee_id": 2**63 - 1}, "assignee_id"),
        ({"title": "x", "colour": "red"}, "colour"),
        ({"title": "x", "titel": "y"}, "titel"),
        ({"title": "x", "id": 5}, "id"),
        ({"title": "x", "owner_id": 1}, "owner_id"),
        ({"title": "x", "version": 7}, "version"),
        ({"title": "x", "created_at": "2020-01-01T00:00:00Z"}, "created_at"),
        ({"title": "x", "completed_at": None}, "completed_at"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_stored(ada: Person, body: dict[str, Any], field: str) -> None:
    response = ada.post("/tasks", body)
    assert response.status_code == 422
    assert list(details(response)) == [field]
    assert all(sentence.endswith((".", "?")) for sentence in details(response)[field])
    assert data(ada.get("/tasks")) == []


def test_all_wrong_fields_are_named_at_once(ada: Person) -> None:
    response = ada.post("/tasks", {"status": "done", "due_date": "x", "titel": "y"})
    assert details(response) == {
        "title": ["This field is required."],
        "status": ["Must be one of pending, in_progress, completed, cancelled."],
        "due_date": ["Must be a calendar day such as 2026-11-20."],
        "titel": ["Unknown field. Did you mean 'title'?"],
    }


def test_a_title_of_150_characters_is_measured_after_trimming(ada: Person) -> None:
    assert ada.create_task(title=" " + "x" * 150 + " ")["title"] == "x" * 150


def test_replacing_needs_title_and_status_and_clears_the_rest(ada: Person) -> None:
    task = ada.create_task(description="old", due_date="2026-12-01")
    missing = ada.put(f"/tasks/{task['id']}", {"description": "x"})
    assert missing.status_code == 422
    assert set(details(missing)) == {"title", "status"}

    replaced = data(ada.put(f"/tasks/{task['id']}", {"title": "New", "status": "in_progress"}))
    assert (replaced["title"], replaced["status"]) == ("New", "in_progress")
    assert replaced["description"] is None
    assert replaced["due_date"] is None
    assert replaced["version"] == 2
    assert replaced["created_at"] == task["created_at"]
    assert replaced["updated_at"] > task["updated_at"]


def test_patching_leaves_what_is_omitted_and_clears_what_is_null(ada: Person) -> None:
    task = ada.create_task(description="old", due_date="2026-12-01")
    patched = data(ada.patch(f"/tasks/{task['id']}", {"due_date": None}))
    assert patched["due_date"] is None
    assert patched["description"] == "old"
    assert patched["title"] == task["title"]


def test_an_empty_patch_is_malformed_and_one_without_a_known_field_is_invalid(ada: Person) -> None:
    task = ada.create_task()
    assert ada.patch(f"/tasks/{task['id']}", {}).status_code == 400
    unknown = ada.patch(f"/tasks/{task['id']}", {"colour": "red"})
    assert unknown.status_code == 422
    assert details(unknown) == {"colour": ["Unknown field."]}
    assert data(ada.get(f"/tasks/{task['id']}")) == task


def test_a_patch_that_changes_nothing_leaves_the_version(ada: Person) -> None:
    task = ada.create_task()
    assert data(ada.patch(f"/tasks/{task['id']}", {"title": task["title"]}))["version"] == 1


def test_the_moment_of_completion_follows_the_status(ada: Person) -> None:
    task = ada.create_task()
    path = f"/tasks/{task['id']}"
    completed = data(ada.put(f"{path}/status", {"status": "completed"}))
    assert completed["completed_at"] is not None
    renamed = data(ada.patch(path, {"title": "Still done"}))
    assert renamed["completed_at"] == completed["completed_at"]
    assert data(ada.put(f"{path}/status", {"status": "pending"}))["completed_at"] is None
    assert ada.create_task(status="completed")["completed_at"] is not None


@pytest.mark.parametrize("body", [{}, {"status": "done"}, {"status": "pending", "title": "x"}])
def test_the_status_operation_takes_a_status_and_nothing_else(ada: Person, body: dict[str, Any]) -> None:
    task = ada.create_task()
    assert ada.put(f"/tasks/{task['id']}/status", body).status_code == 422


def test_deleting_answers_nothing_and_then_404(ada: Person) -> None:
    task = ada.create_task()
    response = ada.delete(f"/tasks/{task['id']}")
    assert (response.status_code, response.data) == (204, b"")
    assert ada.delete(f"/tasks/{task['id']}").status_code == 404
    assert ada.get(f"/tasks/{task['id']}").status_code == 404


def test_the_number_of_a_deleted_task_is_never_given_again(ada: Person) -> None:
    first = ada.create_task()
    ada.delete(f"/tasks/{first['id']}")
    assert ada.create_task()["id"] > first["id"]


@on_sqlite
@pytest.mark.parametrize(
    "number", ["abc", "0", "-1", "1.5", "99999999", str(2**63 - 1), str(2**63), "9" * 40, "%00", "١"]
)
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_number_that_names_no_task_is_404_in_json(ada: Person, method: str, number: str) -> None:
    response = ada.open(method, f"/tasks/{number}")
    assert response.status_code == 404
    assert response.get_json()["error"]["code"] == "not_found"


# --- whose task it is ---------------------------------------------------------


def test_a_stranger_gets_403_and_no_word_of_the_content(ada: Person, bob: Person) -> None:
    task = ada.create_task(title="Secret plans")
    path = f"/tasks/{task['id']}"
    answers = [
        bob.get(path),
        bob.put(path, {"title": "x", "status": "pending"}),
        bob.patch(path, {"title": "x"}),
        bob.put(f"{path}/status", {"status": "completed"}),
        bob.post(f"{path}/process"),
        bob.delete(path),
    ]
    for answer in answers:
        assert answer.status_code == 403
        assert "Secret" not in answer.text
    assert data(bob.get("/tasks")) == []
    assert data(ada.get(path)) == task


def test_an_assignee_reads_the_task_and_changes_status_and_description_only(ada: Person, bob: Person) -> None:
    task = ada.create_task(assignee_id=bob.user_id)
    path = f"/tasks/{task['id']}"
    assert data(bob.get(path))["title"] == task["title"]
    assert [row["id"] for row in data(bob.get("/tasks"))] == [task["id"]]
    assert data(bob.patch(path, {"description": "On it", "status": "in_progress"}))["status"] == "in_progress"
    assert bob.put(f"{path}/status", {"status": "completed"}).status_code == 200
    for body in ({"title": "Mine now"}, {"assignee_id": None}, {"due_date": "2026-12-01"}):
        assert bob.patch(path, body).status_code == 403
    assert bob.delete(path).status_code == 403


@pytest.mark.parametrize(
    "body",
    [
        {"status": "completed", "title": "Mine now"},
        {"description": "On it", "due_date": "2026-12-01"},
        {"status": "completed", "description": "On it", "assignee_id": None},
    ],
    ids=str,
)
def test_one_field_that_is_the_owners_refuses_the_whole_change(ada: Person, bob: Person, body: dict[str, Any]) -> None:
    task = ada.create_task(assignee_id=bob.user_id)
    assert bob.patch(f"/tasks/{task['id']}", body).status_code == 403
    operation = {"op": "update", "id": task["id"], "task": body}
    assert bob.post("/tasks/bulk", {"operations": [operation]}).status_code == 403
    assert data(ada.get(f"/tasks/{task['id']}")) == task


def test_an_assignee_may_replace_a_task_if_only_status_and_description_differ(ada: Person, bob: Person) -> None:
    task = ada.create_task(assignee_id=bob.user_id)
    same = {"title": task["title"], "assignee_id": bob.user_id, "status": "in_progress", "description": "On it"}
    assert bob.put(f"/tasks/{task['id']}", same).status_code == 200
    assert bob.put(f"/tasks/{task['id']}", {**same, "title": "Other"}).status_code == 403


def test_an_administrator_sees_and_changes_everything(ada: Person, admin: Person) -> None:
    task = ada.create_task()
    path = f"/tasks/{task['id']}"
    assert admin.get(path).status_code == 200
    assert len(data(admin.get("/tasks"))) == 1
    assert data(admin.patch(path, {"title": "Corrected"}))["owner_id"] == ada.user_id
    assert admin.delete(path).status_code == 204


def test_a_task_can_only_be_assigned_to_an_active_user(app: Flask, ada: Person, bob: Person) -> None:
    from core.platform.database.session import transaction
    from core.users.model import User

    task = ada.create_task()
    assert details(ada.patch(f"/tasks/{task['id']}", {"assignee_id": 10**12})) == {
        "assignee_id": ["There is no such active user."]
    }
    with app.app_context(), transaction() as session:
        session.get_one(User, bob.user_id).is_active = False
    assert ada.post("/tasks", {"title": "x", "assignee_id": bob.user_id}).status_code == 422


def test_a_cancelled_task_cannot_be_processed(ada: Person) -> None:
    task = ada.create_task(status="cancelled")
    response = ada.post(f"/tasks/{task['id']}/process")
    assert response.status_code == 409
    assert response.get_json()["error"]["code"] == "conflict"
