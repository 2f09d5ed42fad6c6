"""The RQ worker and what happens around every job.

The parent waits for messages and forks a child for each job. The application is
loaded before the fork; connections are opened after it.
"""

import logging
import signal
import threading
from collections.abc import Callable
from importlib import import_module
from types import FrameType
from typing import Any
from uuid import UUID

from flask import Flask, current_app
from rq import Worker
from rq.serializers import JSONSerializer
from rq.timeouts import JobTimeoutException

from core import logs, redis
from core.bootstrap import current_settings
from core.db import db
from core.errors import DomainError, JobFailed
from core.jobs import lifecycle
from core.jobs.kinds import KINDS
from core.jobs.lifecycle import LeaseLost, Run
from workers.wakeup import WakeUp

log = logging.getLogger("tasklane.worker")


HAND_BACK = signal.SIGUSR1


class Stopping(BaseException):
    """The worker has to stop now. Not an Exception, so that no job swallows it."""


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
    log.info("%s started, attempt %s of %s", run.kind, run.attempt, run.max_attempts)
    finished = threading.Event()
    heart = threading.Thread(target=_keep_lease, args=(current_app._get_current_object(), run, finished), daemon=True)  # type: ignore[attr-defined]
    heart.start()
    try:
        _call(run)
    except LeaseLost:
        log.warning("%s was taken from this run; nothing of it was stored.", run.kind)
    finally:
        finished.set()
        heart.join()
        db.session.remove()


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


def _keep_lease(app: Flask, run: Run, finished: threading.Event) -> None:
    """Prove that the worker lives while a job takes longer than its lease."""
    while not finished.wait(run.lease_seconds / 3):
        with app.app_context():
            try:
                run.extend()
            except LeaseLost:
                return
            except Exception:
                log.exception("The lease could not be extended; trying again.")


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
