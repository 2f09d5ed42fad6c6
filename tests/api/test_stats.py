"""Statistics: right to the day in every zone, right after every write, and cheap when nothing has changed."""

import random
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
from flask import Flask
from sqlalchemy import insert, select, text, update

from core.platform import clock
from core.platform.cache.marks.model import ChangeMark, Topic
from core.platform.cache.marks.repository import MarkRepository
from core.platform.database.base import db
from core.platform.database.session import transaction
from core.platform.errors import NotFound
from core.platform.text import zones
from core.projects.model import Project, ProjectMember, ProjectRole
from core.stats.model import OwnerSums
from core.stats.service import report
from core.tasks.fields import TaskStatus
from core.tasks.model import Task
from tests.support.engines import on_postgresql, on_sqlite
from tests.support.people import Person
from tests.support.tasks import NONE, store


def stats(person: Person, query: str = "") -> Any:
    response = person.get(f"/stats?{query}")
    assert response.status_code == 200, response.text
    return response.get_json()["data"]


def daily(person: Person, query: str) -> dict[str, tuple[int, int]]:
    """Return created and completed of the days on which anything happened."""
    rows = stats(person, query)["per_day"]
    return {row["date"]: (row["created"], row["completed"]) for row in rows if row["created"] or row["completed"]}


# --- what is counted ----------------------------------------------------------


def test_without_tasks_everything_is_zero_and_every_day_is_there(ada: Person) -> None:
    today = clock.now().date()
    data = stats(ada)
    assert data["timezone"] == "UTC"
    assert (data["total"], data["by_status"], data["overdue"]) == (0, NONE, 0)
    assert data["mean_completion_seconds"] is None
    assert data["per_user"] is None
    assert (data["from"], data["to"]) == (str(today - timedelta(days=29)), str(today))
    days = [str(today - timedelta(days=back)) for back in range(29, -1, -1)]
    assert data["per_day"] == [{"date": day, "created": 0, "completed": 0} for day in days]


def test_tasks_are_counted_by_status_by_day_and_as_overdue(ada: Person) -> None:
    ada.create_task(due_date="2020-01-01")
    ada.create_task(due_date="2999-01-01", status="in_progress")
    ada.create_task(due_date="2020-01-01", status="completed")
    ada.create_task(due_date="2020-01-01", status="cancelled")
    ada.create_task()
    data = stats(ada)
    assert data["total"] == 5
    assert data["by_status"] == {"pending": 2, "in_progress": 1, "completed": 1, "cancelled": 1}
    assert data["overdue"] == 1
    assert data["per_day"][-1] == {"date": data["to"], "created": 5, "completed": 1}
    assert sum(row["created"] for row in data["per_day"]) == 5


def test_the_mean_time_to_completion_is_exact(ada: Person) -> None:
    done = {"status": "completed"}
    start = "2026-03-01T12:00:00.000001+00:00"
    store(ada, start, **done, completed_at=datetime(2026, 3, 1, 12, 0, 10, tzinfo=UTC))
    store(ada, start, **done, completed_at=datetime(2026, 3, 1, 12, 0, 20, 999999, tzinfo=UTC))
    store(ada, start, **done, completed_at=datetime(2026, 3, 1, 12, 0, 30, 999999, tzinfo=UTC))
    store(ada, "2026-01-01T00:00:00+00:00")
    assert stats(ada)["mean_completion_seconds"] == round((9.999999 + 20.999998 + 30.999998) / 3, 6)


def test_a_thousand_years_of_work_are_no_overflow(ada: Person) -> None:
    long = {"status": "completed", "completed_at": datetime(9999, 1, 1, tzinfo=UTC)}
    for _ in range(60):
        store(ada, "0100-01-01T00:00:00+00:00", **long)
    assert stats(ada)["mean_completion_seconds"] == pytest.approx(9899 * 365.2425 * 86400, rel=1e-3)


def test_the_range_of_days_can_be_chosen(ada: Person) -> None:
    store(ada, "2026-02-27T23:59:59.999999+00:00", "2026-02-28T00:00:00+00:00", "2026-03-01T23:59:59.999999+00:00")
    store(ada, "2026-03-02T00:00:00+00:00")
    data = stats(ada, "from=2026-02-28&to=2026-03-01")
    assert [(row["date"], row["created"]) for row in data["per_day"]] == [("2026-02-28", 1), ("2026-03-01", 1)]
    assert data["total"] == 4
    assert len(stats(ada, "from=2024-01-01&to=2024-12-31")["per_day"]) == 366
    assert stats(ada, "to=2026-03-01")["from"] == "2026-01-31"
    today = clock.now().date()
    assert stats(ada, f"from={today}")["per_day"] == [{"date": str(today), "created": 0, "completed": 0}]


