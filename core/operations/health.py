"""Health of each part of the service, asked with short timeouts."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from redis import Redis
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as NoAnswer
from sqlalchemy.exc import SQLAlchemyError

from core.jobs.kinds import EMAILS
from core.jobs.model import JobState
from core.jobs.repository import JobRepository
from core.platform import clock, redis
from core.platform.config.secret_values import secret_values
from core.platform.config.settings import Settings
from core.platform.database import outage_log
from core.platform.database.base import db
from core.platform.database.migrations import known_revisions, revision_of
from core.platform.database.session import hurry
from core.platform.database.trouble import Trouble, is_mistake, trouble_of
from core.platform.database.write_check import WriteCheck
from core.platform.text.redaction import Redactor
from core.upstreams.registry import Registry

log = logging.getLogger("tasklane.health")

# Seconds that readiness waits for what another transaction has locked.
PATIENCE = 1.0
# A job that has waited for this long shows that no worker takes it.
UNNOTICED = timedelta(seconds=10)

# Where RQ names its workers. It is not loaded for that: a web process has no other use for it.
_WORKERS = "rq:workers"

# What must be "ok" for the service to do all that it is for.
_NEEDED = ("database", "migrations", "redis")


@dataclass(slots=True)
class _Jobs:
    """Figures of the open jobs."""

    depth: dict[str, int] = field(default_factory=dict)
    are_waiting: bool = False
    mail: str = "unknown"


@dataclass(slots=True)
class _Queue:
    """Figures of Redis."""

    state: str
    workers: int | None = None
    has_scheduler: bool | None = None


# Hears which part has raised what.
OnError = Callable[[str, Exception], object]


def check(
    settings: Settings,
    registry: Registry,
    write_check: WriteCheck,
    *,
    with_database: bool = True,
    on_error: OnError = lambda part, error: None,
) -> dict[str, Any]:
    """Return the state of each part, the open jobs, and in `faults` which parts do not do what is needed of them.

    Any caller may read it, so it has a word for each part and nothing of what a driver
    says; that is for `on_error`. Without the database, that is neither opened nor made.
    """
    unknown = ("unknown", "unknown", _Jobs())
    database, migrations, jobs = _check_database(settings, write_check, on_error) if with_database else unknown
    queue = _ask_queue(settings, on_error)
    checks = {
        "database": database,
        "migrations": migrations,
        "redis": queue.state,
        "workers": _presence(queue.workers),
        "scheduler": _presence(queue.has_scheduler),
        # For information only, like the upstreams: one server of one recipient may be what is wrong.
        "mail": jobs.mail,
    }
    faults = [part for part in _NEEDED if checks[part] not in ("ok", "ahead", "unknown")]
    if jobs.are_waiting:
        faults += [part for part in ("workers", "scheduler") if checks[part] == "none"]
    is_down = database in ("down", Trouble.NO_CONNECTIONS) or migrations == "pending"
    return {
        "status": "down" if is_down else "degraded" if faults else "ok",
        "faults": faults,
        "checks": checks,
        "workers": queue.workers,
        "queue_depth": jobs.depth,
        "upstreams": registry.states(),
    }


def reason_of(error: BaseException, settings: Settings) -> str:
    """Return the first line of what the driver says of an error, without secrets. It is for operators only."""
    lines = str(getattr(error, "orig", None) or error).strip().splitlines()
    return Redactor(secret_values(settings)).text(lines[0].rstrip(".")) if lines else type(error).__name__


def _presence(number: int | None) -> str:
    return "unknown" if number is None else "ok" if number else "none"


# --- the database -------------------------------------------------------------------


def _check_database(settings: Settings, write_check: WriteCheck, on_error: OnError) -> tuple[str, str, _Jobs]:
    """Return the states of the database and of its migrations, and what is told of the jobs."""
    try:
        migrations = _check_migrations()
        # Else there is no table of jobs, or another one.
        if migrations == "pending":
            return "ok", migrations, _Jobs()
        jobs = _look_at_jobs(settings)
        return write_check.state(), migrations, jobs
    except (SQLAlchemyError, OSError) as error:
        on_error("database", error)
        if isinstance(error, SQLAlchemyError) and is_mistake(error):
            log.exception("The database cannot be asked as this code does it.")
        else:
            outage_log.tell(log, error)
        return trouble_of(error) or "down", "unknown", _Jobs()
    finally:
        db.session.remove()


def _check_migrations() -> str:
    session = db.session()
    hurry(session, PATIENCE)
    revision = revision_of(session.connection())
    if revision and revision not in known_revisions():
        # A newer release has migrated already; this code still works on what it has added to.
        return "ahead"
    return "ok" if revision == max(known_revisions()) else "pending"


def _look_at_jobs(settings: Settings) -> _Jobs:
    now = clock.now()
    soon = now + timedelta(seconds=settings.jobs.lease_seconds)
    jobs = _Jobs(mail="ok")
    for row in JobRepository(db.session()).count_open(ordered_before=now - UNNOTICED, due_before=soon):
        jobs.depth[row.state] = jobs.depth.get(row.state, 0) + row.number
        jobs.are_waiting = jobs.are_waiting or row.waiting > 0
        # What was handed back because of our own database has no error.
        if row.state is JobState.RETRYING and row.failed and row.kind in EMAILS:
            jobs.mail = "delayed"
    return jobs


# --- the queue ----------------------------------------------------------------------


def _ask_queue(settings: Settings, on_error: OnError) -> _Queue:
    """Return how Redis is, how many workers have shown themselves there lately, and whether a scheduler has."""
    try:
        with redis.connect(settings) as connection:
            with connection.pipeline(transaction=False) as pipeline:
                # A server that has no memory or disk left answers, and takes nothing.
                pipeline.set(redis.PROBE_KEY, "1", ex=60)
                pipeline.exists(redis.SCHEDULER_KEY)
                written, has_scheduler = pipeline.execute(raise_on_error=False)
            if isinstance(has_scheduler, ResponseError):
                raise has_scheduler
            workers = count_workers(connection)
            if isinstance(written, ResponseError):
                on_error("redis", written)
            return _Queue("refusing" if isinstance(written, ResponseError) else "ok", workers, bool(has_scheduler))
    except (RedisError, OSError) as error:
        on_error("redis", error)
        return _Queue("hung" if isinstance(error, NoAnswer) else "down")


def count_workers(connection: "Redis") -> int:
    """Return how many workers are alive."""
    # The set also names workers that could not say goodbye.
    keys = connection.smembers(_WORKERS)
    return int(connection.exists(*keys)) if keys else 0
