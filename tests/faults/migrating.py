"""Migrate a large database while the release before works on it: `python -m tests.faults.migrating --rows 200000`.

The old release is a commit of this repository, by default the one before the newest
migration. Nobody may be refused anything, and nobody wait longer than a second for a
lock. PostgreSQL only: on SQLite writers wait for each other anyway.
"""

import argparse
import http.client
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from io import BytesIO
from pathlib import Path

from core.platform.config.load import ROOT
from tests.support.servers import PostgresServer
from tests.support.serving import Load, Service
from tests.support.writers import Watch, fill

LONGEST_WAIT = 1.0


class Mixture(Load):
    """Clients of the API who write twice as often as they read, and know how long they had to wait."""

    slowest = 0.0

    def _one(self, client: http.client.HTTPConnection, writes: bool) -> None:
        start = time.monotonic()
        status, answer = self.service.ask(client, "POST", "/tasks", {"title": "Water", "description": "the plants"})
        self.answers[status] += 1
        if status == 201:
            task = answer["data"]["id"]
            self.stored.append(task)
            body = {"title": "Mow"}
            self.answers[self.service.ask(client, "PATCH", f"/tasks/{task}", body)[0]] += 1
        self.answers[self.service.ask(client, "GET", "/tasks?per_page=5")[0]] += 1
        self.slowest = max(self.slowest, time.monotonic() - start)


def git(*arguments: str) -> bytes:
    """Return what git says."""
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True).stdout


def release_before() -> str:
    """Return the commit before the newest migration."""
    newest = git("log", "-1", "--diff-filter=A", "--format=%H", "--", "migrations/versions").decode().strip()
    return f"{newest}~1"


def main() -> int:
    """Run it; return 1 if somebody was hurt."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000, help="tasks; a quarter as many jobs")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--release", help="commit of the old release")
    options = parser.parse_args()
    release = options.release or release_before()
    server = PostgresServer()
    try:
        with tempfile.TemporaryDirectory() as folder:
            old = Path(folder) / "old"
            with tarfile.open(fileobj=BytesIO(git("archive", release))) as archive:
                archive.extractall(old)  # It is our own.
            return drill(server.create_database(), Path(folder), old, options.rows, options.clients)
    finally:
        server.stop()


def drill(url: str, folder: Path, old: Path, rows: int, clients: int) -> int:
    """Let the old release work while this one migrates; tell what was seen."""
    plain = url.replace("postgresql+psycopg://", "postgresql://")
    service = Service(
        folder, root=old, DATABASE_URL=url, TEST_DATABASE_URL=url, REDIS_URL="redis://127.0.0.1:1"
    ).prepare()
    fill(plain, tasks=rows)
    service.start().log_in()
    # Not as a test: those keep away from what an unknown environment has migrated, as old releases are.
    new = Service(folder, **{**service.environ, "TASKLANE_ENV": "development"})
    with Watch(plain) as watch, Mixture(service, clients=clients, keep=True) as load:
        time.sleep(2)
        start, before = time.monotonic(), load.total
        ended = threading.Event()
        threading.Thread(target=tell, args=(ended, start), daemon=True).start()
        new.prepare()
        ended.set()
        seconds, meanwhile = time.monotonic() - start, load.total - before
        time.sleep(2)
    service.stop()
    print(f"migrated {rows} tasks in {seconds:.1f} s; {meanwhile} requests of the old release meanwhile")
    print(f"answers {dict(load.answers)}, {len(load.lost)} lost; three requests took at most {load.slowest:.1f} s")
    print(f"longest wait for a lock {watch.longest * 1000:.0f} ms: {watch.statement[:100]}")
    is_well = not load.lost and set(load.answers) <= {200, 201} and watch.longest < LONGEST_WAIT
    return 0 if is_well and meanwhile else 1


def tell(ended: threading.Event, start: float) -> None:
    """Say now and then that it goes on."""
    while not ended.wait(30):
        print(f"  migrating for {time.monotonic() - start:.0f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
