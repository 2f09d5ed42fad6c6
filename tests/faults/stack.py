"""A whole Tasklane of real processes, which are started again when they die."""

import random
import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

import flask_migrate
import httpx
import psutil
from sqlalchemy import func, insert, select

from core.auth import accounts
from core.bootstrap import create_core_app
from core.jobs.kinds import EMAIL_TASK_CREATED, PROCESS_TASK
from core.jobs.model import OPEN_STATES, Job, JobState
from core.platform import clock
from core.platform.config.load import load_settings
from core.platform.config.settings import Settings
from core.platform.database.base import db
from core.platform.database.session import snapshot, transaction
from core.tasks.model import Task
from core.users.model import User
from tests.support.loaded import Forked, loaded
from tests.support.ports import free_port
from tests.support.processes import kill_all, kill_tree, spawn, wait_for
from tests.support.servers import PostgresServer, RedisServer

USERNAME, PASSWORD = "chaos", "correct horse battery"
BEFORE = "Before"
MARK = " [Processed]"


class Part:
    """One process of the stack; `wanted` is whether the supervisor starts it again when it ends."""

    def __init__(self, stack: "Stack", name: str, *arguments: str, **environ: str) -> None:
        self.stack = stack
        self.name = name
        self.arguments = arguments
        self.environ = environ
        self.wanted = True
        self.lock = threading.RLock()
        self.process = self._spawn()

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    @property
    def log(self) -> Path:
        return self.stack.settings.instance_path / f"{self.name}.log"

    def start(self) -> None:
        self.process = self._spawn()

    def kill(self, *, spare_children: bool = False) -> None:
        """Kill the process; children that are spared belong to nobody from then on."""
        with self.lock:
            children = kill_tree(self.process, spare_children=spare_children)
        if spare_children:
            self.stack.orphans += children

    def _spawn(self) -> Forked:
        # In a session of its own, because a signal for the group of the harness is not for it; and not to outlive it.
        arguments = (*self.arguments, "--exit-with-parent", str(loaded.pid))
        return spawn(self.stack.settings, *arguments, log=self.log, new_session=True, **self.environ)


class Client:
    """Client that orders jobs over HTTP, on one connection."""

    def __init__(self, url: str) -> None:
        self.refusals: Counter[str] = Counter()
        self.http = httpx.Client(base_url=f"{url}/api/v1", timeout=60, trust_env=False)
        answer = self.http.post("/auth/login", json={"username": USERNAME, "password": PASSWORD})
        answer.raise_for_status()
        self.http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def process(self, task_id: int) -> str | None:
        """Order the processing of a task; return the job's id, or None unless it was accepted."""
        return self._accepted(f"/tasks/{task_id}/process")

    def retry(self, job_id: str) -> str | None:
        return self._accepted(f"/jobs/{job_id}/retry")

    def _accepted(self, path: str) -> str | None:
        try:
            answer = self.http.post(path)
        except httpx.HTTPError as error:
            self.refusals[type(error).__name__] += 1
            return None
        if answer.status_code != 202:
            self.refusals[str(answer.status_code)] += 1
            return None
        return str(answer.json()["data"]["job_id"])

    def close(self) -> None:
        self.http.close()


