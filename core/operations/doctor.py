"""Examines an installation, part by part, and says what to do about what it finds."""

import os
import shutil
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from redis.exceptions import AuthenticationError, RedisError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from core.audit import rotation
from core.bootstrap import current_upstreams
from core.mail import delivery
from core.mail.delivery import MailDelayed
from core.operations import health
from core.operations.degradation import WITHOUT_REDIS, is_without_redis
from core.platform import clock, redis
from core.platform.config.current import current_settings
from core.platform.config.rules import MIN_SECRET_BYTES
from core.platform.config.secret_values import masked_url
from core.platform.config.settings import SECRETS, Settings
from core.platform.config.urls import is_in_memory
from core.platform.database.base import db
from core.platform.database.sqlite_files import RESTORE, flaw_of, is_damage
from core.platform.database.write_check import WriteCheck

# Clocks that differ by more seconds than this end tokens and leases too early or too late.
CLOCK_WARNING, CLOCK_FAILURE = 2.0, 30.0
# Bytes that should be free where data is written.
DISK_WARNING, DISK_FAILURE = 1_000_000_000, 100_000_000
# Connections that others need: migrations, backups, people who look.
SPARE_CONNECTIONS = 5


class Verdict(StrEnum):
    """Verdict of one check."""

    OK = "ok"
    # It works, and one day that may not be enough.
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """Finding about one part, and the advice that goes with it."""

    part: str
    verdict: Verdict
    text: str
    advice: str = ""


def examine() -> Iterator[Finding]:
    """Yield what is found in the installation of the running application, changing nothing that counts."""
    settings = current_settings()
    errors: dict[str, Exception] = {}
    unusable = _unusable_file(settings)
    state = health.check(
        settings,
        current_upstreams(),
        WriteCheck(),
        with_database=unusable is None,
        on_error=errors.__setitem__,
    )
    yield from _configuration(settings)
    yield from _secrets(settings)
    yield from ([unusable] if unusable else _database(settings, state["checks"], errors))
    yield from _redis(settings, state["checks"]["redis"], errors)
    yield from _jobs(state)
    yield from _mail(settings)
    yield from _disk(settings)
    for name, breaker in state["upstreams"].items():
        is_open = breaker != "closed"
        yield _found("upstreams", not is_open, f"{name}: {breaker}", "", worse=Verdict.WARNING)


def _found(part: str, holds: bool, told: str, advice: str, *, worse: Verdict = Verdict.FAILED) -> Finding:
    return Finding(part, Verdict.OK if holds else worse, told, "" if holds else advice)


# --- configuration ------------------------------------------------------------------


def _configuration(settings: Settings) -> Iterator[Finding]:
    is_production = settings.env == "production"
    yield _found(
        "configuration",
        is_production,
        f"environment {settings.env}",
        "Set TASKLANE_ENV=production where others rely on it.",
        worse=Verdict.WARNING,
    )
    if not is_production:
        return
    for holds, told, advice in (
        (
            settings.public_url,
            f"public_url {settings.public_url or 'is not set'}",
            "Set TASKLANE_PUBLIC_URL, or e-mails have no links.",
        ),
        (
            settings.ratelimit_enabled,
            f"rate limits {'on' if settings.ratelimit_enabled else 'off'}",
            "Set TASKLANE_RATELIMIT_ENABLED=true.",
        ),
        (
            settings.trusted_proxies,
            f"trusted_proxies {settings.trusted_proxies}",
            "If a proxy is in front, set TASKLANE_TRUSTED_PROXIES=1, or all people share one limit.",
        ),
        (
            settings.trusted_hosts,
            f"trusted_hosts {', '.join(settings.trusted_hosts) or 'any'}",
            "Set TRUSTED_HOSTS to the names by which people reach it.",
        ),
        (
            not is_without_redis(settings),
            f"REDIS_URL {'is not set' if is_without_redis(settings) else 'is set'}",
            f"Set it. {WITHOUT_REDIS}",
        ),
    ):
        yield _found("configuration", bool(holds), told, advice, worse=Verdict.WARNING)


def _secrets(settings: Settings) -> Iterator[Finding]:
    for name in SECRETS:
        is_long = len(getattr(settings, name).encode()) >= MIN_SECRET_BYTES
        told = f"{name} from {settings.sources[name]}"
        yield _found("secrets", is_long, told, f"Make it {MIN_SECRET_BYTES} random bytes or more.")
        path = settings.instance_path / name
        if settings.has_made(name) and path.exists():
            others = stat.S_IMODE(path.stat().st_mode) & 0o077
            yield _found("secrets", not others, f"{path} is readable by its owner only", f"chmod 600 {path}")
    if file := _database_file():
        yield from _readers(file)
    differ = settings.secret_key != settings.jwt_secret_key
    told = "the two secrets differ" if differ else "the two secrets are the same"
    yield _found("secrets", differ, told, "Give each its own value.", worse=Verdict.WARNING)


