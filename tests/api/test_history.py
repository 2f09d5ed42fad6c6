"""The history of a task: who changed what, when and by which way, and who may read it."""

from dataclasses import replace
from io import BytesIO
from typing import Any

import orjson
import pytest
from flask import Flask
from sqlalchemy import select

from core.exchange.columns import Kind
from core.exchange.imports.order import Match, OnError, Order
from core.exchange.imports.parsers import Format
from core.exchange.imports.work import Import
from core.platform.access import Via
from core.platform.database.base import db
from core.platform.database.session import transaction
from core.tasks import processing
from core.tasks import service as tasks
from core.tasks.model import Task, TaskChange
from tests.support.answers import data
from tests.support.engines import on_sqlite
from tests.support.people import Person


def history(person: Person, task: dict[str, Any], query: str = "") -> list[dict[str, Any]]:
    """The entries of a task's history, newest first."""
    entries: list[dict[str, Any]] = data(person.get(f"/tasks/{task['id']}/history{query}"))
    return entries


def changes(entry: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {change["field"]: (change["old"], change["new"]) for change in entry["changes"]}


def newest(person: Person, task: dict[str, Any]) -> tuple[str, str, dict[str, tuple[Any, Any]]]:
    entry = history(person, task)[0]
    return entry["action"], entry["via"], changes(entry)


def test_the_first_entry_tells_all_that_a_task_began_with(ada: Person, bob: Person) -> None:
    task = ada.create_task(description="Twice", due_date="2026-12-01", assignee_id=bob.user_id, status="completed")
    (entry,) = history(ada, task)
    assert changes(entry) == {
        "title": (None, "Water the plants"),
        "description": (None, "Twice"),
        "status": (None, "completed"),
        "due_date": (None, "2026-12-01"),
        "owner_id": (None, ada.user_id),
        "assignee_id": (None, bob.user_id),
        "completed_at": (None, task["completed_at"]),
    }
    assert (entry["action"], entry["via"], entry["version"]) == ("created", "api", 1)
    assert entry["actor"] == {"id": ada.user_id, "username": "ada", "name": None}
    assert entry["at"] == task["updated_at"]


def test_a_change_is_told_field_by_field_by_whoever_made_it(ada: Person, bob: Person) -> None:
    task = ada.create_task(description="Old", assignee_id=bob.user_id)
    after = data(bob.patch(f"/tasks/{task['id']}", {"description": "New", "status": "in_progress"}))
    entry = history(ada, task)[0]
    assert changes(entry) == {"description": ("Old", "New"), "status": ("pending", "in_progress")}
    assert (entry["action"], entry["version"], entry["at"]) == ("changed", 2, after["updated_at"])
    assert entry["actor"]["id"] == bob.user_id


def test_what_follows_from_a_change_is_told_too(ada: Person) -> None:
    task = ada.create_task()
    done = data(ada.put(f"/tasks/{task['id']}/status", {"status": "completed"}))
    assert newest(ada, task)[2] == {"status": ("pending", "completed"), "completed_at": (None, done["completed_at"])}
    ada.put(f"/tasks/{task['id']}", {"title": "Other", "status": "pending"})
    assert newest(ada, task)[2] == {
        "title": ("Water the plants", "Other"),
        "status": ("completed", "pending"),
        "completed_at": (done["completed_at"], None),
    }


def test_a_change_that_changes_nothing_leaves_no_entry(ada: Person) -> None:
    task = ada.create_task(title="Same")
    assert data(ada.patch(f"/tasks/{task['id']}", {"title": "Same"}))["version"] == 1
    ada.post("/tasks/bulk", {"operations": [{"op": "update", "id": task["id"], "task": {"title": "Same"}}]})
    assert len(history(ada, task)) == 1


def test_a_refused_change_leaves_no_entry(ada: Person, bob: Person) -> None:
    task = ada.create_task()
    assert bob.patch(f"/tasks/{task['id']}", {"title": "Mine"}).status_code == 403
    assert ada.patch(f"/tasks/{task['id']}", {"title": "New", "item_id": 10**12}).status_code == 422
    operations = [{"op": "update", "id": task["id"], "task": {"title": "New"}}, {"op": "delete", "id": 10**12}]
    assert ada.post("/tasks/bulk", {"operations": operations}).status_code == 404
    assert len(history(ada, task)) == 1


def test_long_texts_are_kept_whole(ada: Person) -> None:
    old, new = "ä" * 10_000, "\U0001f331" * 10_000
    task = ada.create_task(description=old)
    ada.patch(f"/tasks/{task['id']}", {"description": new})
    assert newest(ada, task)[2] == {"description": (old, new)}


def test_a_bulk_tells_of_each_of_its_tasks(ada: Person) -> None:
    old, gone = ada.create_task(title="Old"), ada.create_task()
    answers = data(
        ada.post(
            "/tasks/bulk",
            {
                "operations": [
                    {"op": "create", "task": {"title": "New", "due_date": "2026-12-01"}},
                    {"op": "update", "id": old["id"], "task": {"title": "Newer"}},
                    {"op": "delete", "id": gone["id"]},
                ]
            },
        )
    )["results"]
    new = answers[0]["task"]
    assert newest(ada, new) == (
        "created",
        "api",
        {
            "title": (None, "New"),
            "status": (None, "pending"),
            "due_date": (None, "2026-12-01"),
            "owner_id": (None, ada.user_id),
        },
    )
    assert history(ada, new)[0]["at"] == new["created_at"]
    assert newest(ada, old) == ("changed", "api", {"title": ("Old", "Newer")})
    action, _, deleted = newest(ada, gone)
    assert action == "deleted"
    assert list(deleted) == ["deleted_at"]


def test_a_transfer_is_told_to_its_receiver(ada: Person, bob: Person, admin: Person) -> None:
    task, kept = ada.create_task(), ada.create_task()
    body = {"from_user_id": ada.user_id, "to_user_id": bob.user_id, "task_ids": [task["id"]]}
    data(admin.post("/tasks/transfer", body))
    assert newest(bob, task) == ("transferred", "api", {"owner_id": (ada.user_id, bob.user_id)})
    entry = history(bob, task)[0]
    assert (entry["actor"]["username"], entry["version"]) == ("root.admin", 2)
    assert entry["at"] == data(bob.get(f"/tasks/{task['id']}"))["updated_at"]
    assert len(history(ada, kept)) == 1


def test_who_has_left_is_null_and_what_they_did_stays(ada: Person, bob: Person, admin: Person) -> None:
    owned, assigned = ada.create_task(), bob.create_task(assignee_id=ada.user_id)
    both = ada.create_task(assignee_id=ada.user_id)
    assert admin.delete(f"/users/{ada.user_id}?transfer_to={bob.user_id}").status_code == 204
    moved = (ada.user_id, bob.user_id)
    assert newest(bob, owned) == ("transferred", "api", {"owner_id": moved})
    assert newest(bob, assigned) == ("transferred", "api", {"assignee_id": moved})
    assert newest(bob, both) == ("transferred", "api", {"owner_id": moved, "assignee_id": moved})
    assert [entry["actor"] and entry["actor"]["id"] for entry in history(bob, owned)] == [admin.user_id, None]
    for task in (owned, assigned, both):
        after, entry = data(bob.get(f"/tasks/{task['id']}")), history(bob, task)[0]
        assert (after["version"], after["updated_at"]) == (entry["version"], entry["at"])


def test_processing_is_told_as_the_work_of_a_job(app: Flask, ada: Person) -> None:
    task = ada.create_task(description="Text")
    with app.app_context(), transaction() as session:
        processing.finish(session, replace(ada.actor, via=Via.JOB), task_id=task["id"])
    action, via, changed = newest(ada, task)
    assert (action, via) == ("processed", "job")
    assert changed["description"] == ("Text", "Text [Processed]")
    assert set(changed) == {"description", "status", "completed_at"}


def test_what_an_import_does_is_told_as_that(app: Flask, ada: Person) -> None:
    task = ada.create_task(title="Old")
    with app.app_context():
        for match, row in ((Match.EXTERNAL_ID, {"title": "New"}), (Match.ID, {"id": task["id"], "title": "Newer"})):
            file = orjson.dumps([row])
            order = Order(kind=Kind.TASKS, format=Format.JSON, dry_run=False, on_error=OnError.ABORT, match=match)
            with Import(ada.actor, BytesIO(file), order, size=len(file), report=lambda percent: None) as work:
                work.examine()
                with transaction() as session:
                    work.store(session)
    assert newest(ada, task) == ("changed", "import", {"title": ("Old", "Newer")})
    made = data(ada.get("/tasks?q=New&sort=-id"))[0]
    assert newest(ada, made) == (
        "created",
        "import",
        {"title": (None, "New"), "status": (None, "pending"), "owner_id": (None, ada.user_id)},
    )


def test_a_history_has_pages(ada: Person) -> None:
    task = ada.create_task(title="0")
    for number in range(1, 6):
        ada.patch(f"/tasks/{task['id']}", {"title": str(number)})
    first = ada.get(f"/tasks/{task['id']}/history?per_page=4")
    assert [entry["version"] for entry in first.get_json()["data"]] == [6, 5, 4, 3]
    meta = first.get_json()["meta"]["pagination"]
    assert (meta["total"], meta["pages"]) == (6, 2)
    rest = history(ada, task, f"?per_page=4&cursor={meta['next_cursor']}")
    assert [entry["version"] for entry in rest] == [2, 1]
    assert [entry["version"] for entry in history(ada, task, "?sort=id")] == [1, 2, 3, 4, 5, 6]


def test_a_history_takes_three_statements_whatever_its_length(ada: Person, statements: list[str]) -> None:
    task = ada.create_task()
    for number in range(10):
        ada.patch(f"/tasks/{task['id']}", {"title": str(number)})
    statements.clear()
    assert len(history(ada, task)) == 11
    assert len(statements) == 3, statements


def test_whoever_may_not_read_the_task_may_not_read_its_past(ada: Person, bob: Person, anonymous: Person) -> None:
    task = ada.create_task(title="Secret")
    refused = bob.get(f"/tasks/{task['id']}/history")
    assert refused.status_code == 403
    assert "Secret" not in refused.text
    assert anonymous.get(f"/tasks/{task['id']}/history").status_code == 401
    for number in (10**12, 0):
        assert ada.get(f"/tasks/{number}/history").status_code == 404
    assert ada.get("/tasks/abc/history").status_code == 404


@on_sqlite
@pytest.mark.parametrize("query", ["sort=title", "field=title", "page=0", "per_page=101", "cursor=x"])
def test_a_history_is_asked_for_strictly(ada: Person, query: str) -> None:
    task = ada.create_task()
    assert ada.get(f"/tasks/{task['id']}/history?{query}").status_code == 400


def test_a_task_from_before_the_history_has_an_empty_one_until_it_changes(app: Flask, ada: Person) -> None:
    with app.app_context(), transaction() as session:
        task = Task(title="Old", owner_id=ada.user_id)
        session.add(task)
        session.flush()
        number = task.id
    assert history(ada, {"id": number}) == []
    ada.patch(f"/tasks/{number}", {"title": "New"})
    assert newest(ada, {"id": number}) == ("changed", "api", {"title": ("Old", "New")})


def test_the_history_is_stored_with_the_change_or_not_at_all(
    app: Flask, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = ada.create_task(title="Old")
    with monkeypatch.context() as patch:
        patch.setattr(tasks.recording, "store", lambda *args: 1 / 0)
        assert ada.patch(f"/tasks/{task['id']}", {"title": "New"}).status_code == 500
        assert ada.post("/tasks", {"title": "Unheard of"}).status_code == 500
    assert [row["title"] for row in data(ada.get("/tasks"))] == ["Old"]
    with app.app_context():
        assert len(db.session.scalars(select(TaskChange)).all()) == 1