class Stack:
    """A database, a Redis, a web process and what is added, until the end of the `with` block.

    `web` are options of `serve`, `environ` is for all processes. Parts that end are started again after a short
    while, unless they are not `wanted` any more.
    """

    def __init__(
        self, settings: Settings, redis: RedisServer, *, seed: int = 0, web: tuple[str, ...] = (), **environ: str
    ) -> None:
        self.settings = settings
        self.redis = redis
        self.web = web
        # All web processes, and those that come after them, have to know the same tokens.
        secrets = {"SECRET_KEY": settings.secret_key, "JWT_SECRET_KEY": settings.jwt_secret_key}
        self.environ = {**secrets, **environ}
        self.chance = random.Random(seed)
        self.app = create_core_app(settings=settings)
        self.parts: list[Part] = []
        self.orphans: list[psutil.Process] = []
        self.deaths: Counter[str] = Counter()
        self.url = f"http://127.0.0.1:{free_port()}"
        self._stop = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise)

    def __enter__(self) -> "Stack":
        with self.app.app_context():
            flask_migrate.upgrade()
            accounts.create(username=USERNAME, email="chaos@example.com", password=PASSWORD)
        self._supervisor.start()
        try:
            # Tokens are to live as long as the run.
            day = {"TASKLANE_AUTH__ACCESS_TOKEN_MINUTES": "1440"}
            self.add("web", "serve", "--port", self.url.rpartition(":")[2], *self.web, **day)
            wait_for(self._is_serving, bool, seconds=30)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        self._stop.set()
        self._supervisor.join()
        for part in self.parts:
            if part.is_alive:
                part.kill()
        kill_all(self.orphans)
        with self.app.app_context():
            db.session.remove()
            db.engine.dispose()

    def wait(self, seconds: float) -> None:
        self._stop.wait(seconds)

    def add(self, name: str, *arguments: str, **environ: str) -> Part:
        """Start `manage.py <arguments>` as a part of the stack."""
        part = Part(self, name, *arguments, **{**self.environ, **environ})
        self.parts.append(part)
        return part

    def named(self, prefix: str) -> list[Part]:
        return [part for part in self.parts if part.name.startswith(prefix)]

    def _is_serving(self) -> bool:
        with suppress(httpx.HTTPError):
            return httpx.get(f"{self.url}/health", trust_env=False).status_code == 200
        return False

    def _supervise(self) -> None:
        """Start again what has ended, after a little while: a platform is not at once, either."""
        while not self._stop.wait(0.05):
            for part in self.parts:
                with part.lock:
                    if part.is_alive or not part.wanted:
                        continue
                    code = part.process.returncode
                    if code != -9:
                        self.deaths[f"{part.name} ({code})"] += 1
                    if self._stop.wait(self.chance.uniform(0, 0.3)):
                        return
                    part.start()

    # --- what is in the database -------------------------------------------------------

    def create_tasks(self, number: int) -> list[int]:
        """Store tasks to be processed, without the e-mails that people's own cause."""
        with self.app.app_context(), transaction() as session:
            owner_id = session.scalars(select(User.id).where(User.username == USERNAME)).one()
            now = clock.now()
            row = {"title": "To be processed", "description": BEFORE, "owner_id": owner_id, "status": "pending"}
            row |= {"version": 1, "created_at": now, "updated_at": now}
            first = session.scalar(select(func.coalesce(func.max(Task.id), 0))) or 0
            for start in range(0, number, 1000):
                session.execute(insert(Task), [row] * min(1000, number - start))
            return list(session.scalars(select(Task.id).where(Task.id > first).order_by(Task.id)))

    def order_letters(self, tasks: list[int], *, seconds: float) -> None:
        """Order an e-mail about each task, due at some moment of the next seconds: workers take several at once."""
        with self.app.app_context(), transaction() as session:
            owner_id = session.scalars(select(User.id).where(User.username == USERNAME)).one()
            row = {"kind": EMAIL_TASK_CREATED.name, "owner_id": owner_id, "max_attempts": EMAIL_TASK_CREATED.attempts}
            for task_id in tasks:
                due_at = clock.now() + timedelta(seconds=self.chance.uniform(0, seconds))
                session.execute(insert(Job), [{**row, "payload": {"task_id": task_id}, "due_at": due_at}])

    def unsent(self) -> int:
        """Return how many e-mails have not been sent."""
        query = select(func.count()).where(Job.kind == EMAIL_TASK_CREATED.name, Job.state != JobState.SUCCEEDED)
        with self.app.app_context():
            number = db.session.scalar(query) or 0
            db.session.remove()
        return number

    def jobs(self) -> dict[str, dict[str, Any]]:
        """Return every job that processes a task, by its id."""
        return self.jobs_and_effects()[0]

    def job(self, job_id: str) -> dict[str, Any]:
        return self.jobs()[job_id]

    def effects(self) -> dict[int, int]:
        """Return how often each task has been processed. There is no index that could hide a second time."""
        return self.jobs_and_effects()[1]

    def jobs_and_effects(self) -> tuple[dict[str, dict[str, Any]], dict[int, int]]:
        """Return what `jobs` and `effects` return, both at one moment: a job may end between two."""
        columns = (Job.id, Job.state, Job.attempts, Job.max_attempts, Job.payload, Job.started_at, Job.finished_at)
        with self.app.app_context(), snapshot() as session:
            jobs = session.execute(select(*columns).where(Job.kind == PROCESS_TASK.name)).mappings().all()
            tasks = session.execute(select(Task.id, Task.description)).all()
        effects = {task_id: (text or "").removeprefix(BEFORE).count(MARK) for task_id, text in tasks}
        return {str(row["id"]): {**row} for row in jobs}, effects

    def unfinished(self) -> dict[str, JobState]:
        """Return the jobs that are not over or have failed."""
        states = (*OPEN_STATES, JobState.FAILED)
        with self.app.app_context():
            query = select(Job.id, Job.state).where(Job.kind == PROCESS_TASK.name, Job.state.in_(states))
            rows = db.session.execute(query).all()
            db.session.remove()
        return {str(job_id): state for job_id, state in rows}

    def drain(self, *, seconds: float) -> int:
        """Wait until all jobs have succeeded, but not for ever; return how many had to be tried again by hand.

        A job that was killed more often than it may be tried has failed, and its
        owner orders another try over HTTP, as anybody would.
        """
        retried = 0
        client = Client(self.url)
        deadline = clock.monotonic() + seconds
        while ((unfinished := self.unfinished()) or self.unsent()) and clock.monotonic() < deadline:
            failed = [job_id for job_id, state in unfinished.items() if state is JobState.FAILED]
            retried += sum(client.retry(job_id) is not None for job_id in failed)
            self.wait(0.25)
        client.close()
        return retried


@contextmanager
def new_settings(engine: str, **overrides: Any) -> Iterator[tuple[Settings, RedisServer, PostgresServer | None]]:
    """Make settings with a database and a Redis of their own, which are gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="tl-faults-"))
    postgres = PostgresServer() if engine == "postgresql" else None
    try:
        with RedisServer() as redis:
            keys = {
                "database_url": postgres.create_database() if postgres else f"sqlite:///{folder / 'faults.db'}",
                "redis_url": redis.url,
                **overrides,
            }
            environ = {"TASKLANE_INSTANCE_PATH": str(folder)}
            yield load_settings("testing", environ=environ, overrides=keys), redis, postgres
    finally:
        if postgres is not None:
            postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)
