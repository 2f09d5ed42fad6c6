"""Services that `benchmarks/compare.py` measures: each starts its processes, and says which they are."""

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path

import flask_migrate
import jwt
import psutil
from sqlalchemy import create_engine, insert, text

from benchmarks.peer import tables
from core.auth import accounts
from core.bootstrap import create_core_app
from core.platform.access import Role
from core.platform.config.load import load_settings
from core.platform.database.base import db
from core.platform.database.session import transaction
from core.projects.model import Project, ProjectMember
from core.tasks.model import Task
from tests.support.ports import free_port
from tests.support.servers import RedisServer
from tests.support.serving import Service

PEER = Path(__file__).resolve().parent / "peer"
PASSWORD = "a password of the benchmark"  # noqa: S105 - of a database that is gone afterwards
PEOPLE = {tables.READER: "reader", tables.WRITER: "writer"}


class Contestant:
    """One service. `tokens` are those of the person who reads and of the one who writes."""

    name = ""

    def __init__(self) -> None:
        self.port = free_port()
        self.tokens: dict[int, str] = {}

    def start(self, processes: int) -> None:
        """Start it with so many web processes, and return when it answers."""
        raise NotImplementedError

    def stop(self) -> None:
        """End all of its processes."""
        raise NotImplementedError

    def family(self) -> Sequence[psutil.Process]:
        """Return all processes that take part in an answer, without the server of PostgreSQL."""
        raise NotImplementedError

    def wait_until_it_answers(self, seconds: float = 60) -> None:
        """Return when it does."""
        until = time.monotonic() + seconds
        while True:
            client = HTTPConnection("127.0.0.1", self.port, timeout=5)
            try:
                client.request("GET", "/health")
                if client.getresponse().status == 200:
                    return
            except OSError:
                if time.monotonic() > until:
                    raise
            finally:
                client.close()
            time.sleep(0.05)

    def serving(self) -> list[psutil.Process]:
        """Return the processes that answer requests."""
        leaves = [process for process in self.family() if not process.children()]
        return [process for process in leaves if not {"valkey", "tracker"} & set(_words(process))]

    def pin(self, *, pinned: bool) -> None:
        """Keep each process that answers on a core of its own, or let all of them go anywhere."""
        cores = sorted(os.sched_getaffinity(0))
        for number, process in enumerate(self.serving()):
            wanted = {cores[number % len(cores)]} if pinned else set(cores)
            for thread in process.threads():
                with suppress(ProcessLookupError):
                    os.sched_setaffinity(thread.id, wanted)


class Tasklane(Contestant):
    """`manage.py serve` with limits, sessions, the access log, ids and metrics, and a Valkey that counts."""

    name = "Tasklane"

    def __init__(self, folder: Path, redis: RedisServer, database_url: str) -> None:
        super().__init__()
        self.redis = redis
        self.folder = folder
        environ = {
            "TEST_DATABASE_URL": database_url,
            "TEST_REDIS_URL": redis.url,
            "TASKLANE_RATELIMIT_ENABLED": "true",
            # Counted like any other limit, and never reached.
            "TASKLANE_LIMITS__USER": "100000000 per minute",
            "TASKLANE_AUTH__ACCESS_TOKEN_MINUTES": "1440",
            "TASKLANE_LOG_FORMAT": "json",
            "TASKLANE_METRICS__ENABLED": "true",
            "LOG_LEVEL": "INFO",
        }
        self.service = Service(folder, **environ)
        self._behind: list[subprocess.Popen[bytes]] = []

    def prepare(self) -> None:
        """Make the database and its rows."""
        environ = {"TASKLANE_INSTANCE_PATH": str(self.folder / "instance")}
        keys = {"database_url": self.service.environ["TEST_DATABASE_URL"]}
        app = create_core_app(settings=load_settings("testing", environ=environ, overrides=keys))
        with app.app_context():
            flask_migrate.upgrade()
            for number in range(1, tables.PEOPLE + 1):
                name = PEOPLE.get(number, f"person{number}")
                accounts.create(username=name, email=f"{name}@example.com", password=PASSWORD, role=Role.USER)
            with transaction() as session:
                projects = [{"key": f"P{n}", "name": f"Project {n}"} for n in range(1, tables.PROJECTS + 1)]
                session.execute(insert(Project), projects)
                rows = [{"project_id": p, "user_id": u, "role": "editor"} for p, u in tables.members()]
                session.execute(insert(ProjectMember), rows)
                # The database gives the numbers, which are the same.
                session.execute(insert(Task), [{k: v for k, v in row.items() if k != "id"} for row in tables.tasks()])
            with transaction() as session:
                session.execute(text("ANALYZE"))
            db.session.remove()
            db.engine.dispose()

    def start(self, processes: int) -> None:
        self.service.arguments = ("--processes", str(processes))
        self.service.start()
        self.port = self.service.port
        self.log_in()

    def log_in(self) -> None:
        """Let the reader and the writer in."""
        for number, name in PEOPLE.items():
            self.service.token = ""
            self.tokens[number] = self.service.call("POST", "/auth/login", {"username": name, "password": PASSWORD})[1][
                "access_token"
            ]

    def start_workers(self) -> None:
        """Start what does the work in the background, on what has been ordered so far."""
        with (self.folder / "workers.log").open("ab") as log:
            for command in ("scheduler", "worker"):
                whole = [*self.service.manage, command]
                self._behind.append(subprocess.Popen(whole, env=self.service.environ, stdout=log, stderr=log))

    def workers(self) -> list[psutil.Process]:
        """Return the processes that work in the background."""
        parents = [psutil.Process(process.pid) for process in self._behind]
        return [each for parent in parents for each in (parent, *parent.children(recursive=True))]

    def stop_workers(self) -> None:
        """End them."""
        for process in self._behind:
            process.terminate()
        for process in self._behind:
            process.wait(60)
        self._behind = []

    def stop(self) -> None:
        self.stop_workers()
        if self.service.process is not None:
            self.service.stop()

    def family(self) -> Sequence[psutil.Process]:
        redis = self.redis.process
        return [*self.service.family(), *([psutil.Process(redis.pid)] if redis else [])]


