"""Migrations of PostgreSQL while people write: nobody is refused, and nobody waits for long."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import flask_migrate
import psycopg
import pytest
from flask import Flask
from sqlalchemy import text

from core.bootstrap import create_core_app
from core.platform.config.settings import Settings
from core.platform.database.base import db
from migrations import online
from tests.support.writers import Watch, Writers, fill


@pytest.fixture
def fresh(new_database_url: Callable[[], str], make_settings: Callable[..., Settings]) -> Iterator[Flask]:
    app = create_core_app(settings=make_settings(new_database_url(), "redis://127.0.0.1:1"))
    with app.app_context():
        yield app
        db.engine.dispose()


def plain_url() -> str:
    return db.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)


def test_an_old_release_goes_on_writing_while_a_new_one_migrates(fresh: Flask) -> None:
    flask_migrate.upgrade(revision="0001")
    fill(plain_url(), tasks=20_000)
    with Watch(plain_url()) as watch, Writers(plain_url(), clients=4) as writers:
        time.sleep(0.2)
        flask_migrate.upgrade()
        time.sleep(0.2)
    assert writers.errors == []
    assert writers.written > 20
    assert watch.longest < 1, watch.statement
    with db.engine.connect() as connection:
        # What was written meanwhile is found like everything else.
        found = (
            "SELECT count(*) FROM tasks WHERE search_vector @@ 'zebra'::tsquery OR search_vector @@ 'quokka'::tsquery"
        )
        assert connection.scalar(text(found)) == connection.scalar(text("SELECT count(*) FROM tasks")) > 20_000
        assert connection.scalar(text("SELECT count(*) FROM pg_index WHERE NOT indisvalid")) == 0
        assert connection.scalar(text("SELECT count(*) FROM pg_constraint WHERE NOT convalidated")) == 0


def test_who_is_in_the_way_is_waited_for_and_nobody_waits_behind(fresh: Flask) -> None:
    """A reader of everything holds a lock for long; others go on meanwhile."""
    flask_migrate.upgrade(revision="0001")
    fill(plain_url(), tasks=100)
    with psycopg.connect(plain_url()) as reader, Watch(plain_url()) as watch:
        reader.execute("SELECT count(*) FROM tasks")
        migrating = threading.Thread(target=migrate, args=(fresh,))
        migrating.start()
        with Writers(plain_url(), clients=2) as writers:
            time.sleep(1.5)
        assert migrating.is_alive()
        reader.rollback()
        migrating.join(60)
    assert writers.errors == []
    assert watch.longest < 1, watch.statement
    assert heads() == ["0002"]


def migrate(app: Flask) -> None:
    with app.app_context():
        flask_migrate.upgrade(revision="0002")
        db.session.remove()


def heads() -> list[str]:
    with db.engine.connect() as connection:
        return list(connection.execute(text("SELECT version_num FROM alembic_version")).scalars())


def test_a_migration_that_was_interrupted_anywhere_is_completed_by_the_next(
    fresh: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each change of an index, and each end of a transaction, is the last of one attempt."""
    flask_migrate.upgrade(revision="0001")
    fill(plain_url(), tasks=50)
    block = online._patient_block
    left = 0

    class Killed(Exception):
        pass

    def fail_in_time() -> AbstractContextManager[None]:
        nonlocal left
        left -= 1
        if left < 0:
            raise Killed
        return block()

    monkeypatch.setattr(online, "_patient_block", fail_in_time)
    for attempt in range(60):
        left = attempt
        try:
            flask_migrate.upgrade()
        except Killed:
            continue
        break
    assert attempt >= 5
    monkeypatch.undo()
    flask_migrate.check()


def test_an_index_of_an_interrupted_attempt_is_made_again(fresh: Flask) -> None:
    flask_migrate.upgrade(revision="0001")
    with psycopg.connect(plain_url(), autocommit=True) as database:
        database.execute("ALTER TABLE tasks ADD COLUMN due_date date")
        database.execute("CREATE INDEX ix_tasks_due_date_id ON tasks (due_date)")
        database.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_tasks_due_date_id'::regclass")
    flask_migrate.upgrade()
    flask_migrate.check()
