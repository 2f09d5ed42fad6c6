"""Examination of what works beside the web processes: Redis, workers, the mail server."""

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from redis.exceptions import AuthenticationError, RedisError

from core.mail import delivery
from core.mail.delivery import MailDelayed
from core.operations import health
from core.operations.doctor.findings import Finding, Verdict, clock_of, found
from core.platform import redis
from core.platform.config.secret_values import masked_url
from core.platform.config.settings import Settings


def examine_redis(settings: Settings, state: str, errors: Mapping[str, Exception]) -> Iterator[Finding]:
    """Look at Redis, its memory and its clock."""
    error = errors.get("redis")
    told = f"{state}: {health.reason_of(error, settings)}" if error else state
    yield found("redis", state == "ok", told, _redis_advice(settings, state, error))
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
    yield found(
        "redis", policy == "noeviction", f"maxmemory-policy {policy}", "Set it to noeviction: it must not forget jobs."
    )
    keeps = bool(told.get("aof_enabled"))
    advice = "Set appendonly yes. Without it nothing is lost, but its restart sends all waiting jobs anew."
    yield found("redis", keeps, f"appendonly {'yes' if keeps else 'no'}", advice, worse=Verdict.WARNING)
    yield clock_of("Redis", datetime.fromtimestamp(seconds + microseconds / 1e6 + way / 2, UTC))


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


def examine_jobs(state: dict[str, Any]) -> Iterator[Finding]:
    """Look whether anything works on the jobs."""
    for part, command in (("workers", "worker"), ("scheduler", "scheduler")):
        shown = state["checks"][part]
        told = f"{state['workers']} alive" if part == "workers" and shown == "ok" else shown
        worse = Verdict.FAILED if part in state["faults"] else Verdict.WARNING
        advice = f"Start `python manage.py {command}`; jobs wait meanwhile."
        yield found(part, shown == "ok", told, advice, worse=worse)


def examine_mail(settings: Settings) -> Iterator[Finding]:
    """Look whether the mail server lets us in."""
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
