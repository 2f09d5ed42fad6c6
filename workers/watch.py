"""Thread beside the jobs of a process: it proves that they are held, and notices when one was taken away."""

import logging
import signal
import threading
from collections import deque
from collections.abc import Iterable
from contextvars import copy_context
from types import FrameType
from typing import ClassVar

from flask import Flask

from core.platform import clock
from core.platform.database import outage_log
from core.platform.database.trouble import is_outage
from core.platform.logs import context
from core.runs import lifecycle
from core.runs.lifecycle import Attempt
from core.runs.run import LeaseLost, Run

log = logging.getLogger("tasklane.worker")

TAKEN = signal.SIGUSR2

# How often a run looks whether it still holds its job: half of what a cancelled one may go on.
WATCH_SECONDS = 0.5
# For how long a claimed job may wait for the ones before it; then another worker may be free earlier.
PENDING_SECONDS = 1.0


class Taken(BaseException):
    """The job was cancelled or given to another run. Not an Exception, so that no job swallows it."""


class Watch:
    """Jobs that a process has claimed: one of them is current, the others wait for it in order.

    Claims do not wait long: when those before them take their time, the thread gives them back.
    A job leaves `_pending` once, either to begin or to be given back.
    """

    current: ClassVar["Watch | None"] = None

    def __init__(self, app: Flask, runs: Iterable[Run]) -> None:
        self.app = app
        self.run: Run | None = None
        self._pending = deque(runs)
        self._third = min(run.lease_seconds for run in self._pending) / 3
        self._taken: Run | None = None
        # True when jobs could not be given back: then their worker has to do it.
        self.has_lost = False
        self._began_at = clock.monotonic()
        self._finished = threading.Event()
        self._thread = threading.Thread(target=copy_context().run, args=(self._watch,), daemon=True)

    def __enter__(self) -> "Watch":
        Watch.current = self
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.end_current()
        self._finished.set()
        self._thread.join()

    def begin_next(self) -> Run | None:
        """Return the next job that is still held here, which is the current one from now on."""
        try:
            self.run = self._pending.popleft()
        except IndexError:
            self.run = None
        return self.run

    def end_current(self) -> None:
        """Leave the current job alone: it is over, or what interrupted it is being recorded."""
        self.run = None

    def give_back(self) -> None:
        """Give back what has not begun."""
        attempts = []
        token = ""
        while self._pending:
            try:
                run = self._pending.pop()
            except IndexError:  # The other thread has begun it.
                break
            token = run.token
            attempts.append(Attempt(run.job_id, run.attempt - 1))
        if attempts:
            log.info("%s jobs are given back before they began", len(attempts))
            self.has_lost = True
            lifecycle.release(attempts, token=token)
            self.has_lost = False

    def is_taken(self) -> bool:
        """Return whether the current job is the one that was taken away."""
        return self.run is not None and self.run is self._taken

    def _watch(self) -> None:
        seen: Run | None = None
        extended_at = self._began_at
        while not self._finished.wait(min(WATCH_SECONDS, self._third)):
            run, now = self.run, clock.monotonic()
            if run is not None and run is not seen:
                seen, extended_at = run, self._began_at
                name_lines(run)
            with self.app.app_context():
                try:
                    if self._pending and now - self._began_at >= min(PENDING_SECONDS, self._third):
                        self.give_back()
                    if run is None or run.is_finished or run is self._taken:
                        continue
                    if now - extended_at >= self._third:
                        run.extend()
                        extended_at = now
                    else:
                        run.require_held()
                except LeaseLost:
                    self._take(run)
                except Exception as error:
                    if is_outage(error):
                        outage_log.tell(log, error)
                    else:
                        log.exception("The lease could not be looked at; trying again.")

    def _take(self, run: Run | None) -> None:
        """Interrupt the job that is not held here any more; only in the child of a worker is it all that happens."""
        if run is None or run.is_finished:
            return
        self._taken = run
        if signal.getsignal(TAKEN) is raise_taken:
            signal.pthread_kill(threading.main_thread().ident or 0, TAKEN)


def name_lines(run: Run) -> None:
    """Let the lines of this thread name the job, from now on."""
    context.job_id.set(str(run.job_id))
    context.job_kind.set(run.kind)
    context.job_attempt.set(run.attempt)


def raise_taken(signum: int, frame: FrameType | None) -> None:
    """Handle TAKEN, while the job that it means is the current one."""
    if Watch.current is not None and Watch.current.is_taken():
        raise Taken
