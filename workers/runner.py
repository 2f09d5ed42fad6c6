"""The RQ worker and what happens around every job.

The parent waits for messages and forks a child for each job. The application is
loaded before the fork; connections are opened after it.
"""

import logging
import signal
import threading
from collections.abc import Callable
from contextvars import copy_context
from importlib import import_module
from types import FrameType
from typing import Any, ClassVar
from uuid import UUID

from flask import Flask, current_app
from rq import Worker
from rq.serializers import JSONSerializer
from rq.timeouts import JobTimeoutException
from sqlalchemy.exc import SQLAlchemyError

from core import clock, logs, redis
from core.bootstrap import current_settings
from core.db import db
from core.errors import DomainError, JobFailed
from core.jobs import lifecycle
from core.jobs.kinds import KINDS
from core.jobs.lifecycle import LeaseLost, Run
from workers.wakeup import WakeUp, read_message_id

log = logging.getLogger("tasklane.worker")

MONITOR_SECONDS = 5
KILLED = "The worker process was killed in the middle of this job."

HAND_BACK = signal.SIGUSR1
TAKEN = signal.SIGUSR2

# How often a run looks whether it still holds its job: as long as a cancelled one goes on at most.
WATCH_SECONDS = 1.0


class Stopping(BaseException):
    """The worker has to stop now. Not an Exception, so that no job swallows it."""


class Taken(BaseException):
    """The job was cancelled or given to another run. Not an Exception, for the same reason."""


def run_job(job_id: str, attempt: int) -> None:
    """Run one attempt of a job; RQ calls this in the forked child.

    Never raises for a failed job: its row tells what happened, and when it is
    tried again.
    """
    logs.job_id.set(job_id)
    settings = current_settings()
    run = lifecycle.claim(UUID(job_id), attempt, lease_seconds=settings.jobs.lease_seconds)
    if run is None:
        log.info("Nothing to do: a late duplicate, or the job was cancelled.")
        return
    logs.job_kind.set(run.kind)
    logs.job_attempt.set(run.attempt)
    log.info("%s started, attempt %s of %s", run.kind, run.attempt, run.max_attempts)
    watch = _Watch(current_app._get_current_object(), run)  # type: ignore[attr-defined]
    try:
        with watch:
            _call(run)
    except (LeaseLost, Taken):
        db.session.rollback()
        log.warning("%s was cancelled, or taken from this run; nothing of it was stored.", run.kind)
    finally:
        db.session.remove()


class _Watch:
    """A thread beside a job: it proves that the worker lives, and notices when the job was taken away."""

    current: ClassVar["_Watch | None"] = None

    def __init__(self, app: Flask, run: Run) -> None:
        self.app = app
        self.run = run
        self.finished = threading.Event()
        context = copy_context()  # Its lines belong to the job, too.
        self.thread = threading.Thread(target=context.run, args=(self._watch,), daemon=True)

    def __enter__(self) -> None:
        _Watch.current = self
        self.thread.start()

    def __exit__(self, *error: object) -> None:
        self.finished.set()
        self.thread.join()

    def _watch(self) -> None:
        extend_every = self.run.lease_seconds / 3
        extended_at = clock.monotonic()
        while not self.finished.wait(min(WATCH_SECONDS, extend_every)):
            with self.app.app_context():
                try:
                    if clock.monotonic() - extended_at >= extend_every:
                        self.run.extend()
                        extended_at = clock.monotonic()
                    else:
                        self.run.require_held()
                except LeaseLost:
                    # Only in a forked child is the job all that the main thread does.
                    if not self.run.is_finished and signal.getsignal(TAKEN) is _raise_taken:
                        signal.pthread_kill(threading.main_thread().ident or 0, TAKEN)
                    return
                except Exception:
                    log.exception("The lease could not be looked at; trying again.")


def _raise_taken(signum: int, frame: FrameType | None) -> None:
    if _Watch.current is not None and not _Watch.current.finished.is_set():
        raise Taken


