"""Real processes of Tasklane: starting them, waiting for what they do, killing them."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import psutil
from flask import Flask

from core.platform.config.settings import Settings
from tests.support.loaded import Forked, loaded
from tests.support.people import Person

Value = TypeVar("Value")

# Seconds. It costs nothing where all is well, and a machine may be busy with something else.
PATIENCE = 60


def spawn(
    settings: Settings, *arguments: str, log: Path | None = None, new_session: bool = False, **environ: str
) -> Forked:
    """Start `manage.py <arguments>` on the database and Redis of these settings; `environ` comes on top."""
    variables = {
        **os.environ,
        "TASKLANE_ENV": "testing",
        "TASKLANE_INSTANCE_PATH": str(settings.instance_path),
        "TEST_DATABASE_URL": settings.database_url,
        "TEST_REDIS_URL": settings.redis_url,
        "LOG_LEVEL": "INFO",
        **environ,
    }
    return loaded.start(arguments, variables, log or log_of(settings, arguments[0]), new_session=new_session)


def log_of(settings: Settings, name: str) -> Path:
    return settings.instance_path / f"{name}.log"


@contextmanager
def process(app: Flask, *arguments: str, **environ: str) -> Iterator[Forked]:
    """Run `manage.py <arguments>` meanwhile; it has to end well when it is told to."""
    settings: Settings = app.extensions["tasklane"]
    running = spawn(settings, *arguments, **environ)
    try:
        yield running
    finally:
        running.terminate()
        try:
            assert running.wait(PATIENCE) == 0, log_of(settings, arguments[0]).read_text()
        finally:
            running.kill()


def wait_for(read: Callable[[], Value], wanted: Callable[[Value], Any], *, seconds: float = PATIENCE) -> Value:
    """Return the first value that is wanted, within so many seconds."""
    deadline = time.monotonic() + seconds
    value = read()
    while not wanted(value):
        assert time.monotonic() < deadline, f"Still {value!r}"
        time.sleep(0.05)
        value = read()
    return value


def process_task(person: Person, **fields: Any) -> tuple[int, str]:
    """Create a task and order its processing; return its id and that of the job."""
    task = person.create_task(**fields)
    return task["id"], person.post(f"/tasks/{task['id']}/process").get_json()["data"]["job_id"]


def job_of(person: Person, job_id: str) -> Any:
    return person.get(f"/jobs/{job_id}").get_json()["data"]


def children_of(pid: int) -> list[psutil.Process]:
    """Return all descendants of a process; none if it is gone."""
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).children(recursive=True)
    return []


def kill_all(processes: list[psutil.Process]) -> None:
    """Kill at once, by SIGKILL."""
    for one in processes:
        with suppress(psutil.NoSuchProcess):
            one.kill()


def kill_tree(running: Forked, *, spare_children: bool = False) -> list[psutil.Process]:
    """Kill a process with all its descendants, or without them; return the descendants.

    It is stopped first, so that it cannot have another child meanwhile.
    """
    running.send_signal(signal.SIGSTOP)
    children = children_of(running.pid)
    if not spare_children:
        kill_all(children)
    running.kill()
    running.wait()
    return children
