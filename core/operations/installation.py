"""Present state of the whole installation for monitoring: asked when the monitor asks, with short timeouts."""

import logging
from dataclasses import dataclass, field
from datetime import datetime

from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from core.jobs import tally
from core.jobs.kinds import KINDS, QUEUES
from core.jobs.model import OPEN_STATES, JobState
from core.jobs.repository import JobRepository
from core.jobs.tally import Tally
from core.operations import health
from core.platform import clock, redis
from core.platform.config.settings import Settings
from core.platform.database import outage_log
from core.platform.database.base import db

log = logging.getLogger("tasklane.health")

# Jobs that newer code has ordered.
UNKNOWN = "unknown"


@dataclass(slots=True)
class Operations:
    """Database and Redis, and what they know. What could not be asked is empty, or None."""

    is_database_up: bool = False
    is_redis_up: bool = False
    # By kind, queue and state; every kind and state that there is.
    open_jobs: dict[tuple[str, str, str], int] = field(default_factory=dict)
    # By queue: for how many seconds the first job without any attempt waits; 0 if none does.
    oldest_queued: dict[str, float] = field(default_factory=dict)
    workers: int | None = None
    tallies: dict[str, Tally] = field(default_factory=dict)


def look(settings: Settings) -> Operations:
    """Return what is going on. Takes one statement and one connection to Redis, whatever the number of jobs."""
    found = Operations()
    try:
        rows = JobRepository(db.session()).summarise_open()
        db.session.commit()
        found.is_database_up = True
        _sum_up(found, rows, clock.now())
    except (SQLAlchemyError, OSError) as error:
        outage_log.tell(log, error)
        db.session.remove()
    try:
        with redis.connect(settings) as connection:
            found.workers = health.count_workers(connection)
            found.tallies = tally.read(connection)
        found.is_redis_up = True
    except (RedisError, OSError) as error:
        log.warning("Redis does not answer: %s", type(error).__name__)
    return found


def _sum_up(found: Operations, rows: list[tuple[str, JobState, int, datetime]], now: datetime) -> None:
    found.open_jobs = {(kind.name, kind.queue, str(state)): 0 for kind in KINDS.values() for state in OPEN_STATES}
    found.oldest_queued = dict.fromkeys(QUEUES, 0.0)
    for name, state, number, oldest in rows:
        kind = KINDS.get(name)
        key = (kind.name, kind.queue, str(state)) if kind else (UNKNOWN, UNKNOWN, str(state))
        found.open_jobs[key] = found.open_jobs.get(key, 0) + number
        if state is JobState.QUEUED:
            seconds = max((now - oldest).total_seconds(), 0.0)
            found.oldest_queued[key[1]] = max(found.oldest_queued.get(key[1], 0.0), seconds)
