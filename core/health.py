"""Whether each part of the service works, asked with short patience."""

import logging
from functools import lru_cache
from typing import Any

from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from redis.exceptions import RedisError
from rq import Worker
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from core import redis
from core.config import ROOT, Settings
from core.db import db
from core.jobs.repository import JobRepository
from core.upstreams import service as upstreams
from core.upstreams.registry import Registry

log = logging.getLogger("tasklane.health")


def check(settings: Settings, registry: Registry) -> dict[str, Any]:
    """Return the state of database, migrations, Redis, workers and upstreams, and the open jobs."""
    database, migrations, open_jobs = _check_database()
    workers = count_workers(settings)
    redis_state = "down" if workers is None else "ok"
    is_down = database == "down" or migrations == "pending"
    status = "down" if is_down else "ok" if redis_state == "ok" else "degraded"
    return {
        "status": status,
        "checks": {"database": database, "migrations": migrations, "redis": redis_state},
        "workers": workers,
        "queue_depth": open_jobs,
        # Only told: the service is ready without any of them.
        "upstreams": upstreams.states(registry),
    }


def _check_database() -> tuple[str, str, dict[str, int]]:
    try:
        session = db.session()
        heads = MigrationContext.configure(session.connection()).get_current_heads()
        if not set(heads) <= known_revisions():
            # A newer release has migrated already; this code still works on what it has added to.
            return "ok", "ahead", _open_jobs(session)
        if set(heads) != _expected_heads():
            return "ok", "pending", {}
        return "ok", "ok", _open_jobs(session)
    except (SQLAlchemyError, OSError) as error:
        log.warning("The database does not answer: %s", type(error).__name__)
        db.session.remove()
        return "down", "unknown", {}


def _open_jobs(session: Session) -> dict[str, int]:
    return {state.value: count for state, count in JobRepository(session).count_open().items()}


@lru_cache(maxsize=1)
def _scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations"))
    return ScriptDirectory.from_config(config)


@lru_cache(maxsize=1)
def _expected_heads() -> set[str]:
    return set(_scripts().get_heads())


@lru_cache(maxsize=1)
def known_revisions() -> set[str]:
    """Return every version of the schema that this code knows."""
    return {script.revision for script in _scripts().walk_revisions()}


def count_workers(settings: Settings) -> int | None:
    """Return how many workers have registered, or None if Redis does not answer."""
    try:
        with redis.connect(settings) as connection:
            return Worker.count(connection=connection)
    except (RedisError, OSError):
        return None
