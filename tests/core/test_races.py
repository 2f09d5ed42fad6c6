"""Requests that meet: a project keeps an owner, and no caller gets a 503 because two wanted the same row."""

import threading
import time
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from core.platform.database import repeats
from core.platform.database.base import db
from core.platform.database.repeats import repeated
from core.platform.database.session import transaction
from core.tasks import service as tasks
from tests.support.people import Person, make_person
from tests.support.races import PAIRS, RACES, Crowding, at_once, make_owners, race_for_the_last_owner


def test_a_project_keeps_an_owner_whatever_races(app: Flask, admin: Person) -> None:
    """Each pair of ways once; `python -m tests.faults.races` does it a hundred times."""
    with app.app_context():
        # SQLite has one writer, whatever the pair.
        pairs = PAIRS[::5] if db.engine.dialect.name == "sqlite" else PAIRS
    worlds = zip(pairs, make_owners(app, admin, len(pairs)), strict=True)
    assert [wrong for pair, world in worlds if (wrong := race_for_the_last_owner(world, pair))] == []


def test_an_installation_keeps_an_administrator_whatever_races(app: Flask, admin: Person, ada: Person) -> None:
    ways: list[Any] = [
        lambda p, other: p.patch(f"/users/{p.user_id}", {"role": "user"}),
        lambda p, other: other.patch(f"/users/{p.user_id}", {"is_active": False}),
        lambda p, other: p.delete(f"/users/{p.user_id}"),
        lambda p, other: other.delete(f"/users/{p.user_id}?transfer_to={ada.user_id}"),
    ]
    keeper = admin
    for number, (first, second) in enumerate((one, two) for one in ways for two in ways):
        other = make_person(app, f"boss.{number}", admin.role)
        statuses = at_once(lambda f=first, k=keeper, o=other: f(k, o), lambda s=second, k=keeper, o=other: s(o, k))
        assert max(statuses) < 500
        left = [person for person in (keeper, other) if person.get("/users?role=admin").status_code == 200]
        assert left, statuses
        keeper = left[0]
        for person in (person for person in left if person is not keeper):
            assert keeper.patch(f"/users/{person.user_id}", {"role": "user"}).status_code == 200


@pytest.mark.parametrize("race", RACES)
def test_nobody_is_told_that_the_service_is_down_because_two_wanted_the_same(
    app: Flask, admin: Person, race: str
) -> None:
    crowd = Crowding(app, admin)
    RACES[race](crowd, 5)
    assert [status for status in crowd.answers if status >= 500] == [], crowd.answers


# --- doing it again -------------------------------------------------------------------


def lost() -> OperationalError:
    class Deadlock(Exception):
        sqlstate = "40P01"

    return OperationalError("UPDATE", None, Deadlock())


def test_what_lost_to_another_transaction_is_done_again_as_a_whole(
    app: Flask, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    failures = iter([lost(), lost()])
    real = tasks.notices.assignments

    def fail_twice(*args: Any) -> Any:
        if error := next(failures, None):
            raise error
        return real(*args)

    monkeypatch.setattr("core.tasks.notices.assignments", fail_twice)
    for headers in ({}, {"Idempotency-Key": "one"}):
        failures = iter([lost(), lost()])
        assert ada.post("/tasks", {"title": "Once"}, headers=headers).status_code == 201
    assert len(ada.get("/tasks").get_json()["data"]) == 2
    assert len(ada.get("/jobs").get_json()["data"]) == 2


def test_what_goes_on_losing_is_answered_503_and_stores_nothing(
    app: Flask, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)
    calls: list[int] = []

    def fail(*args: Any) -> None:
        calls.append(1)
        raise lost()

    monkeypatch.setattr("core.tasks.notices.assignments", fail)
    for headers in ({}, {"Idempotency-Key": "one"}):
        calls.clear()
        answer = ada.post("/tasks", {"title": "Never"}, headers=headers)
        assert (answer.status_code, len(calls)) == (503, repeats.ATTEMPTS)
        assert answer.headers["Retry-After"]
    assert max(pauses) <= repeats.LONGEST
    assert ada.get("/tasks").get_json()["data"] == []


def test_a_repetition_judges_the_demanded_state_again(app: Flask, ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """The winner may have changed the very row."""
    task = ada.create_task()
    path = f"/tasks/{task['id']}"
    tag = ada.get(path).headers["ETag"]
    real, tries = tasks.recording.record, []

    def lose_to_another(*args: Any) -> None:
        tries.append(1)
        if len(tries) > 1:
            real(*args)
            return
        raise lost()

    def change_in_between(seconds: float) -> None:
        monkeypatch.setattr("core.tasks.recording.record", real)
        other = threading.Thread(target=lambda: ada.patch(path, {"title": "Somebody else's"}))
        other.start()
        other.join()

    monkeypatch.setattr("core.tasks.recording.record", lose_to_another)
    monkeypatch.setattr("core.platform.database.repeats.time.sleep", change_in_between)
    answer = ada.patch(path, {"title": "Mine"}, headers={"If-Match": tag})
    assert answer.status_code == 412
    assert ada.get(path).get_json()["data"]["title"] == "Somebody else's"


def test_a_real_deadlock_is_resolved(app: Flask, ada: Person, bob: Person) -> None:
    """Two units that lock the same rows in different orders, on purpose."""
    numbers = [ada.user_id, bob.user_id]
    barrier = threading.Barrier(2)
    done: list[int] = []

    @repeated
    def touch(order: list[int]) -> None:
        with transaction() as session:
            session.execute(text("UPDATE users SET name = 'One' WHERE id = :id"), {"id": order[0]})
            if not done and db.engine.dialect.name != "sqlite":
                barrier.wait(10)
            done.append(1)
            session.execute(text("UPDATE users SET name = 'Two' WHERE id = :id"), {"id": order[1]})

    def run(order: list[int]) -> None:
        with app.app_context():
            touch(order)

    threads = [threading.Thread(target=run, args=(order,)) for order in (numbers, numbers[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) >= 2
    assert {ada.get(f"/users/{ada.user_id}").get_json()["data"]["name"]} <= {"One", "Two"}


def test_who_loses_a_right_while_waiting_for_a_task_changes_nothing(app: Flask, ada: Person, bob: Person) -> None:
    """The right that decides is that of after the wait, not of before."""
    with app.app_context():
        if db.engine.dialect.name == "sqlite":
            return  # Nobody waits there with a question half asked.
    project_id = ada.post("/projects", {"key": "OPS", "name": "Operations"}).get_json()["data"]["id"]
    member = f"/projects/{project_id}/members/{bob.user_id}"
    assert ada.put(member, {"role": "editor"}).status_code == 201
    task_id = ada.create_task(project_id=project_id)["id"]
    statuses: list[int] = []

    def change() -> None:
        statuses.append(bob.patch(f"/tasks/{task_id}", {"title": "Late"}).status_code)

    waiting = threading.Thread(target=change)
    with app.app_context(), db.engine.begin() as holder:
        holder.execute(text("SELECT 1 FROM tasks WHERE id = :id FOR UPDATE"), {"id": task_id})
        waiting.start()
        is_waiting = text(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        for _ in range(500):
            with db.engine.connect() as looking:
                if looking.scalar(is_waiting):
                    break
            time.sleep(0.01)
        assert ada.delete(member).status_code == 204
    waiting.join()
    assert statuses == [403]
