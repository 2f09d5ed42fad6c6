"""Single statements beside the session: what they see, and what becomes of them when the database is another one."""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import create_engine, literal, select
from sqlalchemy.exc import OperationalError

from core.platform.database.base import db
from core.platform.database.engine import current_reader
from core.platform.database.reader import Reader
from core.platform.database.session import transaction
from core.users.model import User
from tests.support.engines import on_sqlite
from tests.support.people import Person

NAMES = select(User.name).order_by(User.id)


def read(app: Flask) -> object:
    with app.app_context():
        row = current_reader().first(NAMES, {})
    assert row is not None
    return row[0]


def rename(app: Flask, name: str) -> None:
    with app.app_context(), transaction() as session:
        session.execute(User.__table__.update().values(name=name))


def kept(app: Flask) -> list[object]:
    with app.app_context():
        return [each.driver for each in current_reader()._idle]


def test_each_question_sees_what_was_committed_before_it_by_the_same_connection(app: Flask, ada: Person) -> None:
    rename(app, "One")
    assert read(app) == "One"
    connections = kept(app)
    assert len(connections) >= 1
    for name in ("Two", "Three"):
        rename(app, name)
        assert read(app) == name
    assert kept(app) == connections


def test_threads_that_ask_at_once_hear_the_same(app: Flask, ada: Person) -> None:
    rename(app, "Ada")
    with app.app_context():
        # Those of other tests, of which more may have asked at once.
        current_reader().close()
    heard: list[object] = []
    threads = [threading.Thread(target=lambda: heard.extend(read(app) for _ in range(30))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert heard == ["Ada"] * 120
    assert 1 <= len(kept(app)) <= 5


def test_a_connection_that_was_closed_is_replaced_within_the_question(app: Flask, ada: Person) -> None:
    rename(app, "Ada")
    assert read(app) == "Ada"
    for connection in kept(app):
        connection.close()  # type: ignore[attr-defined]
    assert read(app) == "Ada"
    assert read(app) == "Ada"
    assert len(kept(app)) == 1


def test_a_connection_counts_for_nobody_in_the_pool(app: Flask, ada: Person) -> None:
    read(app)
    with app.app_context():
        assert db.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


@on_sqlite
def test_a_file_that_was_moved_is_read_no_more(app: Flask, ada: Person) -> None:
    read(app)
    with app.app_context():
        path = Path(str(db.engine.url.database))
        elsewhere = path.with_name("moved.db")
        path.rename(elsewhere)
        try:
            with pytest.raises(OperationalError):
                current_reader().first(NAMES, {})
        finally:
            elsewhere.rename(path)
        assert current_reader().first(NAMES, {}) is not None


def test_a_database_in_memory_is_read_without_a_connection_of_its_own() -> None:
    engine = create_engine("sqlite://")
    reader = Reader(engine, path=None, opened=lambda _: None)
    assert reader.first(select(literal(7)), {}) == (7,)
    assert not reader._idle
    engine.dispose()


@on_sqlite
def test_what_nobody_has_changed_is_not_looked_up_again_and_a_change_is_seen_however_it_was_made(
    app: Flask, ada: Person
) -> None:
    rename(app, "One")
    assert read(app) == "One"
    (*_, driver) = kept(app)
    asked: list[str] = []
    driver.set_trace_callback(asked.append)
    try:
        assert [read(app) for _ in range(3)] == ["One"] * 3
        assert set(asked) == {"PRAGMA data_version"}
        path = driver.execute("PRAGMA database_list").fetchall()[0][2]
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            for name, then in (("Two", "SELECT 1"), ("Three", "PRAGMA wal_checkpoint(TRUNCATE)"), ("Four", "VACUUM")):
                other.execute("UPDATE users SET name = ?", (name,))
                assert read(app) == name
                other.execute(then).fetchall()
                assert read(app) == name
            other.execute("BEGIN IMMEDIATE")
            other.execute("UPDATE users SET name = 'Five'")
            assert read(app) == "Four"
            other.execute("ROLLBACK")
        assert read(app) == "Four"
        for number in range(10):
            rename(app, f"Name {number}")
            assert [read(app) for _ in range(3)] == [f"Name {number}"] * 3
    finally:
        driver.set_trace_callback(None)
