"""Reminders: at the right hour of every zone, once, whatever happens to clocks and schedulers."""

import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from sqlalchemy import func, insert, select, update

from core.jobs import schedule
from core.jobs.model import Job, JobState
from core.mail import reminders
from core.mail.model import TaskReminder
from core.mail.reminders import due_dates, order_reminders
from core.operations.cleanup import clean_up
from core.platform import clock
from core.platform.config.current import current_settings
from core.platform.database.base import db
from core.platform.database.session import transaction
from core.tasks.fields import TaskStatus
from core.tasks.model import Task
from core.tasks.repository import TaskRepository
from core.users.model import User
from tests.support import work
from tests.support.people import Person

# Far away, so that what is made now is made before.
DUE = "2126-11-21"
At = Callable[[str], None]


def due(moment: str, zone: str, hour: int = 8) -> list[str]:
    return [day.isoformat() for day in due_dates(datetime.fromisoformat(moment), ZoneInfo(zone), hour)]


@pytest.mark.parametrize(
    ("zone", "day", "begins", "ends"),
    [
        ("UTC", "2026-11-21", "2026-11-20T08:00:00+00:00", "2026-11-22T00:00:00+00:00"),
        ("Europe/Berlin", "2026-11-21", "2026-11-20T07:00:00+00:00", "2026-11-21T23:00:00+00:00"),
        # The first place on earth where a day begins, the last big one, and one of neither half nor whole hours.
        ("Pacific/Kiritimati", "2026-11-21", "2026-11-19T18:00:00+00:00", "2026-11-21T10:00:00+00:00"),
        ("America/Los_Angeles", "2026-11-21", "2026-11-20T16:00:00+00:00", "2026-11-22T08:00:00+00:00"),
        ("Asia/Kathmandu", "2026-11-21", "2026-11-20T02:15:00+00:00", "2026-11-21T18:15:00+00:00"),
        # Clocks go forward on the day of the reminder, and on the day that is due.
        ("America/Los_Angeles", "2026-03-09", "2026-03-08T15:00:00+00:00", "2026-03-10T07:00:00+00:00"),
        ("America/Los_Angeles", "2026-03-08", "2026-03-07T16:00:00+00:00", "2026-03-09T07:00:00+00:00"),
        # And back.
        ("America/Los_Angeles", "2026-11-02", "2026-11-01T16:00:00+00:00", "2026-11-03T08:00:00+00:00"),
        ("America/Los_Angeles", "2026-11-01", "2026-10-31T15:00:00+00:00", "2026-11-02T08:00:00+00:00"),
        # Here they change at midnight: the day that is due begins at one o'clock.
        ("Africa/Cairo", "2026-04-24", "2026-04-23T06:00:00+00:00", "2026-04-24T21:00:00+00:00"),
        ("America/Havana", "2026-11-01", "2026-10-31T12:00:00+00:00", "2026-11-02T05:00:00+00:00"),
        # The year ends.
        ("Pacific/Auckland", "2027-01-01", "2026-12-30T19:00:00+00:00", "2027-01-01T11:00:00+00:00"),
        ("UTC", "2028-02-29", "2028-02-28T08:00:00+00:00", "2028-03-01T00:00:00+00:00"),
    ],
)
def test_people_are_reminded_from_the_hour_of_the_day_before_until_the_day_is_over(
    zone: str, day: str, begins: str, ends: str
) -> None:
    second = timedelta(seconds=1)
    first, last = datetime.fromisoformat(begins), datetime.fromisoformat(ends)
    moments = {
        (first - second).isoformat(): False,
        begins: True,
        (first + (last - first) / 2).isoformat(): True,
        (last - second).isoformat(): True,
        ends: False,
    }
    assert {moment: day in due(moment, zone) for moment in moments} == moments


@pytest.mark.parametrize(
    ("hour", "before", "begins"),
    [
        # 02:00 does not exist on this day in Berlin; it is 03:00 at once.
        (2, "2026-03-29T00:59:59+00:00", "2026-03-29T01:00:00+00:00"),
        (0, "2026-03-28T22:59:59+00:00", "2026-03-28T23:00:00+00:00"),
        (23, "2026-03-29T20:59:59+00:00", "2026-03-29T21:00:00+00:00"),
    ],
)
def test_an_hour_that_does_not_exist_begins_with_the_change(hour: int, before: str, begins: str) -> None:
    assert "2026-03-30" not in due(before, "Europe/Berlin", hour)
    assert "2026-03-30" in due(begins, "Europe/Berlin", hour)


