"""Profiles: one person's work at a glance, right after every change, for the right eyes only."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert, update

from core.platform.database.base import db
from core.platform.database.session import transaction
from core.posts.model import Post
from core.tasks.model import Task
from core.users.model import User
from tests.support.people import Person
from tests.support.tasks import NONE, store


def profile(person: Person, of: Person | None = None, query: str = "") -> Any:
    response = person.get(f"/users/{(of or person).user_id}/profile?{query}")
    assert response.status_code == 200, response.text
    return response.get_json()["data"]


def test_a_newcomer_has_a_profile_of_zeros(ada: Person) -> None:
    data = profile(ada)
    assert data.pop("member_since").endswith("Z")
    assert data == {
        "user_id": ada.user_id,
        "username": "ada",
        "name": None,
        "tasks_owned": NONE,
        "assigned_open": 0,
        "overdue": 0,
        "completed_last_7_days": 0,
        "completed_last_30_days": 0,
        "posts": 0,
        "last_activity_at": None,
    }


def test_a_profile_sums_up_what_is_owned_assigned_and_written(ada: Person, bob: Person) -> None:
    ada.create_task(due_date="2020-01-01")
    ada.create_task(status="completed", due_date="2020-01-01", assignee_id=ada.user_id)
    ada.create_task(status="in_progress", assignee_id=bob.user_id)
    bob.create_task(assignee_id=ada.user_id, due_date="2020-01-01")
    bob.create_task(assignee_id=ada.user_id, status="cancelled", due_date="2020-01-01")
    newest = bob.create_task(assignee_id=ada.user_id, status="completed")
    bob.create_task()
    data = profile(ada)
    assert data["tasks_owned"] == {**NONE, "pending": 1, "in_progress": 1, "completed": 1}
    assert data["assigned_open"] == 1
    assert data["overdue"] == 2
    assert data["completed_last_7_days"] == data["completed_last_30_days"] == 2
    assert data["last_activity_at"] == newest["updated_at"]
    with ada.app.app_context(), transaction() as session:
        post = Post(title="News", content="Good ones", user_id=ada.user_id)
        session.add(post)
    data = profile(ada)
    assert data["posts"] == 1
    assert datetime.fromisoformat(data["last_activity_at"]) == post.updated_at
    assert profile(bob)["posts"] == 0


def test_the_last_days_are_those_of_the_zone(ada: Person, at: Callable[[str], None]) -> None:
    # In Berlin it is 2026-04-01; seven days ago the clocks still showed +01:00.
    at("2026-03-31T22:30:00+00:00")
    edges = {
        "Europe/Berlin": ("2026-03-25T23:00:00+00:00", "2026-03-02T23:00:00+00:00"),
        "Pacific/Auckland": ("2026-03-25T11:00:00+00:00", "2026-03-02T11:00:00+00:00"),
        "UTC": ("2026-03-25T00:00:00+00:00", "2026-03-02T00:00:00+00:00"),
    }
    for week, month in edges.values():
        for edge in (week, month):
            done = datetime.fromisoformat(edge)
            for moment in (done, done.replace(second=0) - datetime.resolution):
                store(ada, "2026-01-01T00:00:00+00:00", status="completed", completed_at=moment)
    completed = sorted(
        moment
        for pair in edges.values()
        for edge in pair
        for moment in (datetime.fromisoformat(edge), datetime.fromisoformat(edge) - datetime.resolution)
    )
    for zone, (week, month) in edges.items():
        data = profile(ada, query=f"tz={zone}")
        assert data["completed_last_7_days"] == sum(moment >= datetime.fromisoformat(week) for moment in completed)
        assert data["completed_last_30_days"] == sum(moment >= datetime.fromisoformat(month) for moment in completed)


def test_a_profile_is_seen_by_its_user_and_by_administrators(
    ada: Person, bob: Person, admin: Person, anonymous: Person
) -> None:
    ada.create_task(title="Secret plans")
    path = f"/users/{ada.user_id}/profile"
    for _ in range(2):
        assert ada.get(path).status_code == 200
        assert profile(admin, ada)["tasks_owned"] == {**NONE, "pending": 1}
        assert bob.get(path).status_code == 403
        assert anonymous.get(path).status_code == 401
        for person in (ada, bob, admin):
            assert person.get("/users/999999/profile").status_code == 404
            assert person.get("/users/abc/profile").status_code == 404


@pytest.mark.parametrize("query", ["tz=Europe/Berlni", "tz=", "zone=UTC", "tz=UTC&tz=UTC"])
def test_the_parameters_of_a_profile_are_strict(ada: Person, query: str) -> None:
    assert ada.get(f"/users/{ada.user_id}/profile?{query}").status_code == 400


def test_a_profile_is_right_directly_after_every_kind_of_write(
    app: Flask, ada: Person, bob: Person, remake_app: Callable[..., Flask]
) -> None:
    elsewhere = ada.at(remake_app())

    def seen() -> Any:
        here, there = profile(ada), profile(elsewhere)
        assert here == there
        return here

    assert seen()["tasks_owned"] == NONE
    task = elsewhere.create_task()
    assert seen()["tasks_owned"] == {**NONE, "pending": 1}
    elsewhere.put(f"/tasks/{task['id']}/status", {"status": "completed"})
    assert seen()["completed_last_7_days"] == 1
    bob.create_task(assignee_id=ada.user_id)
    assert seen()["assigned_open"] == 1
    with app.app_context(), transaction() as session:
        session.execute(update(Task).where(Task.id == task["id"]).values(owner_id=bob.user_id))
    assert seen()["tasks_owned"] == NONE
    with app.app_context(), transaction() as session:
        session.get_one(User, ada.user_id).name = "Ada Lovelace"
    assert seen()["name"] == "Ada Lovelace"
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(insert(Post).values(title="x", content="x", user_id=ada.user_id))
    assert seen()["posts"] == 1
    bob.delete(f"/tasks/{task['id']}")
    assert seen()["completed_last_7_days"] == 0


def test_a_profile_that_is_kept_takes_only_the_statement_that_lets_its_caller_in(
    ada: Person, statements: list[str]
) -> None:
    statements.clear()
    first = profile(ada)
    assert len(statements) <= 6, statements
    statements.clear()
    assert profile(ada) == first
    assert len(statements) == 1, statements
