"""The one way to write: all or nothing, no lost update, no lock error, on both engines."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import psycopg
import pytest
from flask import Flask
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.exc import IntegrityError, OperationalError

from core.bootstrap import create_core_app
from core.platform.access import Actor
from core.platform.config.settings import Settings
from core.platform.database.base import db
from core.platform.database.engine import LOCK_SECONDS
from core.platform.database.session import LockedTooLong, lock_patience, snapshot, streaming, transaction
from core.platform.database.statements import find_locked
from core.platform.errors import Conflict, NotFound
from core.platform.preconditions import ANY_STATE
from core.tasks import service as tasks
from core.tasks.model import Task
from core.tasks.repository import TaskRepository
from core.users.model import User
from tests.support.engines import on_postgresql
from tests.support.people import Person


def run_in_threads(app: Flask, count: int, work: Callable[[int], None]) -> list[Exception]:
    errors: list[Exception] = []

    def run(number: int) -> None:
        try:
            with app.app_context():
                work(number)
        except Exception as error:  # noqa: BLE001 - whatever it is, the test has to see it
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def test_parallel_changes_of_one_task_lose_nothing_and_never_fail_on_a_lock(app: Flask, ada: Person) -> None:
    task_id = ada.create_task(description="")["id"]

    def append(number: int) -> None:
        for _ in range(15):
            with transaction() as session:
                task = find_locked(session, Task, task_id)
                assert task is not None
                task.description = (task.description or "") + "x"

    assert run_in_threads(app, 8, append) == []
    with app.app_context():
        task = tasks.get(ada.actor, task_id=task_id)
        assert task.description == "x" * 120
        assert task.version == 121


@contextmanager
def held(app: Flask) -> Iterator[None]:
    """Hold the locks of all tasks in another transaction, for five seconds at most."""
    holds, done = threading.Event(), threading.Event()

    def hold(number: int) -> None:
        with transaction() as session:
            session.execute(update(Task).values(title="Held"))
            holds.set()
            done.wait(5)

    thread = threading.Thread(target=run_in_threads, args=(app, 1, hold))
    thread.start()
    holds.wait(5)
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_a_transaction_waits_no_longer_than_its_patience(app: Flask, ada: Person) -> None:
    ada.create_task()

    def rename() -> None:
        with transaction(patience=0.2) as session:
            session.execute(update(Task).values(title="Mine"))

    with held(app), app.app_context():
        began = time.monotonic()
        with pytest.raises(OperationalError):
            rename()
        assert time.monotonic() - began < 4


@on_postgresql  # SQLite has one lock, which a writer has.
def test_a_part_of_a_transaction_may_have_less_patience_than_the_rest(app: Flask, ada: Person) -> None:
    ada.create_task()

    def rename() -> None:
        with transaction() as session, lock_patience(session, 1):
            session.execute(update(Task).values(title="Mine"))

    with held(app), app.app_context(), pytest.raises(LockedTooLong):
        rename()
    patience = text("SHOW lock_timeout")
    with app.app_context(), transaction() as session:
        with lock_patience(session, 1):
            assert session.scalar(patience) == "1s"
        assert session.scalar(patience) == f"{LOCK_SECONDS:.0f}s"


def test_reading_before_writing_does_not_upgrade_a_read_transaction(app: Flask, ada: Person) -> None:
    """SQLite answers such an upgrade with 'database is locked' at once, whatever the timeout."""
    task_id = ada.create_task()["id"]

    def read_then_write(number: int) -> None:
        for _ in range(10):
            tasks.get(ada.actor, task_id=task_id)
            tasks.change(ada.actor, ANY_STATE, task_id=task_id, title=f"{number}")

    assert run_in_threads(app, 6, read_then_write) == []


def test_an_error_rolls_everything_back(app: Flask, ada: Person) -> None:
    task_id = ada.create_task()["id"]

    def fail() -> None:
        with transaction() as session:
            session.get_one(Task, task_id).title = "Half"
            session.flush()
            raise NotFound("Something else is missing.")

    with app.app_context():
        with pytest.raises(NotFound):
            fail()
        assert db.session.scalar(select(Task.title)) == "Water the plants"


def test_a_snapshot_ends_with_what_fails_in_it(app: Flask, ada: Person) -> None:
    """Else what follows would read that old state, or a transaction that PostgreSQL has given up."""

    def fail() -> None:
        with snapshot() as session:
            assert session.scalar(select(User.username)) == "ada"
            raise NotFound("Something else is missing.")

    with app.app_context():
        with pytest.raises(NotFound):
            fail()
        assert not db.session().in_transaction()


def test_a_snapshot_is_of_now_whatever_was_read_before(app: Flask, ada: Person) -> None:
    def create(number: int) -> None:
        tasks.create(ada.actor, title="Water the plants")

    with app.app_context():
        assert db.session.scalars(select(Task.title)).all() == []
        assert run_in_threads(app, 1, create) == []
        with snapshot() as session:
            assert session.scalars(select(Task.title)).all() == ["Water the plants"]


@on_postgresql  # SQLite always reads as it goes.
def test_a_stream_comes_from_the_server_in_parts_and_shows_one_state(app: Flask, ada: Person) -> None:
    with app.app_context(), streaming() as connection:
        tasks_there = select(func.count()).select_from(Task)
        assert connection.scalar(tasks_there) == 0
        ada.create_task()
        with connection.execute(tasks_there) as result:
            assert isinstance(result.cursor, psycopg.ServerCursor)
            assert result.scalar() == 0


def test_a_task_that_was_read_before_is_judged_as_it_is_now(app: Flask, ada: Person) -> None:
    task_id = ada.create_task()["id"]

    def rename(number: int) -> None:
        tasks.change(ada.actor, ANY_STATE, task_id=task_id, title="Renamed")

    with app.app_context():
        before = TaskRepository(db.session()).find_access(ada.actor, task_id)
        assert run_in_threads(app, 1, rename) == []
        with transaction() as session:
            now = TaskRepository(session).find_access(ada.actor, task_id, lock=True)
            assert before is not None
            assert now is not None
            assert now.task is before.task
            assert now.task.title == "Renamed"


def test_a_service_inside_a_transaction_joins_it(app: Flask, ada: Person) -> None:
    def fail() -> None:
        with transaction():
            tasks.create(ada.actor, title="Never stored")
            raise NotFound("Something else is missing.")

    with app.app_context():
        with pytest.raises(NotFound):
            fail()
        assert db.session.scalars(select(Task)).all() == []


def test_a_change_outside_a_transaction_is_a_bug(app: Flask, ada: Person) -> None:
    task_id = ada.create_task()["id"]
    with app.app_context():
        db.session.get_one(Task, task_id).title = "Stray"
        with pytest.raises(RuntimeError, match="outside transaction"):
            db.session.commit()
        db.session.rollback()


def test_a_race_for_a_unique_name_is_a_conflict_that_names_the_field(app: Flask, ada: Person) -> None:
    def add() -> None:
        with transaction() as session:
            session.add(User(username="ADA", email="other@example.com", password_hash="x"))

    with app.app_context(), pytest.raises(Conflict) as caught:
        add()
    assert caught.value.details == {"username": ["This value is already taken."]}


def test_foreign_keys_and_checks_are_enforced(app: Flask, ada: Person) -> None:
    def owned_by_nobody() -> None:
        with transaction() as session:
            session.add(Task(title="x", owner_id=10**9))

    def unknown_status() -> None:
        with transaction() as session:
            session.execute(text("UPDATE users SET role = 'king'"))

    with app.app_context():
        for broken in (owned_by_nobody, unknown_status):
            with pytest.raises(IntegrityError):
                broken()


def test_sqlite_is_durable_and_shared(make_settings: Callable[..., Settings], tmp_path: Path) -> None:
    """On an application as installations have it: that of the other tests waits for no disk."""
    app = create_core_app(settings=make_settings(f"sqlite:///{tmp_path / 'test.db'}", "redis://127.0.0.1:1"))
    with app.app_context():
        pragmas = {
            name: db.session.scalar(text(f"PRAGMA {name}"))
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
        db.session.remove()
        db.engine.dispose()
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 15_000}


def test_a_moment_comes_back_in_utc_whatever_zone_it_was_given_in(app: Flask, ada: Person) -> None:
    given = datetime(2026, 3, 29, 3, 30, 0, 123456, tzinfo=timezone(timedelta(hours=5, minutes=45)))
    with app.app_context():
        with transaction() as session:
            session.execute(
                insert(Task).values(title="x", owner_id=ada.user_id, created_at=given, version=1, status="pending")
            )
        stored = db.session.scalar(select(Task.created_at))
        assert stored == given
        assert stored is not None
        assert stored.tzinfo is UTC


def test_a_moment_without_a_zone_is_refused(app: Flask, ada: Person) -> None:
    with app.app_context(), pytest.raises(Exception, match="without a time zone"), transaction() as session:
        session.add(Task(title="x", owner_id=ada.user_id, created_at=datetime(2026, 1, 1)))


def test_the_domain_refuses_what_the_api_would_have_refused(app: Flask, ada: Person) -> None:
    """Commands and imports come in by other doors than HTTP."""
    from core.auth import accounts
    from core.platform.errors import Invalid

    with app.app_context():
        for fields in (
            {"title": " "},
            {"title": "x" * 151},
            {"title": "a\x00b"},
            {"title": "x", "description": "\ud800"},
        ):
            with pytest.raises(Invalid):
                tasks.create(Actor(ada.user_id, ada.role), **fields)
        for name, email, password in (
            ("a b", "x@example.com", "long enough"),
            ("eve", "nonsense", "long enough"),
            ("eve", "x@localhost", "long enough"),
            ("eve", "x@example.com", "short"),
        ):
            with pytest.raises(Invalid):
                accounts.create(username=name, email=email, password=password)
