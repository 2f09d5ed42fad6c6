"""The relay: sends due jobs from the database to their RQ queues.

Any number of relays may run. A message that is lost, or sent twice, is
repaired by the lease (`core.runs.lifecycle`), so nothing here needs care
beyond not blocking.
"""

import logging
import threading
from contextlib import suppress

from redis import Redis
from redis.exceptions import RedisError
from rq import Queue
from rq.exceptions import DuplicateJobError
from rq.serializers import JSONSerializer
from rq.worker_registration import REDIS_WORKER_KEYS as WORKERS_KEY

from core.jobs.bell import CHANNEL
from core.jobs.kinds import KINDS, QUEUES, SHORT_QUEUES, kinds_of
from core.platform import clock, redis
from core.platform.config.settings import Settings
from core.platform.database import outage_log
from core.platform.database.base import db
from core.platform.database.trouble import is_outage
from core.runs import lifecycle
from core.runs.lifecycle import Sending
from workers.wakeup import ENTRY, WakeUp, message_id

log = logging.getLogger("tasklane.relay")

PAUSE_WHEN_DOWN = 1.0
LISTEN_SECONDS = 5.0

# As many messages as a queue may hold: of short jobs, and of others for each worker. The rest waits in the
# database, where it costs Redis nothing, and where who has ordered little still overtakes who has ordered much.
ROOM = 100
ROOM_PER_WORKER = 4
BATCH = 50

# Seconds between two looks while more is due than there is room for, and after jobs were sent: orders come in swarms.
BUSY_SECONDS = 0.1
BREATH_SECONDS = 0.05

# Seconds between two signs that a scheduler runs, and for how long a sign counts.
ALIVE_EVERY = 5.0
ALIVE_SECONDS = 20
# One that is started by cron again and again is not missed in between.
ALIVE_SECONDS_ONCE = 300

# A message that no worker will ever take, such as the lost message of a job that was cancelled, is not kept for ever.
MESSAGE_SECONDS = 24 * 3600

# A job that newer code has ordered waits until a process runs that knows its kind.
_KNOWN = frozenset(KINDS)


