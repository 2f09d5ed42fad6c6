"""Look for stale answers: `python -m tests.faults.staleness --seconds 60`.

Several web processes, one of which keeps answers to itself while the others
share a Redis, work on one database. People change things at one of them and
read at any. Whatever was acknowledged before a read was sent must be seen by
it, in single things, in lists, in sums, in what another table shows, and in
copies that are said to hold still (304).
"""

import argparse
import http.client
import json
import random
import secrets
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.support.servers import PostgresServer, RedisServer
from tests.support.serving import Service


class Truth:
    """Changes acknowledged so far: the least that a later read must show."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.versions: dict[int, int] = {}
        self.name = 0
        self.post_id = 0

    def note(self, task: dict[str, Any]) -> None:
        with self._lock:
            self.versions[task["id"]] = max(task["version"], self.versions.get(task["id"], 0))

    def note_name(self, number: int) -> None:
        with self._lock:
            self.name = max(number, self.name)

    def copy(self) -> dict[int, int]:
        with self._lock:
            return dict(self.versions)


class Client:
    """One person at all servers, with the copies that a browser would have."""

    def __init__(self, services: list[Service], token: str, seed: int) -> None:
        self.services = services
        self.token = token
        self.chance = random.Random(seed)
        self.connections = [http.client.HTTPConnection("127.0.0.1", one.port, timeout=60) for one in services]
        self.copies: dict[str, tuple[str, Any]] = {}
        self.kinds: Counter[str] = Counter()

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Ask a server that chance chooses; return the data."""
        connection = self.chance.choice(self.connections)
        headers = {"Authorization": f"Bearer {self.token}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        copy = self.copies.get(path) if method == "GET" and self.chance.random() < 0.5 else None
        if copy is not None:
            headers["If-None-Match"] = copy[0]
        connection.request(method, f"/api/v1{path}", None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        raw = answer.read()
        self.kinds[f"{method} {answer.status}"] += 1
        if answer.status == 304 and copy is not None:
            return copy[1]
        if answer.status not in (200, 201):
            raise AssertionError(f"{method} {path}: {answer.status} {raw.decode()}")
        data = json.loads(raw)["data"]
        if method == "GET":
            self.copies[path] = (answer.headers["ETag"], data)
        return data

    def close(self) -> None:
        for connection in self.connections:
            connection.close()


class Search:
    """Writers and readers at work, until told to stop. `stale` says what should have been seen."""

    def __init__(self, services: list[Service], *, tasks: int = 10) -> None:
        self.services = services
        self.truth = Truth()
        self.stale: list[str] = []
        self.broken: list[str] = []
        self.reads = self.writes = 0
        self.kinds: Counter[str] = Counter()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._names = iter(range(1, 10**9))
        token = services[0].token
        first = Client(services, token, 0)
        for number in range(tasks):
            self.truth.note(first.ask("POST", "/tasks", {"title": f"Task {number}"}))
        self.truth.post_id = first.ask("POST", "/posts", {"title": "News", "content": "Good ones"})["id"]
        self.user_id = first.ask("GET", "/auth/me")["id"]
        first.ask("PATCH", "/auth/me", {"name": "Name 0"})
        first.close()
        self._threads = [
            threading.Thread(target=self._work, args=(Client(services, token, seed), work))
            for seed, work in enumerate((self._write, self._write, self._read, self._read, self._read), start=1)
        ]

    def run(self, seconds: float) -> None:
        """Let them work for so long."""
        for thread in self._threads:
            thread.start()
        self._stop.wait(seconds)
        self._stop.set()
        for thread in self._threads:
            thread.join(120)

    def _work(self, client: Client, work: Any) -> None:
        count = 0
        try:
            while not self._stop.is_set():
                work(client)
                count += 1
        except Exception as error:  # noqa: BLE001 - whatever it is, the report has to say it
            self.broken.append(f"{type(error).__name__}: {error}")
            self._stop.set()
        finally:
            client.close()
            with self._lock:
                self.kinds += client.kinds

    def _write(self, client: Client) -> None:
        known = self.truth.copy()
        task_id = client.chance.choice(list(known))
        kind = client.chance.random()
        if kind < 0.6:
            self.truth.note(client.ask("PATCH", f"/tasks/{task_id}", {"title": secrets.token_hex(4)}))
        elif kind < 0.8:
            status = client.chance.choice(("pending", "in_progress", "completed"))
            self.truth.note(client.ask("PUT", f"/tasks/{task_id}/status", {"status": status}))
        elif kind < 0.9 and len(known) < 90:
            self.truth.note(client.ask("POST", "/tasks", {"title": "One more"}))
        else:
            with self._lock:
                # One at a time, so that names only grow.
                number = next(self._names)
                client.ask("PATCH", "/auth/me", {"name": f"Name {number}"})
                self.truth.note_name(number)
        with self._lock:
            self.writes += 1
        # Whoever wrote reads at once, at any server.
        self._read(client)
        time.sleep(client.chance.random() * 0.02)

    def _read(self, client: Client) -> None:
        """Read something, and compare it with what was acknowledged before."""
        least, name = self.truth.copy(), self.truth.name
        look = client.chance.choice((self._one, self._list, self._sums, self._profile, self._post, self._account))
        look(client, least, name)
        with self._lock:
            self.reads += 1

    def _one(self, client: Client, least: dict[int, int], name: int) -> None:
        self._compare(client.ask("GET", f"/tasks/{client.chance.choice(list(least))}"), least, "task")

    def _list(self, client: Client, least: dict[int, int], name: int) -> None:
        shown = client.ask("GET", "/tasks?per_page=100&sort=id")
        for task in shown:
            self._compare(task, least, "list")
        if missing := least.keys() - {task["id"] for task in shown}:
            self.stale.append(f"list: {missing} missing")

    def _sums(self, client: Client, least: dict[int, int], name: int) -> None:
        if (total := client.ask("GET", "/stats")["total"]) < len(least):
            self.stale.append(f"stats: {total} of {len(least)}")

    def _profile(self, client: Client, least: dict[int, int], name: int) -> None:
        shown = client.ask("GET", f"/users/{self.user_id}/profile")
        if sum(shown["tasks_owned"].values()) < len(least) or _number(shown["name"]) < name:
            self.stale.append(f"profile: {shown} with {len(least)} tasks and name {name}")

    def _post(self, client: Client, least: dict[int, int], name: int) -> None:
        # The author's name is of another table than the post.
        if _number(shown := client.ask("GET", f"/posts/{self.truth.post_id}")["author"]) < name:
            self.stale.append(f"post: {shown} instead of {name}")

    def _account(self, client: Client, least: dict[int, int], name: int) -> None:
        if _number(shown := client.ask("GET", "/auth/me")["name"]) < name:
            self.stale.append(f"account: {shown} instead of {name}")

    def _compare(self, task: dict[str, Any], least: dict[int, int], where: str) -> None:
        if task["version"] < least.get(task["id"], 0):
            self.stale.append(f"{where}: task {task['id']} has {task['version']} instead of {least[task['id']]}")


def _number(name: str | None) -> int:
    """Return the number of a name; the account had none, or its username, before the first."""
    return int(name.rpartition(" ")[2]) if name and " " in name else -1


def search(folder: Path, database_url: str, redis_url: str, *, seconds: float) -> Search:
    """Search with three servers on this database, and return what was found."""
    environ = {
        "TEST_DATABASE_URL": database_url,
        "JWT_SECRET_KEY": secrets.token_hex(32),
        "SECRET_KEY": secrets.token_hex(32),
        "TASKLANE_AUTH__ACCESS_TOKEN_MINUTES": "1440",
    }
    services = []
    try:
        for number, backend in enumerate(("redis", "redis", "memory")):
            place = folder / str(number)
            place.mkdir()
            cached = {"TASKLANE_CACHE__BACKEND": backend, "TEST_CACHE_URL": redis_url}
            services.append(Service(place, "--processes", "1", is_forked=True, **environ, **cached))
        services[0].prepare()
        for service in services:
            service.start()
        services[0].log_in()
        found = Search(services)
        found.run(seconds)
    finally:
        for service in services:
            if service.process is not None:
                service.stop()
    return found


def main() -> int:
    """Search on both engines; return 1 if anything was stale or went wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="on each engine")
    options = parser.parse_args()
    wrong = False
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer())
        postgres = PostgresServer()
        stack.callback(postgres.stop)
        for engine in ("sqlite", "postgresql"):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            url = f"sqlite:///{folder / 'test.db'}" if engine == "sqlite" else postgres.create_database()
            found = search(folder, url, redis.url, seconds=options.seconds)
            print(
                f"{engine}: {found.writes} writes, {found.reads} reads, {len(found.stale)} stale; {dict(found.kinds)}"
            )
            for line in (*found.stale[:20], *found.broken):
                print(f"  {line}")
            wrong = wrong or bool(found.stale or found.broken or not found.reads)
        with redis.client as client:
            print(f"{client.dbsize()} entries in Redis, {client.info('stats')['keyspace_hits']} hits")
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