def _readers(file: Path) -> Iterator[Finding]:
    """Find out who can read the database, the addresses of people and the hashes of their passwords among it."""
    try:
        folder = file.parent.stat().st_mode
        # A folder that a user cannot enter keeps what is in it from them, whatever its mode is.
        reach = (0o070 if folder & stat.S_IXGRP else 0) | (0o007 if folder & stat.S_IXOTH else 0)
        files = [path for ending in ("", "-wal", "-shm") if (path := Path(f"{file}{ending}")).exists()]
        open_ones = [path for path in files if path.stat().st_mode & reach]
    except OSError:
        return  # Its faults are reported with the database.
    if open_ones:
        told = f"{open_ones[0]} is readable by others"
        advice = f"chmod 600 {' '.join(map(str, open_ones))}"
        yield Finding("secrets", Verdict.WARNING, told, advice)
    elif files:
        yield Finding("secrets", Verdict.OK, f"{file} is readable by its owner only")


# --- database ---------------------------------------------------------------------


def _database_file() -> Path | None:
    """Return the file of an SQLite database, or None if there is none that could be looked at."""
    url = db.engine.url
    name = url.database or ""
    if url.get_backend_name() != "sqlite" or is_in_memory(url) or name.startswith("file:"):
        return None
    return Path(name)


def _unusable_file(settings: Settings) -> Finding | None:
    """Return why the file of SQLite must not be opened, or None.

    SQLite would make one that is missing, and change one that is not Tasklane's.
    """
    path = _database_file()
    told, advice = flaw_of(path) if path else ("", "")
    if not told:
        return None
    if settings.sources["database_url"] != "embedded":
        advice = f"Look at DATABASE_URL. {advice}"
    return Finding("database", Verdict.FAILED, f"sqlite: {told}", advice)


def _database(settings: Settings, checks: dict[str, str], errors: Mapping[str, Exception]) -> Iterator[Finding]:
    state = checks["database"]
    error = errors.get("database")
    told = f"{db.engine.dialect.name}: {state}" + (f": {health.reason_of(error, settings)}" if error else "")
    down = f"Look at DATABASE_URL ({masked_url(settings.database_url)}), and whether the server runs."
    advice = RESTORE if error and is_damage(error) else _DATABASE_ADVICE.get(state, down)
    yield _found("database", state == "ok", told, advice)
    if state in ("down", "no_connections"):
        return
    migrations = checks["migrations"]
    worse = Verdict.WARNING if migrations == "ahead" else Verdict.FAILED
    advice = _MIGRATIONS_ADVICE.get(migrations, "")
    yield _found("database", migrations == "ok", f"migrations: {migrations}", advice, worse=worse)
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
    return _found("secrets", lost is None, told, advice, worse=Verdict.WARNING)


_MIGRATIONS_ADVICE = {
    "pending": "Run `python manage.py db upgrade`.",
    "ahead": "A newer version has migrated it; deploy that one here too.",
}
_FEWER = "Raise max_connections, or run fewer processes and threads."
_DATABASE_ADVICE = {
    "locked": "Somebody holds a lock: see docs/operations.md.",
    "full": "Make room on the disk.",
    "read_only": "DATABASE_URL leads to a stand-by, or the file is write-protected.",
    "failing": "Look at the disk; the system refuses to write.",
    "no_connections": f"The server lets nobody in any more. {_FEWER}",
}


def _sqlite() -> Iterator[Finding]:
    with db.engine.connect() as connection:
        journal = connection.scalar(text("PRAGMA journal_mode"))
        damage = " ".join(str(connection.scalar(text("PRAGMA quick_check(1)"))).split())
    yield _found("database", journal == "wal", f"journal: {journal}", "Stop all processes, then start one.")
    yield _found("database", damage == "ok", f"file: {damage}", RESTORE)


def _postgresql() -> Iterator[Finding]:
    with db.engine.connect() as connection:
        version = int(connection.scalar(text("SHOW server_version_num")) or 0)
        limit = int(connection.scalar(text("SHOW max_connections")) or 0)
        used = int(connection.scalar(text("SELECT count(*) FROM pg_stat_activity")) or 0)
        now = connection.scalar(text("SELECT clock_timestamp()"))
    yield _found("database", version >= 130000, f"version {version // 10000}", "Use PostgreSQL 13 or newer.")
    free = limit - used
    told = f"{used} of {limit} connections in use"
    yield _found("database", free > SPARE_CONNECTIONS, told, _FEWER, worse=Verdict.WARNING)
    if isinstance(now, datetime):
        yield _clock("the database", now)


