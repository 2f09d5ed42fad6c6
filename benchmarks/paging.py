"""Measure lists on a database of its own: `python benchmarks/paging.py <database URL> <number of tasks>`.

The database must be empty or made by an earlier run. Prints the median time of
the first page, of a page deep in the list by cursor, and by number, for an
administrator who sees all tasks and for a member who sees a thousandth.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable

import flask_migrate
from sqlalchemy import func, select, text

from core.bootstrap import create_core_app
from core.platform.access import Actor, Role
from core.platform.config.load import load_settings
from core.platform.database.base import db
from core.platform.database.filters import Filter
from core.platform.database.paging import PageRequest
from core.platform.database.session import transaction
from core.tasks import service as tasks
from core.tasks.model import Task

ROUNDS = 15
MEMBERS = 1_000

USERS = """
INSERT INTO users (username, email, password_hash, role, is_active, created_at, updated_at)
SELECT 'user' || n, 'user' || n || '@example.com', 'x', 'user', true, '2026-01-01', '2026-01-01' FROM numbers
"""
TASKS = """
INSERT INTO tasks (title, status, owner_id, version, created_at, updated_at)
SELECT 'Task ' || n, 'pending', (SELECT min(id) FROM users) + n % :members, 1, {moment}, '2026-01-01' FROM numbers
"""
NUMBERS = "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :count)"
MOMENTS = {
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f', '2026-01-01', n || ' seconds')",
    "postgresql": "timestamptz '2026-01-01' + n * interval '1 second'",
}


def fill(count: int) -> None:
    """Create the tasks in the database itself, which is the fastest way."""
    flask_migrate.upgrade()
    if (db.session.scalar(select(func.count()).select_from(Task)) or 0) >= count:
        return
    moment = MOMENTS[db.engine.dialect.name]
    with transaction() as session:
        for statement, values in ((USERS, {"count": MEMBERS}), (TASKS, {"count": count, "members": MEMBERS})):
            head, _, tail = statement.strip().partition("\n")
            session.execute(text(f"{head} {NUMBERS} {tail}".format(moment=moment)), values)
    with transaction() as session:
        session.execute(text("ANALYZE"))


def median(work: Callable[[], object]) -> float:
    """Return the median milliseconds of some rounds, after one to warm up."""
    work()
    times = []
    for _ in range(ROUNDS):
        db.session.remove()
        start = time.perf_counter()
        work()
        times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times)


def page(**changes: object) -> PageRequest:
    whole: dict[str, object] = {"number": 1, "size": 20, "cursor": None, "sort": None, "signing_keys": ("k" * 32,)}
    return PageRequest(**{**whole, **changes})  # type: ignore[arg-type]


def deep_cursor(actor: Actor, number: int) -> str:
    """Return the cursor after page `number`."""
    found = tasks.list_visible(actor, page=page(number=number), filters=Filter())
    return found.next_cursor or ""


def measure(name: str, actor: Actor, deep: int) -> None:
    """Print the times of one person."""

    def read(request: PageRequest) -> object:
        return tasks.list_visible(actor, page=request, filters=Filter())

    first = median(lambda: read(page(cursor="")))
    cursor = deep_cursor(actor, deep)
    by_cursor = median(lambda: read(page(cursor=cursor)))
    numbered = median(lambda: read(page(number=1)))
    print(
        f"{name:<8} first page {first:6.1f} ms   page {deep} by cursor {by_cursor:6.1f} ms"
        f" (ratio {by_cursor / first:.2f})   page 1 with total {numbered:6.1f} ms"
    )


def main() -> None:
    """Fill the database and print the figures."""
    url, count = sys.argv[1], int(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings("testing", environ={"TASKLANE_INSTANCE_PATH": folder}, overrides={"database_url": url})
        app = create_core_app(settings=settings)
        with app.app_context():
            fill(count)
            member = db.session.scalar(text("SELECT min(id) FROM users"))
            print(f"{db.engine.dialect.name}, {count} tasks")
            measure("admin", Actor(0, Role.ADMIN), max(2, count // 20 - 1 if count < 200_000 else 5_000))
            measure("member", Actor(int(member or 0), Role.USER), max(1, count // MEMBERS // 20 - 1))
            db.engine.dispose()


if __name__ == "__main__":
    main()
