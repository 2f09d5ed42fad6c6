"""The relay: sends due jobs from the database to their RQ queues.

Any number of relays may run. A message that is lost, or sent twice, is
repaired by the lease (`core.jobs.lifecycle`), so nothing here needs care
beyond not blocking.
"""

import logging
import threading

from redis import Redis
from redis.exceptions import RedisError
from rq import Queue
from rq.exceptions import DuplicateJobError
from rq.serializers import JSONSerializer
from sqlalchemy.exc import SQLAlchemyError

from core import redis
from core.config import Settings
from core.db import db
from core.jobs import lifecycle
from core.jobs.kinds import KINDS, QUEUES
from core.jobs.lifecycle import Sending
from workers.wakeup import ENTRY, WakeUp, message_id

log = logging.getLogger("tasklane.relay")

PAUSE_WHEN_DOWN = 1.0


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
        self._was_down = False

    def run(self, stop: threading.Event) -> None:
        """Send due jobs until told to stop; survive whatever the database or Redis does."""
        while not stop.is_set():
            pause = self.poll_seconds
            try:
                if self.send_due() == 0 and self._was_down:
                    pause = PAUSE_WHEN_DOWN
            except SQLAlchemyError as error:
                log.error("The database does not answer: %s", type(error).__name__)
                pause = PAUSE_WHEN_DOWN
            except Exception:
                # One bad row must not stop the jobs of everybody else.
                log.exception("The relay failed; it goes on.")
                pause = PAUSE_WHEN_DOWN
            finally:
                db.session.remove()
            stop.wait(pause)

    def send_due(self) -> int:
        """Send every job that is due now; return how many. None is lost if Redis is down."""
        if not self._is_reachable():
            return 0
        sent = 0
        while sendings := lifecycle.take_due(lease_seconds=self.lease_seconds):
            for index, sending in enumerate(sendings):
                try:
                    self._send(sending)
                    sent += 1
                except (RedisError, OSError) as error:
                    log.warning("Redis failed while jobs were sent: %s", type(error).__name__)
                    lifecycle.postpone(sendings[index:], seconds=PAUSE_WHEN_DOWN)
                    return sent
        return sent

    def _is_reachable(self) -> bool:
        """Ask Redis before taking jobs, so that an outage does not touch their rows."""
        try:
            self.connection.ping()
        except (RedisError, OSError) as error:
            if not self._was_down:
                log.warning("Redis does not answer (%s); jobs wait in the database.", type(error).__name__)
            self._was_down = True
            return False
        if self._was_down:
            log.warning("Redis answers again.")
        self._was_down = False
        return True

    def _send(self, sending: Sending) -> None:
        kind = KINDS.get(sending.kind)
        if kind is None:
            # Ordered by newer code than this process runs; the lease brings it back until somebody knows it.
            log.warning("Job %s has the kind %r, which this version does not know.", sending.job_id, sending.kind)
            return
        try:
            self.queues[kind.queue].enqueue(
                ENTRY,
                str(sending.job_id),
                sending.attempt,
                job_id=message_id(sending.job_id, sending.attempt),
                # A message that a dying worker has popped must not block its own repetition for ever.
                ttl=max(60, int(self.lease_seconds * 2)),
                job_timeout=kind.timeout_seconds,
                result_ttl=0,
                failure_ttl=5,
                unique=True,
            )
        except DuplicateJobError:
            log.debug("Job %s is on its queue already.", sending.job_id)
