"""Scheduled work: each slot of each entry once, whichever process runs or dies, and however the clock is set."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core.auth.model import LoginSession, RefreshToken
from core.files import service as files
from core.jobs import schedule
from core.jobs.kinds import CLEAN_UP
from core.jobs.model import Job, JobState, ScheduledSlot
from core.jobs.repository import JobRepository
from core.jobs.schedule import SCHEDULE, Entry, Missed
from core.operations.cleanup import clean_up
from core.platform import clock
from core.platform.config.current import current_settings
from core.platform.database.base import db
from core.platform.database.session import transaction
from core.tasks.model import Task
from tests.support.people import Person
from workers.scheduler import Ticker

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
QUARTER = timedelta(minutes=15)


def entry(missed: Missed = Missed.EACH, **options: Any) -> Entry:
    return Entry("test", CLEAN_UP, QUARTER, missed=missed, **options)


def slots() -> list[str]:
    """The times of day of the slots that have a job, in order."""
    rows = db.session.scalars(select(Job.payload).where(Job.kind == CLEAN_UP.name).order_by(Job.created_at)).all()
    db.session.commit()
    return sorted(row["slot"][11:16] for row in rows)


@pytest.fixture
def begun(app: Flask) -> Iterator[Callable[..., list[str]]]:
    """A function that tells what a schedule of one entry, first seen at noon, has ordered after more moments."""
    with app.app_context():

        def run(entry: Entry, *moments: datetime) -> list[str]:
            told = sum(schedule.order_due(moment, (entry,)) for moment in (NOON, *moments))
            assert told == len(slots())
            return slots()

        yield run


@pytest.mark.parametrize(
    ("every", "offset", "now", "newest"),
    [
        (QUARTER, timedelta(), "2026-11-20T12:14:59+00:00", "2026-11-20T12:00:00+00:00"),
        (QUARTER, timedelta(), "2026-11-20T12:15:00+00:00", "2026-11-20T12:15:00+00:00"),
        (timedelta(days=1), timedelta(hours=3), "2026-11-20T02:59:59+00:00", "2026-11-19T03:00:00+00:00"),
        (timedelta(days=7), timedelta(hours=6), "2026-11-23T06:00:00+00:00", "2026-11-23T06:00:00+00:00"),
        (timedelta(days=7), timedelta(hours=6), "2026-11-23T05:59:00+00:00", "2026-11-16T06:00:00+00:00"),
    ],
)
def test_slots_lie_on_the_clock_and_weeks_begin_on_monday(
    every: timedelta, offset: timedelta, now: str, newest: str
) -> None:
    found = Entry("test", CLEAN_UP, every, offset=offset).newest_slot(datetime.fromisoformat(now))
    assert found == datetime.fromisoformat(newest)


def test_a_new_entry_has_missed_nothing(begun: Callable[..., list[str]]) -> None:
    assert begun(entry()) == []
    assert begun(entry(), NOON + timedelta(minutes=14)) == []


def test_each_slot_gets_one_job_however_often_it_is_looked_at(begun: Callable[..., list[str]]) -> None:
    moments = [NOON + timedelta(minutes=minute) for minute in range(61) for _ in range(3)]
    assert begun(entry(), *moments) == ["12:15", "12:30", "12:45", "13:00"]


@pytest.mark.parametrize(
    ("missed", "expected"),
    [
        (Missed.EACH, ["12:15", "12:30", "12:45", "13:00"]),
        (Missed.LATEST, ["13:00"]),
        (Missed.SKIP, ["13:15"]),
    ],
)
def test_missed_slots_are_caught_up_or_passed_over_as_the_entry_says(
    begun: Callable[..., list[str]], missed: Missed, expected: list[str]
) -> None:
    late = NOON + timedelta(minutes=66)
    found = begun(entry(missed), late, late, NOON + timedelta(minutes=75))
    assert found == (expected if missed is Missed.SKIP else [*expected, "13:15"])


def test_an_outage_of_a_year_does_not_flood_the_queue(begun: Callable[..., list[str]]) -> None:
    found = begun(entry(), NOON + timedelta(days=365), NOON + timedelta(days=365))
    assert len(found) == schedule.MOST_MISSED
    assert found.count("12:00") == 2  # The newest slot, and one of the day before.


def test_a_clock_that_is_set_back_repeats_nothing(begun: Callable[..., list[str]]) -> None:
    forth = [NOON + QUARTER * number for number in range(1, 5)]
    assert begun(entry(), *forth, NOON + timedelta(minutes=20), *forth) == ["12:15", "12:30", "12:45", "13:00"]


def test_a_clock_that_was_years_ahead_does_not_stop_the_schedule(begun: Callable[..., list[str]]) -> None:
    found = begun(entry(Missed.LATEST), NOON + timedelta(days=3650), NOON + QUARTER, NOON + 2 * QUARTER)
    assert found == ["12:00", "12:15", "12:30"]


def test_three_schedulers_order_each_slot_once(app: Flask) -> None:
    moments = [NOON + timedelta(minutes=minute) for minute in range(61)]
    with app.app_context():
        schedule.order_due(NOON, (entry(),))
    failures: list[Exception] = []

    def follow() -> None:
        with app.app_context():
            try:
                ticker = Ticker((entry(),))
                for number, moment in enumerate(moments):
                    if number % 7 == 0:
                        ticker = Ticker((entry(),))  # A restart: the new one remembers nothing.
                    ticker.tick(moment)
                    db.session.remove()
            except Exception as error:  # noqa: BLE001 - shown by the test
                failures.append(error)

    threads = [threading.Thread(target=follow) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
    with app.app_context():
        assert Counter(slots()) == Counter(["12:15", "12:30", "12:45", "13:00"])


def test_of_many_who_take_a_slot_at_once_one_gets_it(app: Flask) -> None:
    start = threading.Barrier(5)
    taken: list[bool] = []

    def take() -> None:
        with app.app_context():
            start.wait()
            with transaction() as session:
                won = JobRepository(session).take_slot("test", NOON, None)
                time.sleep(0.05)
            taken.append(won)

    threads = [threading.Thread(target=take) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [False] * 4 + [True]


def test_a_slot_and_its_job_are_stored_together_or_not_at_all(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    with app.app_context():
        schedule.order_due(NOON, (entry(),))
        with monkeypatch.context() as patch:
            patch.setattr(schedule.jobs, "enqueue", lambda *args, **kwargs: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                schedule.order_due(NOON + QUARTER, (entry(),))
        assert schedule.order_due(NOON + QUARTER, (entry(),)) == 1
        assert slots() == ["12:15"]


def test_the_table_has_no_name_twice() -> None:
    assert len({line.name for line in SCHEDULE}) == len(SCHEDULE)


# --- the cleanup --------------------------------------------------------------------


def test_what_is_over_is_forgotten_and_nothing_else(app: Flask, ada: Person, at: Callable[[str], None]) -> None:
    ada.create_task()
    old_job, new_job = (_finished_job(ada, moment) for moment in ("2026-10-20T00:00:00+00:00", None))
    with app.app_context():
        now = clock.now()
        with transaction() as session:
            for name, end in (("old", now - timedelta(days=2)), ("new", now + timedelta(days=2))):
                session.add(LoginSession(id=name, user_id=ada.user_id, expires_at=end))
                session.flush()
                session.add(RefreshToken(jti=name, session_id="new", expires_at=end))
            session.add(ScheduledSlot(name="test", slot=now - timedelta(days=91)))
            session.add(ScheduledSlot(name="test", slot=now))
            for days in (29, 31):
                session.add(Task(title="Deleted", owner_id=ada.user_id, deleted_at=now - timedelta(days=days)))
        store_files()
        counts = clean_up(current_settings(), lambda: None)
        assert {name: count for name, count in counts.items() if count} == {
            "sessions": 1,
            "refresh_tokens": 1,
            "tasks": 1,
            "files": 1,
            "jobs": 1,
        }
        assert {row.id for row in db.session.scalars(select(LoginSession))} >= {"new"}
        assert db.session.get(LoginSession, "old") is None
        assert db.session.get(RefreshToken, "old") is None
        assert db.session.get(RefreshToken, "new") is not None
        assert db.session.get(Job, old_job) is None
        assert db.session.get(Job, new_job) is not None
        assert len(db.session.scalars(select(ScheduledSlot)).all()) == 1
        assert len(db.session.scalars(select(Task)).all()) == 2
        assert clean_up(current_settings(), lambda: None) == dict.fromkeys(counts, 0)
    assert ada.get("/auth/me").status_code == 200


def _finished_job(person: Person, finished: str | None) -> Any:
    with person.app.app_context(), transaction() as session:
        end = datetime.fromisoformat(finished) if finished else clock.now()
        job = Job(kind=CLEAN_UP.name, payload={}, max_attempts=1, state=JobState.SUCCEEDED, finished_at=end)
        session.add(job)
        session.flush()
        return job.id


def store_files() -> None:
    """Store a file that has expired and one that has not."""
    for days in (-1, 1):
        files.store(BytesIO(b"text"), name="a.txt", media_type="text/plain", kept_for=timedelta(days=days))