def test_an_hour_that_comes_twice_begins_with_the_first() -> None:
    assert "2026-10-26" in due("2026-10-25T00:00:00+00:00", "Europe/Berlin", 2)
    assert "2026-10-26" in due("2026-10-25T01:30:00+00:00", "Europe/Berlin", 2)


# --- with tasks and people ------------------------------------------------------


def order(app: Flask, hour: int = 8) -> int:
    with app.app_context():
        return order_reminders(hour=hour)


def reminded(app: Flask) -> list[tuple[int, int, str]]:
    """Return who was reminded of which task and date, in the order of the tasks."""
    with app.app_context():
        rows = db.session.scalars(select(Job.payload).where(Job.kind == "email.task_reminder")).all()
    return sorted((row["task_id"], row["user_id"], row["due_date"]) for row in rows)


def lives_in(person: Person, zone: str) -> None:
    assert person.patch("/auth/me", {"time_zone": zone}).status_code == 200


def test_everybody_is_reminded_by_their_own_clock(app: Flask, ada: Person, bob: Person, at: At) -> None:
    lives_in(ada, "Pacific/Kiritimati")
    lives_in(bob, "America/Los_Angeles")
    task_id = ada.create_task(due_date=DUE, assignee_id=bob.user_id)["id"]
    hers, his = (task_id, ada.user_id, DUE), (task_id, bob.user_id, DUE)
    at("2126-11-19T17:59:59+00:00")
    assert order(app) == 0
    at("2126-11-19T18:00:00+00:00")
    assert order(app) == 1
    assert reminded(app) == [hers]
    at("2126-11-20T15:59:59+00:00")
    assert order(app) == 0
    at("2126-11-20T16:00:00+00:00")
    assert order(app) == 1
    assert reminded(app) == sorted([hers, his])


def test_who_owns_a_task_that_is_assigned_to_them_is_reminded_once(app: Flask, ada: Person, at: At) -> None:
    ada.create_task(due_date=DUE, assignee_id=ada.user_id)
    at("2126-11-20T08:00:00+00:00")
    assert order(app) == 1


@pytest.mark.parametrize(
    "change", [{"status": "completed"}, {"status": "cancelled"}, {"due_date": "2126-11-23"}, {"due_date": None}]
)
def test_nobody_is_reminded_of_what_is_closed_or_not_due(
    app: Flask, ada: Person, at: At, change: dict[str, Any]
) -> None:
    task_id = ada.create_task(due_date=DUE, status="in_progress")["id"]
    ada.patch(f"/tasks/{task_id}", change)
    at("2126-11-20T12:00:00+00:00")
    assert order(app) == 0


def test_nobody_is_reminded_of_the_tasks_of_an_archived_project(app: Flask, ada: Person, at: At) -> None:
    project_id = ada.post("/projects", {"key": "OPS", "name": "Operations"}).get_json()["data"]["id"]
    ada.create_task(due_date=DUE, project_id=project_id)
    assert ada.patch(f"/projects/{project_id}", {"archived": True}).status_code == 200
    at("2126-11-20T12:00:00+00:00")
    assert order(app) == 0
    at(datetime.now(UTC).isoformat())
    assert ada.patch(f"/projects/{project_id}", {"archived": False}).status_code == 200
    at("2126-11-20T12:00:00+00:00")
    assert order(app) == 1


def test_inactive_people_are_not_reminded(app: Flask, ada: Person, bob: Person, admin: Person, at: At) -> None:
    ada.create_task(due_date=DUE, assignee_id=bob.user_id)
    admin.patch(f"/users/{bob.user_id}", {"is_active": False})
    at("2126-11-20T12:00:00+00:00")
    assert order(app) == 1


def test_who_does_not_want_reminders_gets_none_until_they_do(app: Flask, ada: Person, at: At) -> None:
    ada.create_task(due_date=DUE)
    ada.patch("/auth/me/notifications", {"task_reminder": False})
    at("2126-11-20T12:00:00+00:00")
    assert order(app) == 0
    at(datetime.now(UTC).isoformat())
    ada.patch("/auth/me/notifications", {"task_reminder": True})
    at("2126-11-20T12:15:00+00:00")
    assert order(app) == 1