class Relay:
    """Moves due jobs to Redis. Needs an application context."""

    def __init__(self, settings: Settings) -> None:
        self.lease_seconds = settings.jobs.lease_seconds
        self.poll_seconds = settings.jobs.poll_seconds
        self.connection: Redis = redis.connect(settings)
        self.queues = {
            name: Queue(name, connection=self.connection, serializer=JSONSerializer, job_class=WakeUp)
            for name in QUEUES
        }
        self.settings = settings
        # Set when a job may be due, and when the process has to end.
        self.awake = threading.Event()
        self._was_down = False
        self._told_at = float("-inf")

    def run(self, stop: threading.Event) -> None:
        """Send due jobs until asked to stop; survive whatever the database or Redis does."""
        threading.Thread(target=self._listen, args=(stop,), daemon=True).start()
        while not stop.is_set():
            self.awake.clear()
            pause = self.poll_seconds
            self.tell_of_life()
            try:
                if self.send_due():
                    stop.wait(BREATH_SECONDS)
                if self._was_down:
                    pause = PAUSE_WHEN_DOWN
                elif (seconds := lifecycle.seconds_until_due(_KNOWN)) is not None:
                    # No bell rings for a lease that ends, or an attempt that is due again.
                    pause = min(pause, max(seconds, BUSY_SECONDS))
            except Exception as error:
                # One bad row must not stop the jobs of everybody else.
                if is_outage(error):
                    outage_log.tell(log, error)
                else:
                    log.exception("The relay failed; it goes on.")
                pause = PAUSE_WHEN_DOWN
            finally:
                db.session.remove()
            if not stop.is_set():
                self.awake.wait(pause)

    def _listen(self, stop: threading.Event) -> None:
        """Hear the bell that commits ring. Without it, jobs wait for the next look."""
        while not stop.is_set():
            with suppress(RedisError, OSError), redis.connect_blocking(self.settings) as connection:
                bell = connection.pubsub(ignore_subscribe_messages=True)
                bell.subscribe(CHANNEL)
                self.awake.set()  # It may have been rung before.
                while not stop.is_set():
                    if bell.get_message(timeout=LISTEN_SECONDS) is not None:
                        self.awake.set()
            stop.wait(PAUSE_WHEN_DOWN)

    def tell_of_life(self, seconds: int = ALIVE_SECONDS) -> None:
        """Note in Redis that a scheduler runs, but not too often, and unharmed if it does not answer."""
        if clock.monotonic() - self._told_at < ALIVE_EVERY:
            return
        self._told_at = clock.monotonic()
        with suppress(RedisError, OSError):
            self.connection.set(redis.SCHEDULER_KEY, "1", ex=seconds)

    def send_due(self) -> int:
        """Send everything that is due and finds room on its queue; return how many messages were sent."""
        sent = 0
        # Redis is asked only when there is something for it, and before any row is taken,
        # so that an outage does not touch the rows.
        while lifecycle.any_due(_KNOWN) and (room := self._room()):
            before = sent
            for name, left in room.items():
                sendings = lifecycle.take_due(
                    lease_seconds=self.lease_seconds, limit=min(BATCH, left), kinds=kinds_of([name])
                )
                for index, sending in enumerate(sendings):
                    try:
                        self._send(sending)
                        sent += 1
                    except (RedisError, OSError) as error:
                        log.warning("Redis failed while jobs were sent: %s", type(error).__name__)
                        lifecycle.postpone(sendings[index:], seconds=PAUSE_WHEN_DOWN)
                        return sent
            if sent == before:
                break
        return sent

    def _room(self) -> dict[str, int]:
        """Return how many messages each queue that is not full can still take; nothing if Redis is away."""
        try:
            with self.connection.pipeline(transaction=False) as pipeline:
                pipeline.scard(WORKERS_KEY)
                for queue in self.queues.values():
                    pipeline.llen(queue.key)
                workers, *lengths = pipeline.execute()
        except (RedisError, OSError) as error:
            if not self._was_down:
                log.warning("Redis does not answer (%s); jobs wait in the database.", type(error).__name__)
            self._was_down = True
            return {}
        if self._was_down:
            log.warning("Redis answers again.")
        self._was_down = False
        most = {name: ROOM if name in SHORT_QUEUES else ROOM_PER_WORKER * max(workers, 1) for name in self.queues}
        # A queue is filled up when it is half empty, because to choose one job costs as much as to choose many.
        return {
            name: most[name] - length
            for name, length in zip(self.queues, lengths, strict=True)
            if 2 * length <= most[name]
        }

    def _send(self, sending: Sending) -> None:
        try:
            self._enqueue(sending, unique=True)
        except DuplicateJobError:
            self._send_again(sending)

    def _send_again(self, sending: Sending) -> None:
        """Repeat a message that was sent before, unless it is still waiting.

        A lease has passed without a start. If the message is not on its queue, a
        worker has died between taking it and claiming its job. All of it is
        written anew: a Redis that was emptied meanwhile may know only what that
        worker still said about it, which cannot be run.
        """
        key = message_id(sending.job_id, sending.attempt)
        if self.connection.lpos(self.queues[KINDS[sending.kind].queue].key, key) is None:
            self._enqueue(sending, unique=False)

    def _enqueue(self, sending: Sending, *, unique: bool) -> None:
        kind = KINDS[sending.kind]
        self.queues[kind.queue].enqueue(
            ENTRY,
            str(sending.job_id),
            sending.attempt,
            job_id=message_id(sending.job_id, sending.attempt),
            job_timeout=kind.timeout_seconds,
            meta={"kind": kind.name, "kill_seconds": kind.timeout_seconds + kind.kill_seconds},
            ttl=MESSAGE_SECONDS,
            result_ttl=0,
            failure_ttl=5,
            unique=unique,
        )
