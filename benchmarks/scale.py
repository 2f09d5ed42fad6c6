"""Measure whether lists, searches and sums cost as much among a million tasks as among a thousand.

`python benchmarks/scale.py` fills a database of SQLite and one of a PostgreSQL server of its own with a thousand
tasks and with a million, asks each question several times in this process, cold, and prints the least time in
milliseconds of the processor, this process and the server's together, and the ratio. A question fails that takes
more than 1.5 times and more than 20 ms; then it ends with 1. It needs Linux.

`--sizes 1000 100000` is quicker; `--engines` and `--only` choose; `--folder` stores what was filled and uses it again.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

# A script's own folder is on the path, not the one above it.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import flask_migrate
from sqlalchemy import text

from benchmarks import seeding
from core.bootstrap import create_core_app
from core.items import service as items
from core.platform.access import Actor, Role
from core.platform.cache import answers
from core.platform.config.load import load_settings
from core.platform.database.base import db
from core.platform.database.filters import Filter
from core.platform.database.paging import PageRequest
from core.platform.database.ranges import Range
from core.posts import service as posts
from core.profiles import service as profiles
from core.projects import service as projects
from core.search import service as search
from core.stats import service as stats
from core.tasks import service as tasks
from core.users import service as users
from tests.support.servers import PostgresServer

ROUNDS = 5
# Seconds for one question in all.
PATIENCE = 5.0
FLAT, QUICK = 1.5, 20.0
KEYS = ("k" * 32,)
ACTORS = {
    "admin": Actor(seeding.ADMIN, Role.ADMIN),
    "m250": Actor(seeding.SMALL, Role.USER),
    "m5000": Actor(seeding.LARGE, Role.USER),
}

Work = Callable[[], Any]
List = Callable[..., Any]


def page(**changes: Any) -> PageRequest:
    return PageRequest(**{"number": 1, "size": 20, "cursor": None, "sort": None, "signing_keys": KEYS, **changes})


def narrowings(now: datetime) -> dict[str, Filter]:
    """Return one use of each filter of tasks."""
    today, day = now.date(), timedelta(days=1)
    week = Range({"gte": today, "lt": today + 7 * day})
    return {
        "all": Filter(),
        "status=pending": Filter({"status": ["pending"]}),
        "status=pending,in_progress": Filter({"status": ["pending", "in_progress"]}),
        "overdue=true": Filter({"overdue": True}),
        "overdue=false": Filter({"overdue": False}),
        "due this week": Filter(ranges={"due_date": week}),
        "owner_id": Filter({"owner_id": 77}),
        "assignee_id": Filter({"assignee_id": 77}),
        "item_id": Filter({"item_id": 7}),
        "created today": Filter(ranges={"created_at": Range({"gte": now - day})}),
        "updated today": Filter(ranges={"updated_at": Range({"gte": now - day})}),
        "completed today": Filter(ranges={"completed_at": Range({"gte": now - day})}),
        "completed half a year ago": Filter(
            ranges={"completed_at": Range({"gte": now - 180 * day, "lt": now - 179 * day})}
        ),
        "deleted": Filter({"deleted": True}),
        "q=common": Filter({"q": "release"}),
        "q=rare": Filter({"q": "anziba"}),
        "q=absent": Filter({"q": "xylophone"}),
    }


def task_questions(actor: Actor, now: datetime) -> Iterator[tuple[str, Work]]:
    """Yield lists of tasks: each filter by number and by cursor, each sort both ways, and far in."""

    def ask(narrowed: Filter, **changes: Any) -> Work:
        return lambda: tasks.list_visible(actor, page=page(**changes), filters=narrowed)

    for name, narrowed in narrowings(now).items():
        yield f"tasks, {name}, page 1", ask(narrowed)
        yield f"tasks, {name}, by cursor", ask(narrowed, cursor="")
    project = seeding.LARGE_PROJECTS[0] if actor is not ACTORS["m250"] else seeding.SMALL_PROJECT
    yield "tasks, project_id, page 1", ask(Filter({"project_id": project}))
    for column in sorted({*tasks.SORTABLE, "id"} - {"deleted_at"}):
        for sort in (column, f"-{column}"):
            yield f"tasks, sort={sort}, page 1", ask(Filter(), sort=sort)
            yield f"tasks, sort={sort}, far in by cursor", far_in(actor, sort)


def far_in(actor: Actor, sort: str) -> Work:
    """Return the question for a page behind most of the list, as if a cursor had been followed for long."""
    deep: list[PageRequest] = []

    def ask() -> Any:
        if not deep:
            # Where page 5,000 begins, or the middle of a shorter list.
            first = tasks.list_visible(actor, page=page(size=1, sort=sort), filters=Filter())
            number = max(1, (first.total or 0) // 2) if first.total_is_exact else 100_000
            found = tasks.list_visible(actor, page=page(size=1, number=number, sort=sort), filters=Filter())
            deep.append(page(cursor=found.next_cursor or "", sort=sort))
        return tasks.list_visible(actor, page=deep[0], filters=Filter())

    return ask


def other_questions(actor: Actor) -> Iterator[tuple[str, Work]]:
    """Yield everything else that the promise is about."""
    yield "read a task", lambda: tasks.get(actor, task_id=1) if actor.is_admin else None
    for name, words in {
        "rare": "zanzibar ",
        "common": "release",
        "phrase": '"before the release"',
        "prefix": "rel",
        "absent": "xylophone",
    }.items():
        yield f"search, {name}", lambda words=words: search.search(actor, text=words)  # type: ignore[misc]
    project = seeding.SMALL_PROJECT if actor is ACTORS["m250"] else seeding.LARGE_PROJECTS[0]
    yield "search, common, project", lambda: search.search(actor, text="release", project_id=project)
    pages = {"page 1": page(), "by cursor": page(cursor="")}
    for name, request in pages.items():
        lists: dict[str, tuple[List, Filter]] = {
            "posts": (posts.list_visible, Filter()),
            "posts of a user": (posts.list_visible, Filter({"user_id": 77})),
            "items": (items.list_visible, Filter()),
            "users": (users.list_visible, Filter()),
            "projects": (projects.list_visible, Filter()),
        }
        for what, (listed, narrowed) in lists.items():
            yield f"{what}, {name}", lambda f=listed, n=narrowed, p=request: f(actor, page=p, filters=n)  # type: ignore[misc]
    yield "statistics", lambda: stats.report(actor)
    yield "statistics of a year", lambda: stats.report(actor, first=datetime.now(UTC).date() - timedelta(days=364))
    yield "profile", lambda: profiles.get(actor, user_id=actor.user_id)


def timed(work: Work) -> float:
    """Return the least milliseconds of the processor in some rounds after one to warm up."""
    until = time.perf_counter() + PATIENCE
    work()
    times = []
    while not times or (len(times) < ROUNDS and time.perf_counter() < until):
        db.session.remove()
        server = server_process()
        start = time.process_time() + spent(server)
        work()
        times.append((time.process_time() + spent(server) - start) * 1000)
    db.session.remove()
    return min(times)


def server_process() -> int | None:
    """Return the process of PostgreSQL that answers this one. It does all by itself, or parts would not be counted."""
    if db.engine.dialect.name == "sqlite":
        return None
    db.session.execute(text("SET max_parallel_workers_per_gather = 0"))
    number: int = db.session.execute(text("SELECT pg_backend_pid()")).scalar_one()
    db.session.commit()
    return number


def spent(process: int | None) -> float:
    """Return the seconds that a process has had of a processor."""
    return int(Path(f"/proc/{process}/schedstat").read_text().split()[0]) / 1e9 if process else 0.0


def measure(url: str, folder: str, count: int, only: str) -> dict[str, float]:
    """Fill the database unless it is filled, and return the milliseconds of each question."""
    settings = load_settings(
        "testing",
        environ={"TASKLANE_INSTANCE_PATH": folder},
        overrides={"database_url": url, "redis_url": "redis://127.0.0.1:1"},
    )
    app = create_core_app(settings=settings)
    answers.MAX_ENTRY_BYTES = -1  # Nothing is cached, so everything is made anew.
    with app.app_context():
        flask_migrate.upgrade()
        now = datetime.now(UTC).replace(microsecond=0)
        is_empty = users.list_visible(ACTORS["admin"], page=page(), filters=Filter()).total == 0
        where = db.engine.url
        db.session.remove()
        db.engine.dispose()
        if is_empty:
            started = time.perf_counter()
            company = seeding.Company(count, now)
            if where.get_backend_name() == "sqlite":
                seeding.fill_sqlite(str(where.database), company)
            else:
                plain = where.set(drivername="postgresql").render_as_string(hide_password=False)
                seeding.fill_postgresql(plain, company)
            print(f"{where.get_backend_name()}: {count:,} tasks in {time.perf_counter() - started:.0f} s", flush=True)
        found = {}
        for who, actor in ACTORS.items():
            for name, work in [*task_questions(actor, now), *other_questions(actor)]:
                if only in f"{who}: {name}":
                    found[f"{who}: {name}"] = timed(work)
                    print(f"\r{name:<60}", end="", file=sys.stderr, flush=True)
        db.engine.dispose()
    return found


def report(engine: str, sizes: list[int], found: list[dict[str, float]]) -> list[str]:
    """Print the table of one engine; return what is not flat."""
    print(f"\n{engine:<58}" + "".join(f"{size:>11,}" for size in sizes) + f"{'ratio':>8}")
    failed = []
    for name in found[0]:
        times = [row[name] for row in found]
        ratio = times[-1] / max(times[0], 0.001)
        is_flat = ratio <= FLAT or times[-1] <= QUICK
        failed += [] if is_flat else [name]
        print(f"{name:<58}" + "".join(f"{ms:>11.2f}" for ms in times) + f"{ratio:>8.1f}{'' if is_flat else '  !'}")
    print(f"{len(found[0]) - len(failed)} of {len(found[0])} are flat")
    return failed


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 1_000_000])
    parser.add_argument("--engines", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--only", default="")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--urls", nargs="+", help="databases of a running PostgreSQL server, one for each size")
    given = parser.parse_args()
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        for engine in given.engines:
            server = PostgresServer() if engine == "postgresql" and not given.urls else None
            try:
                found = []
                for number, size in enumerate(given.sizes):
                    url = f"sqlite:///{given.folder or folder}/scale-{size}.db"
                    if engine == "postgresql":
                        url = server.create_database() if server else given.urls[number]
                    found.append(measure(url, folder, size, given.only))
                failed += report(engine, given.sizes, found)
            finally:
                if server:
                    server.stop()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
