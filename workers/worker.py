"""The worker: it takes messages from the queues and has a child do their jobs, which it watches.

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
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeout
from rq import Queue, Worker, worker_registration
from rq.exceptions import DequeueTimeout, StopRequested
from rq.serializers import JSONSerializer
from rq.utils import as_text
from rq.worker import WorkerStatus
from sqlalchemy.exc import SQLAlchemyError

from core.jobs.kinds import KINDS, SHORT_QUEUES, WEIGHTS
from core.platform import clock, redis
from core.platform.config.current import current_settings
from core.runs import lifecycle
from core.runs.lifecycle import Attempt
from workers.child import Assignment
from workers.children import Child
from workers.oversight import clear_up, disconnect, follow
from workers.runner import HAND_BACK, resolve
from workers.turns import Turns
from workers.wakeup import WakeUp, read_message_id

log = logging.getLogger("tasklane.worker")

# A worker that says nothing to Redis for this long is no longer counted, and looks for leftovers this often.
# One that waits for a job speaks twice as often; RQ waits 15 seconds less than it is set to.
SILENCE_SECONDS = 30
PAUSE_WHEN_DOWN = 1.0
# How long a job may take to notice that it has to stop.
HAND_BACK_SECONDS = 3.0
# Short jobs that are taken at once: as many as were done in so many seconds lately, but no more than this.
BATCH_SECONDS = 0.25
MOST_TAKEN = 20


def run(app: Flask, queues: list[str], *, burst: bool = False, announce: Callable[[], None] = lambda: None) -> None:
    """Work until SIGINT or SIGTERM, or with `burst` until the queues are empty. Needs the main thread.

    A Redis that goes away is waited for: ending would take a running job along,
    and platforms start again ever more slowly what keeps ending. `announce` is
    called when the first worker is ready. With `burst`, raises RedisError.
    """
    try:
        _run(app, queues, burst=burst, announce=announce)
    except StopRequested:
        pass
    finally:
        # The interpreter, while it ends, would let a repeated signal kill what has ended well.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)


def _run(app: Flask, queues: list[str], *, burst: bool, announce: Callable[[], None]) -> None:
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


def _read(message: str) -> Attempt | None:
    """Return the attempt that a message asks for; None if the relay cannot have sent it."""
    try:
        return read_message_id(message)
    except ValueError:
        log.warning("A message that is none of ours was taken from the queue and is ignored.")
        return None


class TasklaneWorker(Worker):
    """An RQ worker that lets a short job finish and hands a long one back when it must stop.

    What it writes about itself into Redis is for information only, so it goes on when
    Redis does not listen. A message is forgotten when it is taken: its job's row says the rest.
    """

    def __init__(self, app: Flask, queues: list[str]) -> None:
        with app.app_context():
            self.settings = current_settings()
        self.app = app
        self._prepare()
        self.is_told_to_stop = False
        self.child: Child | None = None
        self.turns = Turns(queues, WEIGHTS)
        self._size = 1
        # RQ is to log like everything else here, so its own handlers stay away.
        super().__init__(
            queues,
            connection=redis.connect_blocking(self.settings),
            serializer=JSONSerializer,
            job_class=WakeUp,
            log_job_description=False,
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
                disconnect()

    # --- messages --------------------------------------------------------------------

    def dequeue_job_and_maintain_ttl(self, timeout: int | None, max_idle_time: int | None = None) -> Any:
        """Return messages of one queue, and the queue; wait for them, but with no timeout return None at once."""
        self._state = WorkerStatus.IDLE
        # A signal before the line above has only left a note; one after it ends the waiting.
        if self._stop_requested:
            raise StopRequested
        while True:
            self._have_child()
            self.heartbeat()
            try:
                if self.should_run_maintenance_tasks:
                    self.run_maintenance_tasks()  # type: ignore[no-untyped-call]
                return self._take(timeout)
            except DequeueTimeout:
                continue
            except (RedisConnectionError, RedisTimeout) as error:
                log.warning("Redis does not answer (%s); trying again.", type(error).__name__)
                time.sleep(PAUSE_WHEN_DOWN)

    def _take(self, timeout: int | None) -> tuple[list[str], Queue] | None:
        """Take some messages of short jobs at once, but of other jobs only one, which may take long."""
        queues = {queue.key: queue for queue in self.queues}
        order = self.turns.order()
        keys = sorted(queues, key=lambda key: order.index(queues[key].name))
        found = Queue.lpop(keys, timeout, connection=self.connection)
        if found is None:
            return None
        key, first = (as_text(part) for part in found)
        self._state = WorkerStatus.BUSY
        taken = [first]
        if queues[key].name in SHORT_QUEUES and self._size > 1:
            # Those that were lost with the answer are sent again after their lease, like the first one.
            with suppress(RedisError):
                more: Any = self.connection.lpop(key, self._size - 1)
                taken += [as_text(message) for message in more or []]
        return taken, queues[key]

    # --- the child -------------------------------------------------------------------

    def _have_child(self) -> Child:
        """Return the child that lives, or a new one."""
        if self.child is None or not self.child.is_alive():
            self._forget_child()
            self.child = Child(self.app)
            self._horse_pid = self.child.pid
        return self.child

    def _forget_child(self) -> int:
        """Bury a child that has ended or is about to; return its status."""
        child, self.child = self.child, None
        status = child.bury() if child else os.EX_OK
        self._horse_pid = 0
        return status

    def execute_job(self, job: Any, queue: Any) -> None:
        """Give the jobs of these messages to the child, and wait until it has done them."""
        self._state = WorkerStatus.BUSY
        began_at = clock.monotonic()
        attempts = [attempt for text in job if (attempt := _read(text)) is not None]
        self._note_busy(job)
        if attempts:
            assignment = Assignment(lifecycle.new_token(), tuple(attempts))
            child = self._have_child()
            child.assign(assignment)
            progress = follow(child, assignment, beat=self.heartbeat)
            if progress.is_last or not progress.is_told:
                clear_up(self.app, assignment, progress, status=self._forget_child())
        seconds = clock.monotonic() - began_at
        self.turns.note(queue.name, seconds)
        if queue.name in SHORT_QUEUES:
            # As many as are done soon: who orders something else waits for them, and so does another worker.
            fitting = int(BATCH_SECONDS * len(job) / max(seconds, 0.001))
            self._size = max(1, min(MOST_TAKEN, 2 * self._size, fitting))

    def kill_horse(self, sig: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to the child."""
        if (child := self.child) is not None:
            child.kill(sig)

    # --- what is said to Redis -----------------------------------------------------

    def _note_busy(self, messages: list[str]) -> None:
        """Forget the messages, and show that this worker is busy."""
        with suppress(RedisError), self.connection.pipeline(transaction=False) as pipeline:
            self.set_state(WorkerStatus.BUSY, pipeline)
            pipeline.delete(*(WakeUp.key_for(text) for text in messages))
            pipeline.execute()

    def check_for_suspension(self, burst: bool) -> None:
        """Do nothing, like `subscribe`."""

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        """Show that this worker lives, also to a Redis that has forgotten it."""
        if pipeline is not None:
            super().heartbeat(SILENCE_SECONDS, pipeline)
            return
        with suppress(RedisError), self.connection.pipeline() as own:
            super().heartbeat(SILENCE_SECONDS, own)
            self.set_state(self._state, own)
            worker_registration.register(self, own)
            own.execute()

    def set_shutdown_requested_date(self) -> None:
        """Write nothing to Redis: a signal handler must not wait for it."""

    def subscribe(self) -> None:
        """Take no commands from Redis: who can write there must not be able to end workers and jobs."""

    def unsubscribe(self) -> None:
        """Do nothing, like `subscribe`."""

    def teardown(self) -> None:
        """Say goodbye, but wait for no answer."""
        if self.child is not None:
            self.child.dismiss()
            self.child = None
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
        if (child := self.child) is not None and child.is_running:
            log.error("The job does not react to being stopped; its process is killed.")
            self.kill_horse()
