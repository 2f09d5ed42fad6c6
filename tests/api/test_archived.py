"""The tasks of an archived project, and posts about them, can only be read: every way of writing there is, tried."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core.platform.database.base import db
from core.posts.model import Post
from core.tasks.model import Task
from tests.support.engines import on_sqlite
from tests.support.imports import imported, reasons
from tests.support.people import Person
from tests.support.world import TABLE, World, make_world

TASK = "/api/v1/tasks/<int:task_id>"

# What would change a task or a post of the archived project, and who could do it otherwise.
STOPPED: dict[str, str] = {
    "POST /api/v1/tasks": "project_owner",
    f"PUT {TASK}": "owner",
    f"PATCH {TASK}": "owner",
    f"DELETE {TASK}": "owner",
    f"PUT {TASK}/status": "assignee",
    f"POST {TASK}/process": "assignee",
    "POST /api/v1/tasks/transfer": "owner",
    "POST /api/v1/tasks/bulk": "project_owner",
    "POST /api/v1/posts": "owner",
    f"POST {TASK}/posts": "owner",
    "PUT /api/v1/posts/<int:post_id>": "owner",
    "PATCH /api/v1/posts/<int:post_id>": "owner",
    "DELETE /api/v1/posts/<int:post_id>": "owner",
    # With transfer_to.
    "DELETE /api/v1/users/<int:user_id>": "owner",
}

# Whatever else writes, and why an archived project does not stop it.
FREE: dict[str, str] = {
    f"POST {TASK}/restore": "its own test",
    "PUT /api/v1/projects/<int:project_id>": "settings, or nobody could open it again",
    "PATCH /api/v1/projects/<int:project_id>": "settings",
    "DELETE /api/v1/projects/<int:project_id>": "only without tasks",
    "PUT /api/v1/projects/<int:project_id>/members/<int:user_id>": "who may read it",
    "DELETE /api/v1/projects/<int:project_id>/members/<int:user_id>": "who may read it",
    "POST /api/v1/projects": "another project",
    "POST /api/v1/imports": "each row is refused: its own test",
    "POST /api/v1/exports": "reads",
    "POST /api/v1/reports": "reads",
    "DELETE /api/v1/jobs/<job_id>": "stops work, and changes no task",
    "DELETE /api/v1/tasks/process/status/<job_id>": "the same",
    "POST /api/v1/jobs/<job_id>/retry": "asks what the order would: test_job_rights",
    "POST /api/v1/items": "no task",
    "PUT /api/v1/items/<int:item_id>": "no task",
    "PATCH /api/v1/items/<int:item_id>": "no task",
    "DELETE /api/v1/items/<int:item_id>": "only if no task is about it but in the trash",
}
OF_ACCOUNTS = ("/auth/", "/users", "/notifications/", "/upstreams/")


def test_every_way_of_writing_is_thought_of() -> None:
    writes = {name for name in TABLE if not name.startswith("GET ")}
    others = {name for name in writes if any(part in name for part in OF_ACCOUNTS)} - STOPPED.keys()
    assert writes - others == STOPPED.keys() | FREE.keys()


def rows(app: Flask) -> Any:
    with app.app_context():
        tables = (Task.__table__, Post.__table__)
        return [[tuple(row) for row in db.session.execute(select(table).order_by(table.c.id))] for table in tables]


@on_sqlite
@pytest.mark.parametrize("name", STOPPED)
def test_nothing_writes_into_an_archived_project(app: Flask, name: str) -> None:
    world = make_world(app)
    archive(world)
    before = rows(app)
    row, (method, rule) = TABLE[name], name.split(" ")
    for who in (STOPPED[name], "admin"):
        body = row.body(world) if row.body else None
        answer = world.people[who].open(method, world.path(rule) + row.query(world), body)
        assert answer.status_code == 409, answer.text
        assert "archived" in answer.text
    assert rows(app) == before


def archive(world: World) -> None:
    place = f"/projects/{world.project_id}"
    assert world.people["project_owner"].patch(place, {"archived": True}).status_code == 200


def test_a_transfer_of_all_tasks_says_how_many_stay(app: Flask) -> None:
    world = make_world(app)
    archive(world)
    owner, stranger = world.people["owner"], world.people["stranger"]
    free = owner.create_task()["id"]
    order = {"from_user_id": owner.user_id, "to_user_id": stranger.user_id}
    refusal = owner.post("/tasks/transfer", order)
    assert refusal.get_json()["error"]["details"] == {
        "task_ids": ["1 of these tasks belong to archived projects. Name the others."]
    }
    refusal = owner.post("/tasks/transfer", {**order, "task_ids": [free, world.task_id]})
    assert list(refusal.get_json()["error"]["details"]) == ["task_ids.1"]
    assert owner.post("/tasks/transfer", {**order, "task_ids": [free]}).get_json()["data"]["transferred"] == 1


def test_a_post_about_a_task_of_an_archived_project_keeps_its_author(app: Flask) -> None:
    world = make_world(app)
    editor, stranger = world.people["editor"], world.people["stranger"]
    assert editor.post(f"/tasks/{world.task_id}/posts", {"title": "Said", "content": "Once"}).status_code == 201
    archive(world)
    before = rows(app)
    refusal = editor.delete(f"/users/{editor.user_id}?transfer_to={stranger.user_id}")
    assert refusal.status_code == 409
    assert list(refusal.get_json()["error"]["details"]) == ["transfer_to"]
    assert rows(app) == before


def test_what_is_in_the_trash_stays_there_and_in_nobodys_way(app: Flask) -> None:
    world = make_world(app)
    owner, stranger = world.people["owner"], world.people["stranger"]
    assert owner.delete(f"/tasks/{world.task_id}").status_code == 204
    archive(world)
    assert owner.post(f"/tasks/{world.task_id}/restore").status_code == 409
    assert owner.delete(f"/users/{owner.user_id}?transfer_to={stranger.user_id}").status_code == 204


@pytest.mark.parametrize(
    ("kind", "file"),
    [
        ("tasks", lambda world: f"title,project_id\nNew,{world.project_id}\n"),
        ("posts", lambda world: f"title,content,task_id\nNew,Text,{world.task_id}\n"),
        ("tasks", lambda world: f"id,title\n{world.task_id},New\n"),
        ("posts", lambda world: f"id,title\n{world.post_id},New\n"),
    ],
)
def test_no_row_of_an_import_writes_into_an_archived_project(
    app: Flask, kind: str, file: Callable[[World], str]
) -> None:
    world = make_world(app)
    archive(world)
    before = rows(app)
    admin: Person = world.people["admin"]
    match = "id" if file(world).startswith("id") else "external_id"
    job = imported(admin, file(world), kind=kind, match=match)
    assert ["archived" in reason for _, _, reason in reasons(admin, job)] == [True]
    assert rows(app) == before
