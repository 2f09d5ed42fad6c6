"""Measure exports by the whole job, as a worker runs it: `python benchmarks/exports.py <tasks> [<format> ...]`.

Fills an SQLite database and one of a PostgreSQL server of its own, runs each
export in a fresh process, and prints its rows per second and the most memory
that it had at once. Ends with 1 if that was 200 MB or more.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from uuid import UUID

# A script's own folder is on the path, not the one above it.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import flask_migrate
from sqlalchemy import text

from core.bootstrap import create_core_app
from core.exchange import exports
from core.exchange.columns import Kind
from core.exchange.formats import FileFormat
from core.jobs.model import Job
from core.platform.access import Actor, Role
from core.platform.config.load import load_settings
from core.platform.database.base import db
from core.platform.database.filters import Filter
from core.platform.database.session import transaction
from tests.support.servers import PostgresServer
from workers.runner import run_job

LIMIT_MB = 200
MEMBERS = 1_000

USERS = """
INSERT INTO users (username, email, password_hash, role, is_active, created_at, updated_at)
SELECT 'user' || n, 'user' || n || '@example.com', 'x', 'admin', true, '2026-01-01', '2026-01-01' FROM numbers
"""
TASKS = """
INSERT INTO tasks (title, description, status, due_date, owner_id, assignee_id, version, created_at, updated_at)
SELECT '=Task ' || n, 'It ends on the 30th, as number ' || n || ' of many; "somebody" has to look after it, and soon.',
  CASE n % 3 WHEN 0 THEN 'pending' WHEN 1 THEN 'in_progress' ELSE 'cancelled' END,
  CASE WHEN n % 2 = 0 THEN {day} END, 1 + n % :members, CASE WHEN n % 4 = 0 THEN 1 + n % 77 END, 1, {moment}, {moment}
FROM numbers
"""
NUMBERS = "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :count)"
MOMENTS = {
    "sqlite": ("'2026-12-01'", "strftime('%Y-%m-%d %H:%M:%f', '2026-01-01', n || ' seconds') || '000'"),
    "postgresql": ("date '2026-12-01'", "timestamptz '2026-01-01' + n * interval '1.000001 second'"),
}


def open_app(url: str, folder: str):  # type: ignore[no-untyped-def]
    """Return the application on the database."""
    overrides = {"database_url": url, "redis_url": "redis://127.0.0.1:1"}
    environ = {"TASKLANE_INSTANCE_PATH": folder}
    return create_core_app(settings=load_settings("testing", environ=environ, overrides=overrides))


def fill(count: int) -> None:
    """Create the tasks in the database itself, and then the indexes of the search, which is the fastest way."""
    flask_migrate.upgrade(revision="0004")
    day, moment = MOMENTS[db.engine.dialect.name]
    with transaction() as session:
        for statement, values in ((USERS, {"count": MEMBERS}), (TASKS, {"count": count, "members": MEMBERS})):
            head, _, tail = statement.strip().partition("\n")
            session.execute(text(f"{head} {NUMBERS} {tail}".format(day=day, moment=moment)), values)
    flask_migrate.upgrade()
    with transaction() as session:
        session.execute(text("ANALYZE"))


def run(url: str, folder: str, file_format: str) -> None:
    """Order the export, run its job in this process, and print the figures."""
    with open_app(url, folder).app_context():
        order = exports.Selection(Kind.TASKS, Filter())
        job = exports.order(Actor(1, Role.ADMIN), selection=order, file_format=FileFormat(file_format))
        started = time.perf_counter()
        run_job(str(job.id), 0)
        seconds = time.perf_counter() - started
        done = db.session.get_one(Job, UUID(str(job.id)), populate_existing=True)
        if done.result is None:
            sys.exit(f"The export failed: {done.error}")
        engine, rows, size = db.engine.dialect.name, done.result["rows"], done.result["files"][0]["size"] / 1e6
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    memory = int(status["VmHWM"].split()[0]) / 1024
    print(
        f"{engine:<11}{file_format:<6}{rows:>9,} rows {seconds:>7.1f} s {rows / seconds:>8,.0f} rows/s"
        f" {size:>7.1f} MB file {memory:>6.0f} MB memory",
        flush=True,
    )
    sys.exit(memory >= LIMIT_MB)


def measure(url: str, folder: str, count: int, formats: list[str]) -> int:
    """Fill a database and run the exports; return how many needed too much memory."""
    app = open_app(url, folder)
    with app.app_context():
        fill(count)
        db.engine.dispose()
    command = [sys.executable, __file__, "--run", url, folder]
    return sum(subprocess.run([*command, name], env=os.environ, check=False).returncode for name in formats)


def main() -> None:
    """Run it."""
    if sys.argv[1] == "--run":
        run(*sys.argv[2:])
    count, formats = int(sys.argv[1]), sys.argv[2:] or [str(name) for name in FileFormat]
    with tempfile.TemporaryDirectory() as folder:
        failed = measure(f"sqlite:///{folder}/export.db", folder, count, formats)
        postgres = PostgresServer()
        try:
            failed += measure(postgres.create_database(), folder, count, formats)
        finally:
            postgres.stop()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