@on_sqlite
@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("from=2026-02-30", "from"),
        ("from=yesterday", "from"),
        ("from=2026-03-02&to=2026-03-01", "from"),
        ("from=2025-01-01&to=2026-01-02", "from"),
        ("from=2024-01-01", "from"),
        ("from=2999-12-31", "from"),
        ("from=0001-01-01&to=0001-01-02", "from"),
        ("from=9999-12-31&to=9999-12-31", "from"),
        ("to=0001-01-01", "to"),
        ("to=9999-12-31", "to"),
        ("to=", "to"),
        ("tz=", "tz"),
        ("tz=UTC&tz=UTC", "tz"),
        ("tz=../../etc/passwd", "tz"),
        ("tz=Europe%00", "tz"),
        ("tz=" + "x" * 5000, "tz"),
        ("project_id=0", "project_id"),
        ("project_id=9223372036854775808", "project_id"),
        ("fron=2026-01-01", "fron"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_named(ada: Person, query: str, name: str) -> None:
    response = ada.get(f"/stats?{query}")
    assert response.status_code == 400
    details = response.get_json()["error"]["details"]
    assert name in details
    assert all(sentence.endswith((".", "?")) for sentences in details.values() for sentence in sentences)


def test_the_earliest_and_the_latest_day_can_be_asked_for(ada: Person) -> None:
    for zone in ("UTC", "Pacific/Kiritimati", "Pacific/Niue"):
        assert len(stats(ada, f"tz={zone}&to=1900-01-01")["per_day"]) == 30
        assert len(stats(ada, f"tz={zone}&from=2999-01-01&to=2999-12-31")["per_day"]) == 365


@on_sqlite
@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("Europe/Berlni", "Europe/Berlin"),
        ("europe/berlin", "Europe/Berlin"),
        ("Berlin", "Europe/Berlin"),
        ("America/New York", "America/New_York"),
        ("utc", "UTC"),
    ],
)
def test_an_unknown_zone_is_answered_with_the_nearest_name(ada: Person, name: str, nearest: str) -> None:
    response = ada.get("/stats", query_string={"tz": name})
    assert response.status_code == 400
    sentence = f"Must be a time zone of the IANA database such as Europe/Berlin. Did you mean '{nearest}'?"
    assert response.get_json()["error"]["details"] == {"tz": [sentence]}


# --- days in zones ------------------------------------------------------------


def test_the_short_and_the_long_day_of_berlin_have_their_own_boundaries(ada: Person) -> None:
    # 2026-03-29 runs from 23:00Z to 22:00Z, 23 hours; 2026-10-25 from 22:00Z to 23:00Z, 25 hours.
    store(ada, "2026-03-28T22:59:59.999999+00:00")
    store(ada, "2026-03-28T23:00:00+00:00", "2026-03-29T01:00:00+00:00", "2026-03-29T21:59:59.999999+00:00")
    store(ada, "2026-03-29T22:00:00+00:00")
    assert daily(ada, "tz=Europe/Berlin&from=2026-03-01&to=2026-03-31") == {
        "2026-03-28": (1, 0),
        "2026-03-29": (3, 0),
        "2026-03-30": (1, 0),
    }
    store(ada, "2026-10-24T21:59:59.999999+00:00")
    store(ada, "2026-10-24T22:00:00+00:00", "2026-10-25T00:30:00+00:00", "2026-10-25T22:59:59.999999+00:00")
    store(ada, "2026-10-25T23:00:00+00:00")
    assert daily(ada, "tz=Europe/Berlin&from=2026-10-20&to=2026-10-31") == {
        "2026-10-24": (1, 0),
        "2026-10-25": (3, 0),
        "2026-10-26": (1, 0),
    }
    assert sum(created for created, _ in daily(ada, "tz=Europe/Berlin&from=2026-01-01&to=2026-12-31").values()) == 10


