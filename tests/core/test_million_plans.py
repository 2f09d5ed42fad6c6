"""Plans of both engines where their statistics say that there are a million tasks: what small tables hide."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import flask_migrate
import pytest
from flask import Flask
from sqlalchemy import event, insert, select, text
from sqlalchemy.orm import Session

from core.bootstrap import create_core_app
from core.platform.access import Actor, Role
from core.platform.config.settings import Settings
from core.platform.database.base import db
from core.platform.database.filters import Filter
from core.platform.database.paging import PageRequest
from core.platform.database.ranges import Range
from core.posts import service as posts
from core.posts.model import Post
from core.projects.model import Project, ProjectMember, ProjectRole
from core.search import service as search
from core.stats import service as stats
from core.stats.repository import StatsRepository
from core.tasks import policy
from core.tasks import service as tasks
from core.tasks.fields import TaskStatus
from core.tasks.indexes import OPEN_BY_DUE_DATE
from core.tasks.model import Task
from core.users.model import User
from tests.support.tasks import analyze

ROWS, PEOPLE, MILLION = 3_000, 300, 1_000_000
START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
SORTS = [sign + name for name in sorted({*tasks.SORTABLE, "id"} - {"deleted_at"}) for sign in ("", "-")]
FILTERS = {
    "all": Filter(),
    "status": Filter({"status": [TaskStatus.PENDING]}),
    "overdue": Filter({"overdue": True}),
    "not overdue": Filter({"overdue": False}),
    "due": Filter(ranges={"due_date": Range({"gte": date(2026, 3, 1), "lt": date(2026, 3, 3)})}),
    "created": Filter(ranges={"created_at": Range({"gte": START + DAY})}),
    "updated": Filter(ranges={"updated_at": Range({"gte": START, "lt": START + DAY})}),
    "completed": Filter(ranges={"completed_at": Range({"gte": START, "lt": START + DAY})}),
    "owner": Filter({"owner_id": 7}),
    "assignee": Filter({"assignee_id": 7}),
    "deleted": Filter({"deleted": True}),
    "words": Filter({"q": "release"}),
}


@pytest.fixture(scope="module")
def session(new_database_url: Callable[[], str], make_settings: Callable[..., Settings]) -> Iterator[Session]:
    """A transaction in which the planner believes in a million tasks, and which is never committed."""
    app: Flask = create_core_app(settings=make_settings(new_database_url(), "redis://127.0.0.1:1"))
    with app.app_context():
        flask_migrate.upgrade()
        session = db.session()
        _fill(session)
        analyze(session)
        _claim_a_million(session)
        yield session
        session.rollback()
        db.session.remove()
        db.engine.dispose()


def _fill(session: Session) -> None:
    person = {"password_hash": "x", "role": Role.USER}
    people = [
        {"id": n, "username": f"user{n}", "email": f"user{n}@example.com", **person} for n in range(1, PEOPLE + 1)
    ]
    session.execute(insert(User), people)
    session.execute(insert(Project), [{"id": n, "key": _key(n), "name": "x"} for n in range(1, 401)])
    member = {"role": ProjectRole.OWNER}
    session.execute(
        insert(ProjectMember), [{"project_id": n, "user_id": 1 + n % PEOPLE, **member} for n in range(1, 401)]
    )
    kinds = list(TaskStatus)
    rows = [
        {
            "id": n,
            "title": f"Task {n * 7 % ROWS}",
            "description": "before the release" if n % 3 == 0 else "x",
            "status": kinds[n % 4],
            "owner_id": 1 + n % PEOPLE,
            "assignee_id": 1 + n * 7 % PEOPLE if n % 2 else None,
            "project_id": 1 + n % 400 if n % 3 else None,
            "due_date": (START + DAY * (n % 300)).date() if n % 3 else None,
            "created_at": START + timedelta(hours=n),
            "updated_at": START + timedelta(hours=n * 11 % ROWS),
            "completed_at": START + timedelta(hours=n) if n % 4 == 2 else None,
            "deleted_at": START if n % 100 == 0 else None,
            "version": 1,
        }
        for n in range(1, ROWS + 1)
    ]
    session.execute(insert(Task), rows)
    about = [{"title": "x", "content": "x", "user_id": 7, "task_id": n if n % 5 else None} for n in range(1, 1_000)]
    session.execute(insert(Post), about)


def _key(number: int) -> str:
    return "K" + "".join(chr(65 + part) for part in divmod(number, 26))


def _claim_a_million(session: Session) -> None:
    """Change what the planner knows of the tables, as if there were as many rows and as many of each value more."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("UPDATE pg_class SET reltuples = :n WHERE relname LIKE '%tasks%'"), {"n": MILLION})
        session.execute(text("UPDATE pg_class SET reltuples = :n WHERE relname LIKE '%posts%'"), {"n": MILLION / 10})
        return
    factor = MILLION // ROWS
    for name, stat in session.execute(text("SELECT idx, stat FROM sqlite_stat1 WHERE tbl IN ('tasks', 'posts')")).all():
        numbers = [int(word) for word in stat.split() if word.isdigit()]
        grown = [numbers[0] * factor, *(number * factor if number > 50 else number for number in numbers[1:])]
        session.execute(
            text("UPDATE sqlite_stat1 SET stat = :stat WHERE idx = :name"),
            {"stat": " ".join(map(str, grown)), "name": name},
        )
    session.execute(text("ANALYZE sqlite_master"))


