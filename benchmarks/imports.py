"""Measure imports on a database of its own: `python benchmarks/imports.py <database URL> [number of tasks] [format]`.

The database must be empty or made by an earlier run. Prints the rows per second,
and the time in the transaction that stores them, of an import that creates
tasks, of the same file again, which changes nothing, and of one that changes
every row, and the peak of the resident memory.
"""

import csv
import io
import json
import resource
import sys
import tempfile
import time
from typing import IO
from uuid import uuid4

import flask_migrate

from core.bootstrap import create_core_app
from core.exchange.columns import Kind
from core.exchange.imports.order import Order
from core.exchange.imports.parsers import Format
from core.exchange.imports.work import Import
from core.platform.access import Actor, Role
from core.platform.config.load import load_settings
from core.platform.database.session import transaction
from core.users.model import User
from core.users.repository import UserRepository

COLUMNS = ("external_id", "title", "description", "status", "due_date")


def rows(count: int, run: str, title: str) -> list[dict[str, str]]:
    """Return rows as somebody's other system may write them."""
    return [
        {
            "external_id": f"{run}-{number}",
            "title": f"{title} {number}: renew what has to be renewed",
            "description": f"It is described in ticket {number}, and has to be done before winter.",
            "status": ("pending", "in_progress", "completed")[number % 3],
            "due_date": f"2026-{number % 12 + 1:02}-{number % 28 + 1:02}",
        }
        for number in range(count)
    ]


def written(count: int, run: str, title: str, form: Format) -> IO[bytes]:
    """Return them as a file, which is not in memory."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    if form is Format.CSV:
        writer = csv.DictWriter(text, COLUMNS)
        writer.writeheader()
        writer.writerows(rows(count, run, title))
    elif form is Format.JSON:
        json.dump(rows(count, run, title), text)
    else:
        text.writelines(json.dumps(row) + "\n" for row in rows(count, run, title))
    text.flush()
    text.detach()
    return file


def measure(actor: Actor, what: str, file: IO[bytes], form: Format) -> None:
    """Run one import and print how it went."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    started, cpu = time.perf_counter(), time.process_time()
    with Import(actor, file, Order(Kind.TASKS, form), size=size, report=lambda percent: None) as work:
        work.examine()
        examined = time.perf_counter()
        with transaction() as session:
            work.store(session)
        ended = time.perf_counter()
        counts = work.counts
    assert counts.failed == 0  # noqa: S101 - a measurement of refusals would mean nothing
    cpu = time.process_time() - cpu
    done = f"{counts.created} created, {counts.updated} updated, {counts.unchanged} unchanged"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{what:10} {size / 2**20:6.1f} MiB  {counts.rows / (ended - started):8.0f} rows/s  {ended - started:6.1f} s,"
        f" of them {ended - examined:5.1f} s in the transaction; {cpu:5.1f} s of CPU; peak {peak:4.0f} MiB; {done}"
    )


def main() -> None:
    """Run from the command line."""
    url = sys.argv[1]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000
    form = Format(sys.argv[3]) if len(sys.argv) > 3 else Format.CSV
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings(
            "testing",
            environ={"TASKLANE_INSTANCE_PATH": folder},
            overrides={"database_url": url, "redis_url": "redis://x"},
        )
        with create_core_app(settings=settings).app_context():
            flask_migrate.upgrade()
            run = uuid4().hex[:8]
            with transaction() as session:
                name = f"bench-{run}"
                user = User(username=name, email=f"{name}@example.com", password_hash="!")  # noqa: S106 - nobody's
                actor = Actor(UserRepository(session).add(user).id, Role.USER)
            first = written(count, run, "Task", form)
            measure(actor, "create", first, form)
            measure(actor, "unchanged", first, form)
            measure(actor, "change all", written(count, run, "Other task", form), form)


if __name__ == "__main__":
    main()