def test_auckland_is_a_day_ahead_and_changes_its_clocks_the_other_way_round(ada: Person) -> None:
    # +13:00 until 2026-04-05T03:00 local time, then +12:00 until 2026-09-27T02:00.
    store(ada, "2026-04-04T10:59:59+00:00", "2026-04-04T11:00:00+00:00", "2026-04-05T11:59:59+00:00")
    store(ada, "2026-04-05T12:00:00+00:00")
    store(ada, "2026-09-26T12:00:00+00:00", "2026-09-27T10:59:59+00:00", "2026-09-27T11:00:00+00:00")
    assert daily(ada, "tz=Pacific/Auckland&from=2026-04-01&to=2026-09-30") == {
        "2026-04-04": (1, 0),
        "2026-04-05": (2, 0),
        "2026-04-06": (1, 0),
        "2026-09-27": (2, 0),
        "2026-09-28": (1, 0),
    }


def test_an_offset_of_three_quarters_of_an_hour_is_right(ada: Person) -> None:
    store(ada, "2026-05-01T18:14:59.999999+00:00", "2026-05-01T18:15:00+00:00", status="completed")
    done = datetime(2026, 5, 2, 18, 15, tzinfo=UTC)
    store(ada, "2026-05-02T18:14:59+00:00", status="completed", completed_at=done)
    assert daily(ada, "tz=Asia/Kathmandu&from=2026-04-25&to=2026-05-05") == {
        "2026-05-01": (1, 0),
        "2026-05-02": (2, 0),
        "2026-05-03": (0, 1),
    }


def test_a_day_that_a_zone_has_skipped_is_empty(ada: Person) -> None:
    store(ada, "2011-12-30T09:59:59+00:00", "2011-12-30T10:00:00+00:00", "2011-12-31T10:00:00+00:00")
    expected = {"2011-12-29": (1, 0), "2011-12-31": (1, 0), "2012-01-01": (1, 0)}
    assert daily(ada, "tz=Pacific/Apia&from=2011-12-28&to=2012-01-02") == expected
    assert daily(ada, "tz=Pacific/Apia&from=2011-12-30&to=2011-12-30") == {}


@pytest.mark.parametrize(
    "zone",
    [
        "Europe/Berlin",
        "Pacific/Auckland",
        "Asia/Kathmandu",
        "America/St_Johns",
        "Australia/Lord_Howe",
        "America/Santiago",
        "Africa/Casablanca",
        "Asia/Beirut",
        "Pacific/Chatham",
        "America/Havana",
    ],
)
def test_sql_sorts_moments_into_days_as_the_calendar_does(ada: Person, zone: str) -> None:
    source = random.Random(zone)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    moments = [start + timedelta(microseconds=source.randrange(365 * 86_400 * 1_000_000)) for _ in range(300)]
    # And around every midnight of the zone, where mistakes would be.
    for day in range(2, 365, 3):
        midnight = zones.first_moment(date(2026, 1, 1) + timedelta(days=day), ZoneInfo(zone))
        moments += [midnight, midnight - timedelta(microseconds=1)]
    with ada.app.app_context(), transaction() as session:
        rows = [{"title": "x", "owner_id": ada.user_id, "created_at": moment, "version": 1} for moment in moments]
        session.execute(insert(Task), rows)
    expected: dict[str, int] = {}
    for moment in moments:
        day = str(moment.astimezone(ZoneInfo(zone)).date())
        expected[day] = expected.get(day, 0) + 1
    found = daily(ada, f"tz={zone}&from=2026-01-01&to=2026-12-31")
    inside = {day: (count, 0) for day, count in expected.items() if day.startswith("2026")}
    assert found == inside


def test_every_zone_can_be_asked_for() -> None:
    for name in sorted(available_timezones()):
        zone = zones.find(name)
        assert zone.key == name
        assert zones.first_moment(date(1900, 1, 1), zone) < zones.first_moment(date(2999, 12, 31), zone)


@pytest.mark.parametrize(
    ("now", "zone", "overdue"),
    [
        ("2026-03-28T22:59:59+00:00", "Europe/Berlin", 0),
        ("2026-03-28T23:00:00+00:00", "Europe/Berlin", 1),
        ("2026-03-28T23:00:00+00:00", "UTC", 0),
        ("2026-03-28T10:59:59+00:00", "Pacific/Auckland", 0),
        ("2026-03-28T11:00:00+00:00", "Pacific/Auckland", 1),
        ("2026-03-29T06:59:59+00:00", "America/Los_Angeles", 0),
        ("2026-03-29T07:00:00+00:00", "America/Los_Angeles", 1),
    ],
)
def test_overdue_is_decided_by_the_day_in_the_zone(
    ada: Person, at: Callable[[str], None], now: str, zone: str, overdue: int
) -> None:
    ada.create_task(due_date="2026-03-28")
    at(now)
    assert stats(ada, f"tz={zone}")["overdue"] == overdue