class Command(Contestant):
    """A program that listens on a port."""

    process: subprocess.Popen[bytes] | None = None

    def command(self, processes: int) -> list[str]:
        """Return its command line."""
        raise NotImplementedError

    def environ(self) -> dict[str, str]:
        """Return variables that it needs."""
        return {}

    def start(self, processes: int) -> None:
        environ = {"PATH": os.environ["PATH"], **self.environ()}
        self.process = subprocess.Popen(self.command(processes), env=environ, cwd=PEER)
        self.wait_until_it_answers()

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(60)
            self.process = None

    def family(self) -> Sequence[psutil.Process]:
        if self.process is None:
            return []
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]


class Peer(Command):
    """FastAPI under uvicorn with uvloop, in an environment of its own."""

    name = "peer"

    def __init__(self, python: str, database_url: str, *, is_plain: bool = False) -> None:
        super().__init__()
        self.python = python
        # As `pip install uvicorn` has it, without what `uvicorn[standard]` adds.
        self.loop = ["--loop", "asyncio", "--http", "h11"] if is_plain else []
        self.url = database_url.replace("postgresql:", "postgresql+psycopg:")
        self.secret = secrets.token_hex(32)
        expires = datetime.now(UTC) + timedelta(days=1)
        self.tokens = {n: jwt.encode({"sub": str(n), "exp": expires}, self.secret, algorithm="HS256") for n in PEOPLE}

    def prepare(self) -> None:
        """Make the database and its rows."""
        engine = create_engine(self.url)
        tables.Base.metadata.create_all(engine)
        with engine.begin() as connection:
            people = [{"id": n, "username": PEOPLE.get(n, f"person{n}")} for n in range(1, tables.PEOPLE + 1)]
            connection.execute(insert(tables.User), people)
            projects = [{"id": n, "name": f"Project {n}"} for n in range(1, tables.PROJECTS + 1)]
            connection.execute(insert(tables.Project), projects)
            connection.execute(insert(tables.Member), [{"project_id": p, "user_id": u} for p, u in tables.members()])
            connection.execute(insert(tables.Task), list(tables.tasks()))
            if engine.dialect.name != "sqlite":
                connection.execute(text("SELECT setval('tasks_id_seq', (SELECT max(id) FROM tasks))"))
        with engine.begin() as connection:
            connection.execute(text("ANALYZE"))
        engine.dispose()

    def command(self, processes: int) -> list[str]:
        options = ["--port", str(self.port), "--workers", str(processes), "--no-access-log", "--log-level", "warning"]
        return [self.python, "-m", "uvicorn", "app:app", *options, *self.loop]

    def environ(self) -> dict[str, str]:
        return {"PEER_SECRET": self.secret, "PEER_DATABASE_URL": self.url}


class Bare(Command):
    """A Flask route that gives away the bytes of one answer, under waitress."""

    name = "bare Flask"

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.body = folder / "body"
        self.tokens = dict.fromkeys(PEOPLE, "any")

    def command(self, processes: int) -> list[str]:
        return [sys.executable, str(PEER / "bare.py"), str(self.port), str(self.body)]


def _words(process: psutil.Process) -> list[str]:
    line = " ".join(process.cmdline())
    return [word for word in ("valkey", "redis-server", "tracker") if word in line]