def ways_through_tasks(session: Session, ask: Callable[[], object]) -> list[str]:
    """Return in which ways the statements of a question look for tasks, such as 'Index Scan pk_tasks'."""
    asked: list[tuple[str, Any]] = []

    def note(connection: object, cursor: object, statement: str, parameters: Any, *rest: object) -> None:
        if "tasks" in statement:
            asked.append((statement, parameters))

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        ask()
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    found: list[str] = []
    for statement, parameters in asked:
        connection = session.connection()
        if session.get_bind().dialect.name == "sqlite":
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            found += [row[-1] for row in plan if "tasks" in row[-1]]
        else:
            plan = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters).scalar_one()
            found += _nodes((plan if isinstance(plan, list) else json.loads(plan))[0]["Plan"])
    assert found
    return found


def _nodes(node: dict[str, Any]) -> Iterator[str]:
    index = node.get("Index Name", "")
    if node.get("Relation Name") == "tasks" or "_tasks" in index:
        # Which tasks are not in the trash tells nothing about which one is looked for.
        leads = [part for part in node.get("Index Cond", "").strip("()").split(") AND (") if "deleted_at" not in part]
        yield f"{node['Node Type']} {index}" + ("" if any(leads) or "Bitmap Heap" in node["Node Type"] else " SCAN")
    for child in node.get("Plans", []):
        yield from _nodes(child)


def looks_at_all(way: str) -> bool:
    # What is in the trash is an index of its own, as large as that.
    return ("SCAN" in way or "Seq Scan" in way) and "ix_tasks_deleted_at_id" not in way


def page(**changes: Any) -> PageRequest:
    return PageRequest(
        **{"number": 1, "size": 20, "cursor": None, "sort": None, "signing_keys": ("k" * 32,), **changes}
    )


MEMBER = Actor(7, Role.USER)
ADMIN = Actor(1, Role.ADMIN)


@pytest.mark.parametrize("sort", SORTS)
def test_no_list_of_a_member_looks_at_all_tasks_by_whatever_it_is_sorted(session: Session, sort: str) -> None:
    first = tasks.list_visible(MEMBER, page=page(size=2, sort=sort), filters=Filter())
    assert first.next_cursor is not None
    for request in (page(sort=sort), page(sort=sort, cursor=first.next_cursor)):
        ways = ways_through_tasks(session, lambda r=request: tasks.list_visible(MEMBER, page=r, filters=Filter()))
        assert not any(map(looks_at_all, ways)), ways


