"""Page 50,000 costs what page 1 costs: the engine starts in the right place of an index and sorts nothing."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import flask_migrate
import pytest
from flask import Flask
from sqlalchemy import event, insert, text
from sqlalchemy.engine import Connection

from core.auth import accounts
from core.bootstrap import create_core_app
from core.platform.access import Actor, Role
from core.platform.config.settings import Settings
from core.platform.database import paging
from core.platform.database.base import db
from core.platform.database.filters import Filter
from core.platform.database.paging import PageRequest
from core.platform.database.session import transaction
from core.tasks import service as tasks
from core.tasks.fields import TaskStatus
from core.tasks.model import Task
from core.tasks.repository import TaskRepository
from tests.support.people import PASSWORD
from tests.support.tasks import analyze

ROWS = 5_000
START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def crowded(
    new_database_url: Callable[[], str], make_settings: Callable[..., Settings]
) -> Iterator[tuple[Flask, Actor]]:
    """An application with very many tasks and their administrator, which all tests here share."""
    app = create_core_app(settings=make_settings(new_database_url(), "redis://127.0.0.1:1"))
    with app.app_context():
        flask_migrate.upgrade()
        admin = accounts.create(username="admin", email="admin@example.com", password=PASSWORD, role=Role.ADMIN)
        rows = [
            {
                "title": f"Task {number}",
                "status": TaskStatus.PENDING,
                "owner_id": admin.id,
                "version": 1,
                "created_at": START + timedelta(seconds=number),
                "updated_at": START,
                "due_date": None if number % 3 else (START + timedelta(days=number % 400)).date(),
            }
            for number in range(ROWS)
        ]
        with transaction() as session:
            session.execute(insert(Task), rows)
            analyze(session)
        yield app, Actor(admin.id, Role.ADMIN)
        db.engine.dispose()


@pytest.fixture
def app(crowded: tuple[Flask, Actor]) -> Iterator[Flask]:
    """Application of the module, with nothing in its trash."""
    app, _ = crowded
    yield app
    with app.app_context(), transaction() as session:
        if session.execute(text("UPDATE tasks SET deleted_at = NULL WHERE deleted_at IS NOT NULL")).rowcount:
            analyze(session)


@pytest.fixture
def many(crowded: tuple[Flask, Actor]) -> Actor:
    """The administrator of many tasks, of which the planner has statistics."""
    return crowded[1]


@pytest.fixture
def queries(app: Flask) -> Iterator[list[tuple[str, Any]]]:
    seen: list[tuple[str, Any]] = []

    def note(connection: Connection, cursor: object, statement: str, parameters: Any, *rest: object) -> None:
        seen.append((statement, parameters))

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


def explain(statement: str, parameters: Any) -> str:
    """Return the plan of a statement as the engine would run it now."""
    is_sqlite = db.engine.dialect.name == "sqlite"
    prefix = (
        "EXPLAIN QUERY PLAN " if is_sqlite else "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) "
    )
    rows = db.session.connection().exec_driver_sql(prefix + statement, parameters)
    return "\n".join(str(row[-1]) for row in rows)


def page(cursor: str, sort: str | None) -> PageRequest:
    return PageRequest(number=1, size=20, cursor=cursor, sort=sort, signing_keys=("k" * 32,))


@pytest.mark.parametrize(
    ("sort", "index"),
    [
        (None, "ix_tasks_created_at_id_deleted_at"),
        ("created_at", "ix_tasks_created_at_id_deleted_at"),
        ("-id", "pk_tasks"),
        ("id", "pk_tasks"),
    ],
)
def test_a_cursor_deep_in_the_list_is_found_by_an_index_without_sorting(
    app: Flask, many: Actor, queries: list[tuple[str, Any]], sort: str | None, index: str
) -> None:
    with app.app_context():
        deep = page("", sort)
        for _ in range(4):
            listed = tasks.list_visible(many, page=deep, filters=Filter())
            deep = page(listed.next_cursor or "", sort)
        # A cursor far down costs no walk: take the last row but twenty.
        queries.clear()
        tasks.list_visible(many, page=deep, filters=Filter())
        statement, parameters = next(query for query in queries if "FROM tasks" in query[0])
        plan = explain(statement, parameters)
    assert "TEMP B-TREE" not in plan
    assert "Sort" not in plan
    if db_is_sqlite(app):
        assert f"USING INDEX {index}" in plan or "USING INTEGER PRIMARY KEY" in plan, plan
        assert "SEARCH tasks" in plan, plan
    else:
        assert f"using {index} on tasks" in plan, plan
        assert "Index Cond" in plan, plan
        removed = [line for line in plan.splitlines() if "Rows Removed by Filter" in line]
        assert all(int(line.rsplit(" ", 1)[1]) <= 1 for line in removed), plan


def db_is_sqlite(app: Flask) -> bool:
    with app.app_context():
        return db.engine.dialect.name == "sqlite"


def test_a_full_trash_costs_the_list_of_everything_else_nothing(
    app: Flask, many: Actor, queries: list[tuple[str, Any]]
) -> None:
    with app.app_context():
        with transaction() as session:
            session.execute(text("UPDATE tasks SET deleted_at = updated_at WHERE id % 2 = 0"))
            analyze(session)
        queries.clear()
        found = tasks.list_visible(many, page=replace(page("", None), cursor=None), filters=Filter())
        asked = [query for query in queries if "FROM tasks" in query[0]]
        counted, listed = [explain(*query) for query in asked]
    assert found.total == ROWS // 2
    assert "ix_tasks_created_at_id_deleted_at" in listed, listed
    assert "TEMP B-TREE" not in listed
    assert "Sort" not in listed
    if db_is_sqlite(app):
        # PostgreSQL may prefer the whole table where it is as small as here.
        assert "COVERING INDEX" in counted, counted


@pytest.mark.parametrize("by_time", [True, False])
def test_the_trash_is_found_by_an_index_of_its_own(
    app: Flask, many: Actor, queries: list[tuple[str, Any]], by_time: bool
) -> None:
    with app.app_context():
        with transaction() as session:
            session.execute(text("UPDATE tasks SET deleted_at = updated_at WHERE id % 500 = 0"))
            analyze(session)
        queries.clear()
        if by_time:
            with transaction() as session:
                TaskRepository(session).purge_trashed_before(START + timedelta(days=1), 500)
        else:
            tasks.list_visible(many, page=page("", None), filters=Filter({"deleted": True}))
        statement, parameters = next(query for query in queries if "FROM tasks" in query[0])
        plan = explain(statement, parameters)
    assert "ix_tasks_deleted_at_id" in plan, plan


def test_the_own_tasks_of_somebody_are_found_by_their_own_index(
    app: Flask, many: Actor, queries: list[tuple[str, Any]]
) -> None:
    with app.app_context():
        queries.clear()
        tasks.list_visible(many, page=page("", None), filters=Filter({"owner_id": many.user_id + 1}))
        statement, parameters = next(query for query in queries if "FROM tasks" in query[0])
        plan = explain(statement, parameters)
    assert "ix_tasks_owner_id_created_at_id" in plan, plan
    assert "TEMP B-TREE" not in plan
    assert "Sort" not in plan


def test_rows_beyond_the_bound_are_not_counted_and_the_answer_says_so(
    app: Flask, many: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    with app.app_context():
        whole = replace(page("", None), cursor=None)
        exact = tasks.list_visible(many, page=whole, filters=Filter())
        assert exact.total is not None
        assert exact.total_is_exact
        monkeypatch.setattr(paging, "MOST_COUNTED", exact.total - 1)
        counted = tasks.list_visible(many, page=whole, filters=Filter())
    assert (counted.total, counted.total_is_exact) == (exact.total - 1, False)
    assert counted.items == exact.items
    assert counted.next_cursor is not None