def test_a_task_that_is_made_late_is_reminded_of_at_the_next_run(app: Flask, ada: Person, at: At) -> None:
    at("2126-11-20T20:00:00+00:00")
    assert order(app) == 0
    with app.app_context(), transaction() as session:
        session.add(Task(title="Late", owner_id=ada.user_id, due_date=date.fromisoformat(DUE)))
    assert order(app) == 1


def test_another_due_date_is_another_reminder(app: Flask, ada: Person, at: At) -> None:
    task_id = ada.create_task(due_date=DUE)["id"]

    def move(day: str) -> None:
        with app.app_context(), transaction() as session:
            session.get_one(Task, task_id).due_date = date.fromisoformat(day)

    at("2126-11-20T09:00:00+00:00")
    assert order(app) == 1
    move("2126-11-25")
    assert order(app) == 0
    at("2126-11-24T09:00:00+00:00")
    assert order(app) == 1
    # Back to a date that was reminded of: that was said already.
    move(DUE)
    at("2126-11-20T10:00:00+00:00")
    assert order(app) == 0


def test_no_clock_step_reminds_anybody_twice(app: Flask, ada: Person, at: At) -> None:
    ada.create_task(due_date=DUE)
    moments = ["20T08", "20T07", "19T12", "20T08", "21T23", "20T09", "20T08", "18T00", "21T00"]
    ordered = []
    for moment in moments:
        at(f"2126-11-{moment}:00:00+00:00")
        ordered.append(order(app))
    assert ordered == [1, 0, 0, 0, 0, 0, 0, 0, 0]


def test_moving_to_another_zone_reminds_nobody_twice(app: Flask, ada: Person, at: At) -> None:
    ada.create_task(due_date=DUE)
    at("2126-11-20T12:00:00+00:00")
    assert order(app) == 1
    with app.app_context(), transaction() as session:
        session.get_one(User, ada.user_id).time_zone = "America/Los_Angeles"
    at("2126-11-20T18:00:00+00:00")
    assert order(app) == 0


def test_a_zone_that_this_machine_no_longer_knows_counts_as_utc(app: Flask, ada: Person, at: At) -> None:
    ada.create_task(due_date=DUE)
    with app.app_context(), transaction() as session:
        session.execute(update(User).values(time_zone="Mars/Olympus_Mons"))
    at("2126-11-20T08:00:00+00:00")
    assert order(app) == 1


def test_parallel_runs_remind_everybody_exactly_once(
    app: Flask, ada: Person, bob: Person, at: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More tasks than a transaction takes, and everything that three schedulers can get in each other's way."""
    monkeypatch.setattr(reminders, "BATCH", 20)
    store_tasks(app, ada, bob, 150)
    at("2126-11-20T09:00:00+00:00")
    start = threading.Barrier(3)
    ordered: list[int] = []

    def run() -> None:
        start.wait()
        ordered.append(order(app))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ordered) == 3
    assert sum(ordered) == 300
    assert order(app) == 0
    assert set(Counter(reminded(app)).values()) == {1}
    assert len(reminded(app)) == 300


def store_tasks(app: Flask, owner: Person, assignee: Person, count: int) -> None:
    people = {"owner_id": owner.user_id, "assignee_id": assignee.user_id, "status": TaskStatus.PENDING, "version": 1}
    now = clock.now()
    row = {**people, "due_date": date.fromisoformat(DUE), "created_at": now, "updated_at": now}
    with app.app_context(), transaction() as session:
        session.execute(insert(Task), [{"title": f"Task {number}", **row} for number in range(count)])