def _call(run: Run) -> None:
    try:
        function = resolve(KINDS[run.kind].function)
        result = function(run, **run.payload)
        if not run.is_finished:
            with run.completing(**(result or {})):
                pass
        log.info("%s succeeded", run.kind)
    except LeaseLost:
        raise
    except JobFailed as error:
        log.warning("%s failed for good: %s", run.kind, error.message)
        if not run.is_finished:
            run.fail(error.message, permanently=True)
    except JobTimeoutException:
        log.warning("%s took too long", run.kind)
        run.fail(f"The job took longer than {KINDS[run.kind].timeout_seconds} s.")
    except Stopping:
        db.session.rollback()
        log.warning("%s is handed back, because this worker stops", run.kind)
        run.hand_back()
    except DomainError as error:
        log.warning("%s failed: %s", run.kind, error.message)
        run.fail(error.message)
    except Exception as error:
        log.exception("%s failed", run.kind)
        # The log has the rest; a user must not read of hosts, paths or SQL.
        run.fail(f"The job failed unexpectedly ({type(error).__name__}).")


def resolve(name: str) -> Callable[..., dict[str, Any] | None]:
    """Return the function that a dotted name means."""
    module, _, attribute = name.rpartition(".")
    function: Callable[..., dict[str, Any] | None] = getattr(import_module(module), attribute)
    return function


class TasklaneWorker(Worker):
    """An RQ worker that lets a short job finish and hands a long one back when it must stop."""

    def __init__(self, app: Flask, queues: list[str]) -> None:
        with app.app_context():
            self.settings = current_settings()
        self.app = app
        # RQ is to log like everything else here, so its own handlers stay away.
        super().__init__(
            queues,
            connection=redis.connect_blocking(self.settings),
            serializer=JSONSerializer,
            job_class=WakeUp,
            log_job_description=False,
            job_monitoring_interval=MONITOR_SECONDS,
        )

    def main_work_horse(self, *args: Any, **kwargs: Any) -> None:
        """Run in the forked child: never touch a connection of the parent."""
        with self.app.app_context():
            db.engine.dispose(close=False)
            super().main_work_horse(*args, **kwargs)

    def setup_work_horse_signals(self) -> None:
        """Let the parent alone decide when the job has to stop.

        Platforms send SIGTERM to every process; the child ignores it, so that a
        short job finishes, and stops when the parent says so by HAND_BACK.
        """
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(HAND_BACK, _raise_stopping)
        signal.signal(TAKEN, _raise_taken)

    def maintain_heartbeats(self, job: Any) -> None:
        """Kill a job that did not react to its time limit; RQ's own patience is a minute for every kind."""
        if self.current_job_working_time > job.meta.get("kill_seconds", float("inf")):
            log.error("Job %s does not react to its time limit; its process is killed.", job.id)
            self.kill_horse()
        super().maintain_heartbeats(job)

    def handle_work_horse_killed(self, job: Any, retpid: int, ret_val: int, rusage: Any) -> None:
        """Have the job of a child that died tried again at once, instead of when its lease ends."""
        with self.app.app_context():
            try:
                lifecycle.give_up(*read_message_id(job.id), error=KILLED)
            except SQLAlchemyError as error:
                log.warning("Job %s waits for its lease to end: %s", job.id, type(error).__name__)
            finally:
                # The next child must not inherit an open connection.
                db.session.remove()
                db.engine.dispose()

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Finish the current job if it ends within the grace period, then leave."""
        grace = threading.Timer(self.settings.jobs.shutdown_grace_seconds, self._stop_horse)
        grace.daemon = True
        grace.start()
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call]

    def request_force_stop(self, signum: int, frame: FrameType | None) -> None:
        """Ignore a repeated signal: platforms send several, and a job must not die of it."""

    def _stop_horse(self) -> None:
        if self.horse_pid:
            self.kill_horse(HAND_BACK)


def _raise_stopping(signum: int, frame: FrameType | None) -> None:
    signal.signal(HAND_BACK, signal.SIG_IGN)  # A second one must not interrupt the hand-back.
    raise Stopping
