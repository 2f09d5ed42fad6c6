"""A running `manage.py serve` and people who keep it busy. The tests and the commands in tests/faults use both."""

import http.client
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from core.platform.config.load import ROOT
from tests.support.commands import Operator
from tests.support.loaded import Forked, loaded
from tests.support.ports import free_port

CREDENTIALS = {"username": "grace", "password": "a long password"}
ACCOUNT = {**CREDENTIALS, "email": "grace@example.com"}


def alive(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Return those that run; one that has ended and that nobody has asked for its exit code does not."""
    found = []
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def wait_for_end(processes: Iterable[psutil.Process], *, seconds: float = 10) -> list[psutil.Process]:
    """Wait until all have ended; return those that have not in this time."""
    until = time.monotonic() + seconds
    while (left := alive(processes)) and time.monotonic() < until:
        time.sleep(0.05)
    return left


class Program:
    """`manage.py <command>` in a process of its own, its log, and a port for it to listen on.

    Where how it starts does not matter, it is forked from a process that has loaded all, and so are those that it
    starts.
    """

    def __init__(self, log: Path, command: str, *, root: Path = ROOT, is_forked: bool = False) -> None:
        self.root = root
        self.is_forked = is_forked
        self.manage = [sys.executable, str(root / "manage.py")]
        self.command = command
        self.log = log
        self.port = free_port()
        self.environ = {"PATH": os.environ["PATH"]}
        self.token = ""
        self.process: subprocess.Popen[bytes] | Forked | None = None

    def launch(self, *options: str) -> subprocess.Popen[bytes] | Forked:
        """Start it with an empty log."""
        self.log.write_text("")
        if self.is_forked:
            arguments = (self.command, "--port", str(self.port), *options)
            self.process = loaded.start(arguments, self.environ, self.log, new_session=True)
            return self.process
        with self.log.open("ab") as file:
            self.process = subprocess.Popen(
                [*self.manage, self.command, "--port", str(self.port), *options],
                env=self.environ,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        return self.process

    @property
    def parent(self) -> psutil.Process:
        """The process that watches the others."""
        assert self.process is not None
        return psutil.Process(self.process.pid)

    def family(self) -> list[psutil.Process]:
        """Return that process and all that it has started."""
        return [self.parent, *self.parent.children(recursive=True)]

    def wait_for_line(self, text: str, *, count: int = 1, seconds: float = 60) -> None:
        """Wait until the log says something so often."""
        until = time.monotonic() + seconds
        while self.log.read_text().count(text) < count:
            assert time.monotonic() < until, self.log.read_text()
            time.sleep(0.02)

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, float, list[psutil.Process]]:
        """Send a signal; return the exit code, the seconds it took, and who is still alive."""
        assert self.process is not None
        family = self.family()
        start = time.monotonic()
        self.process.send_signal(number)
        code = self.process.wait(40)
        self.process = None
        return code, time.monotonic() - start, alive(family)


class Service(Program):
    """`manage.py serve` on a database of its own in `folder`, unless `environ` names another.

    It is the release in `root`, which may be another than this one.
    """

    def __init__(
        self, folder: Path, *arguments: str, root: Path = ROOT, is_forked: bool = False, **environ: str
    ) -> None:
        super().__init__(folder / "serve.log", "serve", root=root, is_forked=is_forked)
        self.arguments = arguments
        self.environ |= {
            "TASKLANE_ENV": "testing",
            "TASKLANE_INSTANCE_PATH": str(folder / "instance"),
            # Of this kind a server in the testing environment makes new ones at each start.
            "JWT_SECRET_KEY": secrets.token_hex(32),
            "SECRET_KEY": secrets.token_hex(32),
            "TEST_REDIS_URL": "redis://127.0.0.1:1",
            "LOG_LEVEL": "INFO",
            **environ,
        }

    def prepare(self) -> "Service":
        """Create the database, by the code of the release that serves it."""
        if self.root == ROOT:
            done = Operator(Path(self.environ["TASKLANE_INSTANCE_PATH"])).run("init-db", **self.environ)
            assert done.returncode == 0, done.stderr
        else:
            subprocess.run([*self.manage, "init-db"], env=self.environ, check=True, capture_output=True)
        return self

    def start(self) -> "Service":
        """Start it, and return when it answers."""
        running = self.launch()
        until = time.monotonic() + 60
        while True:
            try:
                # Once somebody listens, this waits by itself until somebody answers.
                assert self.call("GET", "/health")[0] == 200
                return self
            except ConnectionRefusedError:
                assert running.poll() is None, self.log.read_text()
                assert time.monotonic() < until, self.log.read_text()
                time.sleep(0.02)

    def launch(self, *options: str) -> subprocess.Popen[bytes] | Forked:
        """Start it with its arguments."""
        return super().launch(*self.arguments, *options)

    def log_in(self) -> "Service":
        """Be somebody; register at the first time."""
        self.call("POST", "/auth/register", ACCOUNT)
        self.token = self.call("POST", "/auth/login", CREDENTIALS)[1]["access_token"]
        return self

    def call(self, method: str, path: str, body: Any = None, *, timeout: float = 60) -> tuple[int, Any]:
        """Ask once, on a connection of its own."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            return self.ask(client, method, path, body)
        finally:
            client.close()

    def ask(self, client: http.client.HTTPConnection, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Ask on a connection that the caller keeps."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        data = None
        if body is not None:
            data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        client.request(method, path if path.startswith("/health") else f"/api/v1{path}", data, headers)
        answer = client.getresponse()
        raw = answer.read()
        return answer.status, json.loads(raw) if raw else None

    def children(self) -> set[int]:
        """Return the ids of the processes that serve."""
        return {child.pid for child in self.parent.children()}

    def wait_for_children(self, number: int, *, without: set[int], seconds: float = 30) -> set[int]:
        """Wait until so many serve, none of them out of `without`."""
        until = time.monotonic() + seconds
        while len(children := self.children()) != number or children & without:
            assert time.monotonic() < until, (children, self.log.read_text())
            time.sleep(0.02)
        return children


class Load:
    """Clients that ask without a pause until told to stop, and count what was lost.

    Every tenth request writes. `keep` is how: on one connection as long as the
    server lets them, or on a new one each time. `pause` is the longest time
    between two requests of one client.
    """

    def __init__(self, service: Service, *, clients: int, keep: bool, pause: float = 0) -> None:
        self.service = service
        self.keep = keep
        self.pause = pause
        self.answers: Counter[int] = Counter()
        self.lost: list[str] = []
        self.stored: list[int] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(number,)) for number in range(clients)]

    @property
    def total(self) -> int:
        """Number of requests that were answered or lost."""
        return sum(self.answers.values()) + len(self.lost)

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def wait_until(self, total: int, *, seconds: float = 120) -> None:
        """Wait until so many requests are over."""
        until = time.monotonic() + seconds
        while self.total < total:
            assert time.monotonic() < until, self.total
            time.sleep(0.02)

    def _work(self, number: int) -> None:
        chance = random.Random(number)
        client = self._connection()
        count = 0
        while not self._stop.is_set():
            count += 1
            try:
                self._one(client, count % 10 == 0)
            except (OSError, http.client.HTTPException) as error:
                self.lost.append(f"{type(error).__name__}: {error}")
                client.close()
            if not self.keep:
                client.close()
            if self.pause:
                self._stop.wait(chance.uniform(0, self.pause))
        client.close()

    def _one(self, client: http.client.HTTPConnection, writes: bool) -> None:
        if writes:
            status, answer = self.service.ask(client, "POST", "/posts", {"title": "Load", "content": "x"})
            if status == 201:
                self.stored.append(answer["data"]["id"])
        else:
            status, _ = self.service.ask(client, "GET", "/auth/me")
        self.answers[status] += 1

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.service.port, timeout=60)
