"""The worker: it waits for messages and forks a child for each job.

The application is loaded before the fork; connections are opened after it.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

from flask import Flask
from redis.exceptions import RedisError
from rq import Worker, worker_registration
from rq.exceptions import StopRequested
from rq.serializers import JSONSerializer
from sqlalchemy.exc import SQLAlchemyError

from core.jobs import tally
from core.jobs.kinds import KINDS
from core.platform import redis
from core.platform.config.current import current_settings
from core.platform.database.base import db
from core.runs import lifecycle
from workers.runner import HAND_BACK, TAKEN, TimeLimit, raise_stopping, raise_taken, resolve
from workers.wakeup import WakeUp, read_message_id

log = logging.getLogger("tasklane.worker")

MONITOR_SECONDS = 5
# A worker that says nothing to Redis for this long is no longer counted, and looks for leftovers this often.
# One that waits for a job speaks twice as often; RQ waits 15 seconds less than it is set to.
SILENCE_SECONDS = 30
PAUSE_WHEN_DOWN = 1.0
# How long a job may take to notice that it has to stop.
HAND_BACK_SECONDS = 3.0

KILLED = "The worker process was killed in the middle of this job."


def run(app: Flask, queues: list[str], *, burst: bool = False, announce: Callable[[], None] = lambda: None) -> None:
    """Work until SIGINT or SIGTERM, or with `burst` until the queues are empty. Needs the main thread.

    A Redis that goes away is waited for: ending would take a running job along,
    and platforms start again ever more slowly what keeps ending. `announce` is
    called when the first worker is ready. With `burst`, raises RedisError.
    """
    with suppress(StopRequested):
        while True:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, _leave)
            try:
                worker = TasklaneWorker(app, queues)
                announce()
                announce = _say_nothing
                worker.work(burst=burst, logging_level="WARNING")
                if burst or worker.is_told_to_stop:
                    return
            except RedisError as error:
                if burst:
                    raise
                log.warning("Redis does not answer (%s); trying again.", type(error).__name__)
            time.sleep(PAUSE_WHEN_DOWN)


def _leave(signum: int, frame: FrameType | None) -> None:
    raise StopRequested


def _say_nothing() -> None:
    pass


class TasklaneWorker(Worker):
    """An RQ worker that lets a short job finish and hands a long one back when it must stop.

    What it writes about itself into Redis is for information only, so it goes on when
    Redis does not listen.
    """

    death_penalty_class = TimeLimit
    max_connection_wait_time = PAUSE_WHEN_DOWN

    def __init__(self, app: Flask, queues: list[str]) -> None:
        with app.app_context():
            self.settings = current_settings()
        self.app = app
        self._prepare()
        self.is_told_to_stop = False
        self._has_ended = False
        self._end_status: int | None = None
        # RQ is to log like everything else here, so its own handlers stay away.
        super().__init__(
            queues,
            connection=redis.connect_blocking(self.settings),
            serializer=JSONSerializer,
            job_class=WakeUp,
            log_job_description=False,
            job_monitoring_interval=MONITOR_SECONDS,
            worker_ttl=SILENCE_SECONDS,
            maintenance_interval=SILENCE_SECONDS,
        )

    def _prepare(self) -> None:
        """Do once what every child would have to do for itself, for a fifth of the time that a small job takes."""
        for kind in KINDS.values():
            resolve(kind.function)
        with self.app.app_context():
            try:
                lifecycle.rehearse()
            except SQLAlchemyError as error:
                log.warning("The database does not answer yet: %s", type(error).__name__)
            finally:
                self._disconnect()

    @staticmethod
    def _disconnect() -> None:
        """Close what is open to the database: a child must not inherit it."""
        db.session.remove()
        db.engine.dispose()

    # --- the child -----------------------------------------------------------------

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
        signal.signal(HAND_BACK, raise_stopping)
        signal.signal(TAKEN, raise_taken)

    # --- the parent beside it ------------------------------------------------------

    def fork_work_horse(self, job: Any, queue: Any) -> None:
        """Fork the child, of which nothing is known yet."""
        self._has_ended, self._end_status = False, None
        super().fork_work_horse(job, queue)

    def wait_for_horse(self) -> Any:
        """Wait for the child and note how it ended, whatever RQ finds about its message in Redis."""
        ended = super().wait_for_horse()
        self._has_ended, self._end_status = True, ended[1]
        return ended

    def monitor_work_horse(self, job: Any, queue: Any) -> None:
        """Retry the job of a child that died at once, instead of when its lease ends."""
        try:
            super().monitor_work_horse(job, queue)
        finally:
            if self._has_ended and self._end_status != os.EX_OK:
                self._give_up(job.id)

    def _give_up(self, key: str) -> None:
        with self.app.app_context():
            try:
                kind = lifecycle.give_up(*read_message_id(key), error=KILLED)
                if kind is not None:
                    log.error("%s: %s", kind, KILLED, extra={"outcome": "killed", "killed_attempt": key})
                    seconds = self.current_job_working_time
                    tally.count(self.settings, kind=kind, outcome="killed", seconds=seconds)
            except SQLAlchemyError as error:
                log.warning("Job %s waits for its lease to end: %s", key, type(error).__name__)
            finally:
                self._disconnect()

    def kill_horse(self, sig: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to the child and all that it has started."""
        pid = self.horse_pid
        with suppress(ProcessLookupError):
            # Just after the fork the child is still in the group of its parent, which is not meant.
            if pid and os.getpgid(pid) == pid:
                os.killpg(pid, sig)
            elif pid:
                os.kill(pid, sig)

    # --- what is said to Redis -----------------------------------------------------

    def maintain_heartbeats(self, job: Any) -> None:
        """Kill a job that did not react to its time limit; RQ's own patience is a minute for every kind."""
        if self.current_job_working_time > job.meta.get("kill_seconds", float("inf")):
            log.error("Job %s does not react to its time limit; its process is killed.", job.id)
            self.kill_horse()
        with suppress(RedisError):
            super().maintain_heartbeats(job)
            worker_registration.register(self)

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        """Show that this worker lives, also to a Redis that has forgotten it."""
        if pipeline is not None:
            super().heartbeat(SILENCE_SECONDS, pipeline)
            return
        with suppress(RedisError), self.connection.pipeline() as own:
            super().heartbeat(SILENCE_SECONDS, own)
            worker_registration.register(self, own)
            own.execute()

    def set_current_job_working_time(self, current_job_working_time: float, pipeline: Any = None) -> None:
        """Note how long the job has been running."""
        with suppress(RedisError):
            super().set_current_job_working_time(current_job_working_time, pipeline)

    def set_shutdown_requested_date(self) -> None:
        """Write nothing to Redis: a signal handler must not wait for it."""

    def subscribe(self) -> None:
        """Take no commands from Redis: who can write there must not be able to end workers and jobs."""

    def unsubscribe(self) -> None:
        """Do nothing, like `subscribe`."""

    def teardown(self) -> None:
        """Say goodbye, but wait for no answer."""
        if not self.is_horse:
            self.connection = redis.connect(self.settings)
            with suppress(RedisError):
                self.register_death()  # type: ignore[no-untyped-call]

    # --- the end -------------------------------------------------------------------

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Finish the current job if it ends within the grace period, then leave."""
        self.is_told_to_stop = True
        grace = threading.Timer(self.settings.jobs.shutdown_grace_seconds, self._stop_horse)
        grace.daemon = True
        grace.start()
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call]

    def request_force_stop(self, signum: int, frame: FrameType | None) -> None:
        """Ignore a repeated signal: platforms send several, and a job must not die of it."""

    def _stop_horse(self) -> None:
        """Ask the child to hand its job back, and kill it if it cannot."""
        self.kill_horse(HAND_BACK)
        time.sleep(HAND_BACK_SECONDS)
        if self.horse_pid:
            log.error("The job does not react to being stopped; its process is killed.")
            self.kill_horse()