def test_a_task_becomes_overdue_at_midnight_without_any_write(ada: Person, at: Callable[[str], None]) -> None:
    ada.create_task(due_date="2026-10-25")
    at("2026-10-25T22:59:59+00:00")
    before = stats(ada, "tz=Europe/Berlin")
    at("2026-10-25T23:00:00+00:00")
    after = stats(ada, "tz=Europe/Berlin")
    assert (before["overdue"], before["to"]) == (0, "2026-10-25")
    assert (after["overdue"], after["to"]) == (1, "2026-10-26")


# --- whose tasks --------------------------------------------------------------


def test_a_member_counts_nothing_of_others(ada: Person, bob: Person) -> None:
    bob.create_task(status="completed", due_date="2020-01-01")
    bob.create_task(due_date="2020-01-01")
    data = stats(ada)
    assert (data["total"], data["by_status"], data["overdue"]) == (0, NONE, 0)
    assert data["mean_completion_seconds"] is None
    assert data["per_user"] is None
    assert sum(row["created"] + row["completed"] for row in data["per_day"]) == 0
    bob.create_task(assignee_id=ada.user_id)
    assert stats(ada)["by_status"] == {**NONE, "pending": 1}
    assert stats(bob)["total"] == 3


def test_an_administrator_counts_everything_and_per_person(ada: Person, bob: Person, admin: Person) -> None:
    ada.create_task(assignee_id=bob.user_id)
    ada.create_task(status="completed")
    bob.create_task(status="cancelled")
    data = stats(admin)
    assert data["by_status"] == {**NONE, "pending": 1, "completed": 1, "cancelled": 1}
    assert data["per_user"] == [
        {"user_id": ada.user_id, "by_status": {**NONE, "pending": 1, "completed": 1}},
        {"user_id": bob.user_id, "by_status": {**NONE, "cancelled": 1}},
    ]


def test_numbers_can_be_narrowed_to_a_project_by_its_members(ada: Person, bob: Person, admin: Person) -> None:
    with ada.app.app_context(), transaction() as session:
        project = Project(key="ZOO", name="Zoo")
        session.add(project)
        session.flush()
        session.add(ProjectMember(project_id=project.id, user_id=ada.user_id, role=ProjectRole.VIEWER))
        number = project.id
    store(ada, "2026-03-01T00:00:00+00:00", project_id=number)
    store(ada, "2026-03-01T00:00:00+00:00")
    assert stats(ada, f"project_id={number}")["total"] == 1
    assert stats(admin, f"project_id={number}")["total"] == 1
    assert stats(ada)["total"] == 2
    assert bob.get(f"/stats?project_id={number}").status_code == 403
    with ada.app.app_context(), transaction() as session:
        session.add(ProjectMember(project_id=number, user_id=bob.user_id, role=ProjectRole.VIEWER))
    assert bob.get(f"/stats?project_id={number}").status_code == 200
    for person in (ada, admin):
        assert person.get("/stats?project_id=999999").status_code == 400


@on_sqlite
def test_nobody_sees_statistics_without_credentials(anonymous: Person) -> None:
    assert anonymous.get("/stats").status_code == 401


# --- never stale --------------------------------------------------------------


def test_the_numbers_are_right_directly_after_every_kind_of_write(ada: Person, bob: Person, admin: Person) -> None:
    people = (ada, bob, admin)

    def totals() -> list[dict[str, int]]:
        return [{name: count for name, count in stats(person)["by_status"].items() if count} for person in people]

    assert totals() == [{}, {}, {}]
    task = ada.create_task()
    assert totals() == [{"pending": 1}, {}, {"pending": 1}]
    ada.put(f"/tasks/{task['id']}/status", {"status": "completed"})
    assert totals() == [{"completed": 1}, {}, {"completed": 1}]
    ada.patch(f"/tasks/{task['id']}", {"assignee_id": bob.user_id})
    assert totals() == [{"completed": 1}, {"completed": 1}, {"completed": 1}]
    # Handed over, as a transfer does it: by one statement that no object notices.
    with ada.app.app_context(), transaction() as session:
        session.execute(update(Task).values(owner_id=bob.user_id, assignee_id=None))
    assert totals() == [{}, {"completed": 1}, {"completed": 1}]
    assert stats(admin)["per_user"][0]["user_id"] == bob.user_id
    bob.delete(f"/tasks/{task['id']}")
    assert totals() == [{}, {}, {}]
    # Not even a write past the application is missed.
    with ada.app.app_context(), db.engine.begin() as connection:
        connection.execute(insert(Task).values(title="x", owner_id=ada.user_id))
    assert totals() == [{"pending": 1}, {}, {"pending": 1}]