def _clock(where: str, there: datetime) -> Finding:
    apart = abs((clock.now() - there).total_seconds())
    worse = Verdict.FAILED if apart > CLOCK_FAILURE else Verdict.WARNING
    told = f"{apart:.1f} s apart from {where}"
    return _found("clock", apart <= CLOCK_WARNING, told, "Synchronise the clocks of the machines (NTP).", worse=worse)


# --- Redis and jobs -----------------------------------------------------------------


def _redis(settings: Settings, state: str, errors: Mapping[str, Exception]) -> Iterator[Finding]:
    error = errors.get("redis")
    told = f"{state}: {health.reason_of(error, settings)}" if error else state
    yield _found("redis", state == "ok", told, _redis_advice(settings, state, error))
    if state not in ("ok", "refusing"):
        return
    try:
        with redis.connect(settings) as connection:
            before = time.time()
            seconds, microseconds = connection.time()
            way = time.time() - before
            told = connection.info()
    except (RedisError, OSError) as error:
        yield Finding("redis", Verdict.WARNING, f"INFO is refused ({type(error).__name__})", "Allow it to this user.")
        return
    policy = told.get("maxmemory_policy", "unknown")
    yield _found(
        "redis", policy == "noeviction", f"maxmemory-policy {policy}", "Set it to noeviction: it must not forget jobs."
    )
    keeps = bool(told.get("aof_enabled"))
    advice = "Set appendonly yes. Without it nothing is lost, but its restart sends all waiting jobs anew."
    yield _found("redis", keeps, f"appendonly {'yes' if keeps else 'no'}", advice, worse=Verdict.WARNING)
    yield _clock("Redis", datetime.fromtimestamp(seconds + microseconds / 1e6 + way / 2, UTC))


def _redis_advice(settings: Settings, state: str, error: Exception | None) -> str:
    if state == "refusing":
        return "Give it memory or disk, or allow this user to write."
    if settings.sources["redis_url"] == "embedded":
        return "Start `python manage.py dev`, or set REDIS_URL."
    shown = masked_url(settings.redis_url)
    if isinstance(error, AuthenticationError):
        return f"Look at the user and the password in REDIS_URL ({shown})."
    if state == "hung" and settings.redis_url.startswith("rediss://"):
        # Who speaks no TLS waits for the end of what it takes for a command.
        return f"Look whether the server speaks TLS there ({shown}); one that does not is reached by redis://."
    return f"Look at REDIS_URL ({shown}) and the server."


def _jobs(state: dict[str, Any]) -> Iterator[Finding]:
    for part, command in (("workers", "worker"), ("scheduler", "scheduler")):
        found = state["checks"][part]
        told = f"{state['workers']} alive" if part == "workers" and found == "ok" else found
        worse = Verdict.FAILED if part in state["faults"] else Verdict.WARNING
        advice = f"Start `python manage.py {command}`; jobs wait meanwhile."
        yield _found(part, found == "ok", told, advice, worse=worse)


# --- the rest ---------------------------------------------------------------------


def _mail(settings: Settings) -> Iterator[Finding]:
    mail = settings.mail
    if not mail.server:
        where = settings.instance_path / "outbox"
        yield Finding("mail", Verdict.WARNING, f"no server; messages are files in {where}", "Set MAIL_SERVER.")
        return
    try:
        delivery.greet(mail)
    except MailDelayed as error:
        yield Finding("mail", Verdict.FAILED, f"{mail.server}:{mail.port}: {error.reply}", error.message)
        return
    yield Finding("mail", Verdict.OK, f"{mail.server}:{mail.port} lets us in; `mail test ADDRESS` sends a message")


def _disk(settings: Settings) -> Iterator[Finding]:
    places = {settings.instance_path}
    if file := _database_file():
        places.add(file.parent)
    for place in sorted(places):
        try:
            free = shutil.disk_usage(place).free
        except OSError as error:
            advice = "Make the folder, or let the user that runs this enter it."
            yield Finding("disk", Verdict.FAILED, f"{place} cannot be used: {error.strerror}", advice)
            continue
        worse = Verdict.FAILED if free < DISK_FAILURE else Verdict.WARNING
        yield _found("disk", free >= DISK_WARNING, f"{free / 1e9:,.1f} GB free at {place}", "Make room.", worse=worse)
        can_write = os.access(place, os.W_OK)
        if not can_write:
            yield Finding("disk", Verdict.FAILED, f"{place} cannot be written", "Give it to the user that runs this.")
