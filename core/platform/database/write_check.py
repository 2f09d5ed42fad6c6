"""Test of whether the database can be written."""

import logging
import shutil
import threading
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from core.platform import clock
from core.platform.database.base import db
from core.platform.database.session import transaction
from core.platform.database.trouble import Trouble, trouble_of

log = logging.getLogger("tasklane.health")

# Seconds that a write waits for what another transaction has locked.
PATIENCE = 1.0
# Any caller may ask, as often as they like, but no process writes more often than this to find out whether it can.
WRITE_EVERY = 1.0
# Bytes. On a disk with less, SQLite may have room for the little that is written here, and for nothing else.
LEAST_FREE = 2**20


class WriteCheck:
    """Test of writing to the database from this process, made by doing it, and not too often."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked_at = float("-inf")
        self._state = "ok"

    def state(self) -> str:
        """Return "ok" or what is wrong. Raises SQLAlchemyError if the database cannot be asked."""
        with self._lock:
            if clock.monotonic() - self._asked_at >= WRITE_EVERY:
                self._state = _try_to_write()
                self._asked_at = clock.monotonic()
            return self._state


def _try_to_write() -> str:
    """Write what is there already; return "ok" or what is wrong."""
    try:
        with transaction(patience=PATIENCE) as session:
            session.execute(text("UPDATE alembic_version SET version_num = version_num"))
            if db.engine.dialect.name == "sqlite":
                return Trouble.FULL if _free_bytes() < LEAST_FREE else "ok"
            if session.scalar(_WAITING, {"seconds": PATIENCE}):
                return Trouble.LOCKED
    except DBAPIError as error:
        trouble = trouble_of(error)
        if trouble is None:
            raise
        log.warning("The database cannot be written: %s", trouble)
        return trouble
    return "ok"


def _free_bytes() -> int:
    """Return how much room there is beside the file of SQLite."""
    return shutil.disk_usage(Path(str(db.engine.url.database)).absolute().parent).free


# A lock of PostgreSQL stops only those who need what is locked, so they are asked.
_WAITING = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    " AND query_start < clock_timestamp() - make_interval(secs => :seconds)"
)