def test_what_is_rolled_back_is_not_counted(ada: Person) -> None:
    ada.create_task()
    assert stats(ada)["total"] == 1

    def fail() -> None:
        with transaction() as session:
            session.add(Task(title="x", owner_id=ada.user_id))
            session.flush()
            raise NotFound("Something else is missing.")

    with ada.app.app_context(), pytest.raises(NotFound):
        fail()
    assert stats(ada)["total"] == 1


def test_two_applications_never_show_each_other_stale_numbers(
    ada: Person, remake_app: Callable[..., Flask], statements: list[str]
) -> None:
    """Two applications on one database keep memos of their own, as two processes do."""
    here = ada
    there = ada.at(remake_app())
    source = random.Random(7)
    counts = dict.fromkeys(NONE, 0)
    ids: list[tuple[int, str]] = []
    stale = 0
    # Long enough for each way to write, by either, to be followed by each way to read.
    for number in range(60):
        writer = source.choice((here, there))
        if not ids or source.random() < 0.5:
            status = source.choice(list(TaskStatus)).value
            ids.append((writer.create_task(status=status)["id"], status))
            counts[status] += 1
        else:
            task_id, old = ids.pop(source.randrange(len(ids)))
            counts[old] -= 1
            if source.random() < 0.5:
                assert writer.delete(f"/tasks/{task_id}").status_code == 204
            else:
                new = source.choice([status.value for status in TaskStatus if status.value != old])
                assert writer.put(f"/tasks/{task_id}/status", {"status": new}).status_code == 200
                ids.append((task_id, new))
                counts[new] += 1
        for reader in (here, there) if number % 2 else (there, here):
            stale += stats(reader, "from=2026-01-01&to=2026-01-01")["by_status"] != counts
    assert stale == 0


def test_parallel_writers_and_readers_never_see_fewer_tasks_than_were_acknowledged(ada: Person) -> None:
    acknowledged = 0
    lock = threading.Lock()
    stop = threading.Event()
    wrong: list[str] = []

    def write() -> None:
        nonlocal acknowledged
        person = ada.at(ada.app)
        for _ in range(15):
            person.create_task()
            with lock:
                acknowledged += 1

    def read() -> None:
        person = ada.at(ada.app)
        while not stop.is_set():
            least = acknowledged
            data = stats(person)
            if not least <= data["total"] == sum(row["created"] for row in data["per_day"]):
                wrong.append(f"{least} were stored, {data['total']} counted")

    readers = [threading.Thread(target=read) for _ in range(2)]
    writers = [threading.Thread(target=write) for _ in range(4)]
    for thread in [*readers, *writers]:
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    for thread in readers:
        thread.join()
    assert wrong == []
    assert stats(ada)["total"] == acknowledged == 60


# --- what it costs ------------------------------------------------------------


def test_an_answer_that_is_kept_takes_only_the_statement_that_lets_its_caller_in(
    ada: Person, admin: Person, statements: list[str]
) -> None:
    for _ in range(5):
        ada.create_task()
    for person in (ada, admin):
        statements.clear()
        first = stats(person)
        assert len(statements) <= 6, statements
        statements.clear()
        assert stats(person) == first
        assert len(statements) == 1, statements
        assert "FROM tasks" not in "".join(statements)


def test_a_range_a_zone_and_a_caller_are_kept_apart(ada: Person, bob: Person) -> None:
    store(ada, "2026-05-01T23:00:00+00:00")
    queries = ("to=2026-05-01", "to=2026-05-02", "to=2026-05-02&tz=Europe/Berlin")
    expected = [{"2026-05-01": (1, 0)}, {"2026-05-01": (1, 0)}, {"2026-05-02": (1, 0)}]
    for _ in range(2):
        assert [daily(ada, query) for query in queries] == expected
        assert [daily(bob, query) for query in queries] == [{}, {}, {}]


# --- change marks -------------------------------------------------------------