def test_a_run_that_dies_in_the_middle_loses_and_repeats_nothing(
    app: Flask, ada: Person, bob: Person, at: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reminders, "BATCH", 10)
    store_tasks(app, ada, bob, 20)
    at("2126-11-20T09:00:00+00:00")
    real, calls = reminders.jobs.enqueue_all, iter(range(100))

    def die(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == 1:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    monkeypatch.setattr(reminders.jobs, "enqueue_all", die)
    with pytest.raises(KeyboardInterrupt):
        order(app)
    assert len(reminded(app)) == 10
    assert order(app) == 30
    assert set(Counter(reminded(app)).values()) == {1}


def test_what_a_run_costs_does_not_depend_on_the_number_of_tasks(
    app: Flask, ada: Person, bob: Person, at: At, statements: list[str]
) -> None:
    store_tasks(app, ada, bob, 90)
    at("2126-11-20T09:00:00+00:00")
    statements.clear()
    assert order(app) == 180
    # The zones, the reminders that are due, their marks, their jobs.
    assert len(statements) == 4, statements


def test_a_task_and_an_account_go_without_asking_their_reminders(
    app: Flask, ada: Person, bob: Person, admin: Person, at: At
) -> None:
    task_id = ada.create_task(due_date=DUE, assignee_id=bob.user_id)["id"]
    at("2126-11-20T09:00:00+00:00")
    assert order(app) == 2
    at(datetime.now(UTC).isoformat())
    assert admin.delete(f"/users/{bob.user_id}?transfer_to={admin.user_id}").status_code == 204
    assert ada.delete(f"/tasks/{task_id}").status_code == 204
    with app.app_context():
        with transaction() as session:
            TaskRepository(session).purge(Task.id == task_id)
        assert db.session.scalar(select(func.count()).select_from(TaskReminder)) == 0


def test_marks_are_forgotten_long_after_the_due_date(app: Flask, ada: Person, at: At) -> None:
    ada.create_task(due_date=DUE)
    at("2126-11-20T09:00:00+00:00")
    order(app)
    left = []
    for day in ("2127-01-20", "2127-01-21"):
        at(f"{day}T00:00:00+00:00")
        with app.app_context():
            clean_up(current_settings(), lambda: None)
            left.append(db.session.scalar(select(func.count()).select_from(TaskReminder)))
    assert left == [1, 0]


# --- from the schedule to the message -------------------------------------------------


def test_the_schedule_reminds_once_however_often_it_starts(
    app: Flask, ada: Person, outbox: Path, at: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada.create_task(title="Renew the certificate", due_date=DUE)
    work.run_jobs(app)
    for moment in ("07:50", "08:00", "08:01", "08:16", "08:31", "08:05", "23:59"):
        at(f"2126-11-20T{moment}:00+00:00")
        with app.app_context():
            schedule.order_due(clock.now())
        work.run_jobs(app)
    (path,) = outbox.glob("task_reminder-*.eml")
    text = path.read_text()
    assert "Subject: Due tomorrow: Renew the certificate\n" in text
    assert "You get this because you are its owner, and it is open." in text


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"status": TaskStatus.COMPLETED}, "is completed."),
        ({"due_date": date(2126, 11, 30)}, "has changed."),
        ({"due_date": None}, "has changed."),
        ({"owner_id": None}, "somebody else's now."),
    ],
)
def test_what_has_changed_since_is_not_reminded_of(
    app: Flask, ada: Person, bob: Person, outbox: Path, at: At, change: dict[str, Any], reason: str
) -> None:
    task_id = ada.create_task(due_date=DUE)["id"]
    work.run_jobs(app)
    at("2126-11-20T09:00:00+00:00")
    order(app)
    with app.app_context(), transaction() as session:
        task = session.get_one(Task, task_id)
        for name, value in change.items():
            setattr(task, name, bob.user_id if name == "owner_id" else value)
    assert reason in told_instead(app)
    assert list(outbox.glob("task_reminder-*")) == []


def told_instead(app: Flask) -> str:
    """Run the reminder; return why it was not needed."""
    (sending,) = work.run_jobs(app)
    job = work.find(app, sending.job_id)
    assert job.state is JobState.SUCCEEDED
    assert job.result is not None
    return str(job.result["reason"])


def test_a_reminder_that_waited_until_the_day_was_over_is_not_sent(app: Flask, ada: Person, at: At) -> None:
    ada.create_task(due_date=DUE)
    work.run_jobs(app)
    at("2126-11-20T09:00:00+00:00")
    order(app)
    at("2126-11-22T00:00:00+00:00")
    assert told_instead(app).endswith("is over.")


def test_a_reminder_on_the_day_itself_says_so(app: Flask, ada: Person, outbox: Path, at: At) -> None:
    lives_in(ada, "Pacific/Kiritimati")
    ada.create_task(due_date=DUE)
    at("2126-11-20T10:00:00+00:00")  # It is the 21st there.
    assert order(app) == 1
    work.run_jobs(app)
    (path,) = outbox.glob("task_reminder-*.eml")
    assert "Subject: Due today: Water the plants\n" in path.read_text()