@pytest.mark.parametrize("name", FILTERS)
def test_no_list_of_a_member_looks_at_all_tasks_by_whatever_it_is_narrowed(session: Session, name: str) -> None:
    for request in (page(), page(cursor="")):
        ask = lambda r=request: tasks.list_visible(MEMBER, page=r, filters=FILTERS[name])  # noqa: E731
        ways = ways_through_tasks(session, ask)
        assert not any(map(looks_at_all, ways)), ways


@pytest.mark.parametrize("words", ["release", '"before the release"', "rel", "release xylophone"])
def test_no_search_of_a_member_looks_at_all_tasks(session: Session, words: str) -> None:
    ways = ways_through_tasks(session, lambda: search.search(MEMBER, text=words))
    assert not any(map(looks_at_all, ways)), ways


def test_no_sum_and_no_post_of_a_member_looks_at_all_tasks(session: Session) -> None:
    scope = policy.among_visible(MEMBER)
    sums = StatsRepository(session)
    for ask in (
        lambda: sums.sums(scope, today=date(2026, 3, 1), by_owner=False),
        lambda: session.execute(select(Task.id).where(scope)).all(),
        lambda: posts.list_visible(MEMBER, page=page(), filters=Filter()),
    ):
        ways = ways_through_tasks(session, ask)
        assert not any(map(looks_at_all, ways)), ways


def test_an_administrators_statistics_look_at_no_task_but_those_that_are_overdue(session: Session) -> None:
    ways = ways_through_tasks(session, lambda: stats.report(ADMIN))
    assert len(ways) == 1
    assert OPEN_BY_DUE_DATE in ways[0]
    assert not looks_at_all(ways[0])


@pytest.mark.parametrize("sort", [sort for sort in SORTS if "owner" not in sort and "assignee" not in sort])
def test_each_sort_of_all_tasks_walks_along_an_index(session: Session, sort: str) -> None:
    first = tasks.list_visible(ADMIN, page=page(size=2, sort=sort), filters=Filter())
    name = sort.removeprefix("-")
    for request in (page(sort=sort, cursor=""), page(sort=sort, cursor=first.next_cursor)):
        ways = ways_through_tasks(session, lambda r=request: tasks.list_visible(ADMIN, page=r, filters=Filter()))
        assert not any("Seq Scan" in way for way in ways), ways
        # By its number, a table of SQLite is in order itself.
        assert name == "id" or any(f"ix_tasks_{name}_id" in way for way in ways), ways


def test_what_nobody_is_assigned_to_ends_a_list_sorted_by_assignee_in_the_order_of_an_index(session: Session) -> None:
    for sort in ("assignee_id", "-assignee_id"):
        ask = lambda s=sort: tasks.list_visible(ADMIN, page=page(sort=s, cursor=""), filters=Filter())  # noqa: E731
        ways = ways_through_tasks(session, ask)
        if session.get_bind().dialect.name == "sqlite":  # PostgreSQL may walk along the numbers of all tasks as well.
            assert any("ix_tasks_unassigned_id" in way for way in ways), ways
        assert not any("Seq Scan" in way for way in ways), ways


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("overdue", "ix_tasks_open_due_date_id"),
        ("due", "ix_tasks_due_date_id_deleted_at"),
        ("updated", "ix_tasks_updated_at_id_deleted_at"),
        ("completed", "ix_tasks_completed_at_id_deleted_at"),
        ("status", "ix_tasks_status_id_deleted_at"),
        ("deleted", "ix_tasks_deleted_at_id"),
    ],
)
def test_what_narrows_the_list_of_all_tasks_is_counted_and_found_by_an_index(
    session: Session, name: str, index: str
) -> None:
    ways = ways_through_tasks(session, lambda: tasks.list_visible(ADMIN, page=page(), filters=FILTERS[name]))
    assert any(index in way for way in ways), ways
    assert not any(map(looks_at_all, ways)), ways
