"""Examination of the configuration and its secrets."""

import stat
from collections.abc import Iterator
from pathlib import Path

from core.operations.degradation import WITHOUT_REDIS, is_without_redis
from core.operations.doctor.findings import Finding, Verdict, found
from core.platform.config.problems import MIN_SECRET_BYTES
from core.platform.config.settings import SECRETS, Settings
from core.platform.config.urls import sqlite_file
from core.platform.database.base import db


def examine_configuration(settings: Settings) -> Iterator[Finding]:
    """Look at the settings that others rely on."""
    is_production = settings.env == "production"
    yield _wanted(is_production, f"environment {settings.env}", "Set TASKLANE_ENV=production where others rely on it.")
    if not is_production:
        return
    yield _wanted(
        settings.public_url,
        f"public_url {settings.public_url or 'is not set'}",
        "Set TASKLANE_PUBLIC_URL, or e-mails have no links.",
    )
    limits = "on" if settings.ratelimit_enabled else "off"
    yield _wanted(settings.ratelimit_enabled, f"rate limits {limits}", "Set TASKLANE_RATELIMIT_ENABLED=true.")
    yield _wanted(
        settings.trusted_proxies,
        f"trusted_proxies {settings.trusted_proxies}",
        "If a proxy is in front, set TASKLANE_TRUSTED_PROXIES=1, or all people share one limit.",
    )
    hosts = ", ".join(settings.trusted_hosts) or "any"
    advice = "Set TRUSTED_HOSTS to the names by which people reach it."
    yield _wanted(settings.trusted_hosts, f"trusted_hosts {hosts}", advice)
    is_lacking = is_without_redis(settings)
    yield _wanted(not is_lacking, f"REDIS_URL {'is not set' if is_lacking else 'is set'}", f"Set it. {WITHOUT_REDIS}")


def _wanted(holds: object, told: str, advice: str) -> Finding:
    return found("configuration", bool(holds), told, advice, worse=Verdict.WARNING)


def examine_secrets(settings: Settings) -> Iterator[Finding]:
    """Look at the length of the secrets and at who can read them."""
    for name in SECRETS:
        is_long = len(getattr(settings, name).encode()) >= MIN_SECRET_BYTES
        told = f"{name} from {settings.sources[name]}"
        yield found("secrets", is_long, told, f"Make it {MIN_SECRET_BYTES} random bytes or more.")
        path = settings.instance_path / name
        if settings.has_made(name) and path.exists():
            others = stat.S_IMODE(path.stat().st_mode) & 0o077
            yield found("secrets", not others, f"{path} is readable by its owner only", f"chmod 600 {path}")
    if file := sqlite_file(db.engine.url):
        yield from _readers(file)
    differ = settings.secret_key != settings.jwt_secret_key
    told = "the two secrets differ" if differ else "the two secrets are the same"
    yield found("secrets", differ, told, "Give each its own value.", worse=Verdict.WARNING)


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
