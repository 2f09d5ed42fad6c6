"""The child of a worker: it lives for many short jobs, and a long one is the last that it does.

Its parent tells it by a pipe which messages it has taken from the queue; the child claims their jobs in one
transaction, and tells before it begins each of them. So when it dies, its parent knows what to do: the job that
had begun is tried again, the others are given back.
"""

import json
import logging
import os
import resource
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any
from uuid import UUID

from flask import Flask
from rq.timeouts import JobTimeoutException
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from core.jobs.kinds import KINDS
from core.platform import clock
from core.platform.database.base import db
from core.platform.logs import sentry
from core.runs.lifecycle import Attempt
from core.runs.run import Run
from workers import runner
from workers.runner import HAND_BACK, Stopping, TimeLimit, raise_stopping
from workers.watch import TAKEN, Watch, raise_taken

log = logging.getLogger("tasklane.worker")

# When a child has done so many jobs, is so old, or has grown by so much, another one follows it.
MOST_JOBS = 1000
MOST_SECONDS = 900.0
MOST_MEGABYTES = 150
# Bytes in a unit of `ru_maxrss`.
_UNIT = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True, slots=True)
class Assignment:
    """Messages that a worker has taken, and the token by which their jobs are claimed.

    The parent chooses it, so that it can give back exactly what its child has claimed.
    """

    token: str
    attempts: tuple[Attempt, ...]

    def dump(self) -> bytes:
        return json.dumps([self.token, [[str(job_id), number] for job_id, number in self.attempts]]).encode()

    @classmethod
    def load(cls, data: bytes) -> "Assignment":
        token, attempts = json.loads(data)
        return cls(token, tuple(Attempt(UUID(job_id), number) for job_id, number in attempts))


def live(app: Flask, pipe: Connection) -> int:
    """Do what comes through the pipe until it ends, or this process has done enough; return its exit code."""
    try:
        take_signals()
        # A connection of the parent is not for two.
        with app.app_context():
            db.engine.dispose(close=False)
        _follow(app, pipe)
    except Stopping:
        # What had not begun, or was about to, the parent gives back.
        return os.EX_OK
    except Exception:
        log.exception("The process of a worker failed; another one follows.")
        return os.EX_SOFTWARE
    finally:
        # This process ends without running what waits for the end of one.
        sentry.flush()
    return os.EX_OK


def take_signals() -> None:
    """Let the parent alone decide when a job has to stop; it says so by HAND_BACK.

    Platforms send SIGTERM to every process; a child ignores it, so that a short job finishes.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(TAKEN, raise_taken)
    signal.signal(HAND_BACK, raise_stopping)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM, HAND_BACK, TAKEN))


def _follow(app: Flask, pipe: Connection) -> None:
    born_at, born_with, done = clock.monotonic(), _peak_bytes(), 0
    _connect(app)
    while True:
        try:
            assignment = Assignment.load(pipe.recv_bytes())
        except (EOFError, OSError):
            return  # The parent has gone.
        done += len(assignment.attempts)
        with app.app_context():
            is_last = _work(app, pipe, assignment) or runner.is_stopping()
        is_last = is_last or done >= MOST_JOBS or clock.monotonic() - born_at >= MOST_SECONDS
        is_last = is_last or _peak_bytes() - born_with >= MOST_MEGABYTES * 2**20
        _tell(pipe, over=True, leaves=is_last)
        if is_last:
            return


def _connect(app: Flask) -> None:
    """Open what the first job needs while nobody waits for it."""
    with app.app_context(), suppress(SQLAlchemyError):
        db.session.execute(text("SELECT 1"))


def _peak_bytes() -> int:
    """Return the most memory that this process has had so far; what it shares with its parent counts as well."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT


def _work(app: Flask, pipe: Connection, assignment: Assignment) -> bool:
    """Do the jobs of an assignment; return whether this process has to leave after them.

    It has after a long one, and when jobs could not be given back: whoever buries it does that.
    """
    runs = runner.claim(assignment.attempts, token=assignment.token)
    if not runs:
        return False
    had_long = False
    with Watch(app, runs) as watch:
        while not runner.is_stopping() and (run := watch.begin_next()) is not None:
            kind = KINDS[run.kind]
            if not kind.is_short:
                had_long = True
                watch.give_back()
            _tell(pipe, begun=_place(assignment.attempts, run), kind=run.kind)
            with TimeLimit(kind.timeout_seconds, JobTimeoutException):  # type: ignore[no-untyped-call]
                copy_context().run(runner.perform, run, watch)
    return had_long or watch.has_lost


def _place(attempts: Sequence[Attempt], run: Run) -> int:
    return attempts.index(Attempt(run.job_id, run.attempt - 1))


def _tell(pipe: Connection, **event: Any) -> None:
    # Without a parent the job goes on, but nobody hears of it.
    with suppress(OSError):
        pipe.send_bytes(json.dumps(event).encode())
