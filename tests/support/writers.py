"""People of an old release who write while a new one migrates, and somebody who watches who waits for whom."""

import random
import threading
import time
from types import TracebackType

import psycopg

NOW = "'2026-01-02 03:04:05+00'"
PEOPLE = 20


def fill(url: str, *, tasks: int) -> None:
    """Put people and many tasks and jobs into a database of the first version."""
    with psycopg.connect(url) as database:
        database.execute(
            "INSERT INTO users (id, username, email, password_hash, role, is_active, created_at, updated_at)"
            f" SELECT n, 'p' || n, 'p' || n || '@example.com', 'x', 'user', true, {NOW}, {NOW}"
            f" FROM generate_series(1, {PEOPLE}) n"
        )
        database.execute(
            "INSERT INTO tasks (title, description, status, owner_id, version, created_at, updated_at)"
            f" SELECT 'Water zebra ' || n, repeat('the plants of house ' || n || ' ', 4), 'pending',"
            f" n % {PEOPLE} + 1, 1, {NOW}, {NOW} FROM generate_series(1, {tasks}) n"
        )
        _order_jobs(database, tasks // 4)
        database.execute(f"SELECT setval(pg_get_serial_sequence('users', 'id'), {PEOPLE})")


def _order_jobs(database: psycopg.Connection, number: int) -> None:
    database.execute(
        "INSERT INTO jobs (id, kind, state, payload, progress, attempts, max_attempts, owner_id, created_at, due_at)"
        f" SELECT gen_random_uuid(), 'email.task_created', 'queued', '{{}}', 0, 0, 3, n % {PEOPLE} + 1, {NOW}, {NOW}"
        f" FROM generate_series(1, {number}) n"
    )


class Writers:
    """Clients that write without a pause, in transactions over several tables, in no particular order."""

    def __init__(self, url: str, *, clients: int) -> None:
        self.url = url
        self.errors: list[str] = []
        self.written = 0
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(number,)) for number in range(clients)]

    def __enter__(self) -> "Writers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _work(self, number: int) -> None:
        chance = random.Random(number)
        with psycopg.connect(self.url) as database:
            while not self._stop.is_set():
                try:
                    with database.transaction():
                        self._write(database, chance)
                    self.written += 1
                except psycopg.Error as error:
                    self.errors.append(f"{type(error).__name__}: {error}")
                self._stop.wait(0.005)

    def _write(self, database: psycopg.Connection, chance: random.Random) -> None:
        person = chance.randint(1, PEOPLE)
        steps = [
            lambda: database.execute(
                "INSERT INTO tasks (title, status, owner_id, version, created_at, updated_at)"
                f" VALUES ('New zebra', 'pending', {person}, 1, {NOW}, {NOW})"
            ),
            lambda: database.execute(
                "UPDATE tasks SET title = 'A quokka', version = version + 1 WHERE id = %s", (chance.randint(1, 400),)
            ),
            lambda: _order_jobs(database, 1),
            lambda: database.execute(
                "INSERT INTO login_sessions (id, user_id, created_at, expires_at)"
                f" VALUES (md5(random()::text), {person}, {NOW}, {NOW})"
            ),
        ]
        chance.shuffle(steps)
        for step in steps:
            step()


class Watch:
    """Notes how long anybody but who migrates waits for a lock."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.longest = 0.0
        self.statement = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(60)

    def _look(self) -> None:
        # Who waits for transactions to end, and not for a lock of theirs, holds up nobody.
        query = (
            "SELECT extract(epoch FROM clock_timestamp() - waitstart), query FROM pg_locks JOIN pg_stat_activity"
            " USING (pid) WHERE NOT granted AND waitstart IS NOT NULL AND pg_locks.locktype <> 'virtualxid'"
            " AND query !~* '^(CREATE|DROP|ALTER|ANALYZE)' ORDER BY 1 DESC LIMIT 1"
        )
        with psycopg.connect(self.url, autocommit=True) as database:
            while not self._stop.is_set():
                row = database.execute(query).fetchone()
                if row and float(row[0]) > self.longest:
                    self.longest, self.statement = float(row[0]), row[1]
                time.sleep(0.01)