def test_every_change_of_a_watched_table_changes_its_stamp(ada: Person) -> None:
    def stamps() -> dict[Topic, str]:
        with ada.app.app_context():
            return {topic: MarkRepository(db.session()).stamp(topic) for topic in Topic}

    def changed_by(statement: str) -> set[Topic]:
        before = stamps()
        with ada.app.app_context(), transaction() as session:
            session.execute(text(statement), {"me": ada.user_id, "now": "2026-01-01 00:00:00"})
        after = stamps()
        assert stamps() == after
        return {topic for topic in Topic if before[topic] != after[topic]}

    who = "created_at, updated_at, version) VALUES"
    project = f"INSERT INTO projects (id, key, name, archived, {who} (5, 'ZOO', 'Zoo', false, :now, :now, 1)"
    assert changed_by(project) == {Topic.PROJECTS}
    member = "INSERT INTO project_members (project_id, user_id, role, created_at) VALUES (5, :me, 'viewer', :now)"
    assert changed_by(member) == {Topic.PROJECT_MEMBERS}
    task = f"INSERT INTO tasks (id, title, status, owner_id, {who} (5, 'x', 'pending', :me, :now, :now, 1)"
    assert changed_by(task) == {Topic.TASKS}
    post = f"INSERT INTO posts (id, title, content, user_id, task_id, {who} (5, 'x', 'x', :me, 5, :now, :now, 1)"
    assert changed_by(post) == {Topic.POSTS}
    item = f"INSERT INTO items (id, name, price, created_by, {who} (5, 'x', 1, :me, :now, :now, 1)"
    assert changed_by(item) == {Topic.ITEMS}
    for topic in Topic:
        assert changed_by(f"UPDATE {topic} SET created_at = created_at") == {topic}
    # What goes along with what is deleted counts as well.
    assert changed_by("DELETE FROM tasks") == {Topic.TASKS, Topic.POSTS}
    assert changed_by("DELETE FROM projects") == {Topic.PROJECTS, Topic.PROJECT_MEMBERS}
    assert changed_by("SELECT 1") == set()


def test_a_change_in_a_savepoint_counts_only_if_it_is_kept(ada: Person) -> None:
    ada.create_task()
    assert stats(ada)["total"] == 1
    with ada.app.app_context(), transaction() as session:
        for keep in (False, True, False):
            savepoint = session.begin_nested()
            session.execute(insert(Task).values(title="x", owner_id=ada.user_id))
            savepoint.commit() if keep else savepoint.rollback()
    assert stats(ada)["total"] == 2


def test_a_transaction_that_writes_keeps_no_statistics(ada: Person) -> None:
    with ada.app.app_context(), pytest.raises(RuntimeError, match="no snapshot"), transaction():
        report(ada.actor)


@on_postgresql
def test_writers_do_not_wait_for_each_others_sums_and_none_is_lost(app: Flask, ada: Person, admin: Person) -> None:
    """Two transactions change tasks of one person, in any order, and neither waits."""
    with app.app_context():
        numbers = [ada.create_task()["id"] for _ in range(4)]
        for status in (TaskStatus.CANCELLED, TaskStatus.PENDING, TaskStatus.CANCELLED):
            with db.engine.connect() as one, db.engine.connect() as two:
                for connection in (one, two):
                    connection.execute(text("SET lock_timeout = '500ms'"))
                for connection, task_id in zip((one, two, one, two), numbers, strict=True):
                    connection.execute(update(Task).where(Task.id == task_id).values(status=status))
                two.commit()
                one.commit()
        assert stats(admin)["by_status"] == {"pending": 0, "in_progress": 0, "completed": 0, "cancelled": 4}
        shards = db.session.scalars(select(OwnerSums.shard).where(OwnerSums.owner_id == ada.user_id)).all()
        assert len(shards) == 2


@on_postgresql
def test_writers_do_not_wait_for_each_others_marks(app: Flask, ada: Person) -> None:
    """Two transactions change two tasks, in any order, and neither waits."""
    with app.app_context():
        ada.create_task()
        ada.create_task()
        first, second = db.session.scalars(select(Task.id).order_by(Task.id))
        change = update(Task).values(title="changed")
        with db.engine.connect() as one, db.engine.connect() as two:
            for connection in (one, two):
                connection.execute(text("SET lock_timeout = '500ms'"))
            one.execute(change.where(Task.id == first))
            two.execute(change.where(Task.id == second))
            one.execute(text("UPDATE users SET name = 'Ada Byron'"))
            two.execute(text("UPDATE project_members SET role = role"))
            two.commit()
            one.commit()
        marks = select(ChangeMark.shard).where(ChangeMark.topic == "tasks")
        assert len(db.session.scalars(marks).all()) == 2
        for _ in range(20):
            ada.create_task()
        assert len(db.session.scalars(marks).all()) == 2
