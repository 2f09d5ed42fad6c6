"""Examination of the database."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from core.audit import rotation
from core.operations import health
from core.operations.doctor.findings import Finding, Verdict, clock_of, found
from core.platform.config.secret_values import masked_url
from core.platform.config.settings import Settings
from core.platform.config.urls import sqlite_file
from core.platform.database.base import db
from core.platform.database.sqlite_files import RESTORE, flaw_of, is_damage

# Connections that others need: migrations, backups, people who look.
SPARE_CONNECTIONS = 5


def unusable_file(settings: Settings) -> Finding | None:
    """Return why the file of SQLite must not be opened, or None.

    SQLite would make one that is missing, and change one that is not Tasklane's.
    """
    path = sqlite_file(db.engine.url)
    told, advice = flaw_of(path) if path else ("", "")
    if not told:
        return None
    if settings.sources["database_url"] != "embedded":
        advice = f"Look at DATABASE_URL. {advice}"
    return Finding("database", Verdict.FAILED, f"sqlite: {told}", advice)


def examine_database(settings: Settings, checks: dict[str, str], errors: Mapping[str, Exception]) -> Iterator[Finding]:
    """Look at the database, its schema and its server."""
    state = checks["database"]
    error = errors.get("database")
    told = f"{db.engine.dialect.name}: {state}" + (f": {health.reason_of(error, settings)}" if error else "")
    down = f"Look at DATABASE_URL ({masked_url(settings.database_url)}), and whether the server runs."
    advice = RESTORE if error and is_damage(error) else _DATABASE_ADVICE.get(state, down)
    yield found("database", state == "ok", told, advice)
    if state in ("down", "no_connections"):
        return
    migrations = checks["migrations"]
    worse = Verdict.WARNING if migrations == "ahead" else Verdict.FAILED
    advice = _MIGRATIONS_ADVICE.get(migrations, "")
    yield found("database", migrations == "ok", f"migrations: {migrations}", advice, worse=worse)
    try:
        yield from (_sqlite() if db.engine.dialect.name == "sqlite" else _postgresql())
        if migrations == "ok":
            yield _former_secrets(settings)
    except SQLAlchemyError as error:
        advice = RESTORE if is_damage(error) else "Run this again; what it says first may be another thing then."
        yield Finding("database", Verdict.FAILED, health.reason_of(error, settings), advice)
    db.session.remove()


def _former_secrets(settings: Settings) -> Finding:
    """Check whether values made under a former SECRET_KEY still hold."""
    lost = rotation.lost_at(settings.secret_keys)
    told = "what was made under former values of secret_key holds"
    advice = "Name the former one in SECRET_KEY_PREVIOUS: see docs/security.md."
    if lost is not None:
        told = (
            f"secret_key was another until {lost:%Y-%m-%d %H:%M} UTC, and that one is not in SECRET_KEY_PREVIOUS:"
            " API keys, cursors and links of before are refused"
        )
    return found("secrets", lost is None, told, advice, worse=Verdict.WARNING)


_MIGRATIONS_ADVICE = {
    "pending": "Run `python manage.py db upgrade`.",
    "ahead": "A newer version has migrated it; deploy that one here too.",
}
FEWER = "Raise max_connections, or run fewer processes and threads."
_DATABASE_ADVICE = {
    "locked": "Somebody holds a lock: see docs/operations.md.",
    "full": "Make room on the disk.",
    "read_only": "DATABASE_URL leads to a stand-by, or the file is write-protected.",
    "failing": "Look at the disk; the system refuses to write.",
    "no_connections": f"The server lets nobody in any more. {FEWER}",
}


def _sqlite() -> Iterator[Finding]:
    with db.engine.connect() as connection:
        journal = connection.scalar(text("PRAGMA journal_mode"))
        damage = " ".join(str(connection.scalar(text("PRAGMA quick_check(1)"))).split())
    yield found("database", journal == "wal", f"journal: {journal}", "Stop all processes, then start one.")
    yield found("database", damage == "ok", f"file: {damage}", RESTORE)


def _postgresql() -> Iterator[Finding]:
    with db.engine.connect() as connection:
        version = int(connection.scalar(text("SHOW server_version_num")) or 0)
        limit = int(connection.scalar(text("SHOW max_connections")) or 0)
        used = int(connection.scalar(text("SELECT count(*) FROM pg_stat_activity")) or 0)
        now = connection.scalar(text("SELECT clock_timestamp()"))
    yield found("database", version >= 130000, f"version {version // 10000}", "Use PostgreSQL 13 or newer.")
    free = limit - used
    told = f"{used} of {limit} connections in use"
    yield found("database", free > SPARE_CONNECTIONS, told, FEWER, worse=Verdict.WARNING)
    if isinstance(now, datetime):
        yield clock_of("the database", now)
