"""Rules for the values of the configuration, beyond their types."""

import re
from collections.abc import Iterator, Mapping
from email.errors import MessageError
from email.policy import SMTP
from ipaddress import ip_network
from typing import Any

from limits import parse_many

from core.platform.config.urls import (
    database_url_problems,
    is_public_url,
    is_reset_url,
    is_sentry_dsn,
    redis_url_problems,
)

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
KNOWN_DEFAULTS = ("changeme", "change-me", "change_me", "change this", "replace-me", "your-secret")
MIN_SECRET_BYTES = 32

_POSITIVE = (
    "threads",
    "security_event_days",
    "auth.access_token_minutes",
    "auth.refresh_token_days",
    "auth.browser_session_hours",
    "processing.steps",
    "jobs.lease_seconds",
    "jobs.poll_seconds",
    "jobs.result_days",
    "jobs.history_days",
    "tasks.trash_days",
    "mail.timeout_seconds",
    "mail.reply_seconds",
    "paging.cursor_max_age_days",
)
_NOT_NEGATIVE = (
    "trusted_proxies",
    "processes",
    "drain_seconds",
    "hsts_seconds",
    "log.max_bytes",
    "log.backups",
    "processing.step_seconds",
    "jobs.shutdown_grace_seconds",
)
# Each has a stack and connections of its own; `serve --threads` ends here as well.
MOST_THREADS = 64
# Whoever is further in front has written what it says of itself.
MOST_PROXIES = 10
# The time limit of an e-mail job (core/jobs/kinds.py) leaves room for this.
LONGEST_REPLY_SECONDS = 300
# A century of seconds; beyond it moments can no longer be computed.
_LARGEST = 100 * 366 * 24 * 3600
_LARGEST_DAYS = 36_600
_LIMITS = (
    "auth.login_limit",
    "auth.address_limit",
    "auth.password_limit",
    "auth.reset_limit",
    "limits.user",
    "limits.admin",
    "limits.api_key",
    "limits.address",
)


def problems(env: str, values: Mapping[str, Any]) -> list[str]:
    """Return what would be unsafe or cannot work, each as a clause of one sentence."""
    found = _production_problems(values) if env == "production" else []
    rules = (*_of_numbers(values), *_of_logs(values), *_of_limits(values), *_of_mail(values), *_of_the_web(values))
    found += [problem for holds, problem in rules if not holds]
    found += database_url_problems(env, values["database_url"])
    found += redis_url_problems("REDIS_URL", values["redis_url"])
    return found + redis_url_problems("CACHE_URL", values["cache.url"])


def _production_problems(values: Mapping[str, Any]) -> list[str]:
    found = []
    for key in ("jwt_secret_key", "secret_key"):
        found += _secret_problems(key.upper(), values[key])
    if values["metrics.enabled"] and not (values["metrics.token"] or values["metrics.addresses"]):
        found.append("metrics.enabled needs metrics.token or metrics.addresses, because anybody could read them")
    if values["metrics.token"]:
        found += _secret_problems("metrics.token", values["metrics.token"])
    for key in values["secret_key_previous"]:
        found += _secret_problems("An entry of SECRET_KEY_PREVIOUS", key)
    for key in values["jwt_previous_secret_keys"]:
        found += _secret_problems("An entry of JWT_PREVIOUS_SECRET_KEYS", key)
    if not values["database_url"]:
        found.append("DATABASE_URL is not set")
    return found


# Whether a rule holds, and what to say if it does not.
Rule = tuple[Any, str]


def _of_numbers(values: Mapping[str, Any]) -> Iterator[Rule]:
    yield 0 <= values["port"] <= 65535, f"port {values['port']} is not between 0 and 65535"
    for key, most in {"processes": 64, "threads": MOST_THREADS, "trusted_proxies": MOST_PROXIES}.items():
        yield values[key] <= most, f"{key} must not be greater than {most}"
    for key in _NOT_NEGATIVE:
        yield values[key] >= 0, f"{key} must not be negative"
    for key in _POSITIVE:
        yield values[key] > 0, f"{key} must be greater than 0"
    for key in (*_NOT_NEGATIVE, *_POSITIVE):
        largest = _LARGEST_DAYS if key.endswith("_days") else _LARGEST
        yield not values[key] > largest, f"{key} is too large"


def _of_logs(values: Mapping[str, Any]) -> Iterator[Rule]:
    level, written_as, cache = values["log_level"], values["log_format"], values["cache.backend"]
    yield level.upper() in LOG_LEVELS, f"log_level {level!r} is not a logging level"
    yield written_as in ("text", "json"), f"log_format {written_as!r} is neither text nor json"
    yield (
        not values["log.max_bytes"] or values["log.backups"],
        "log.backups must be greater than 0 if log.max_bytes is",
    )
    yield is_sentry_dsn(values["sentry.dsn"]), "sentry.dsn is not an address such as https://key@sentry.example/1"
    yield cache in ("memory", "redis"), f"cache.backend {cache!r} is neither memory nor redis"


def _of_limits(values: Mapping[str, Any]) -> Iterator[Rule]:
    for key in _LIMITS:
        yield _is_limit(values[key]), f"{key} {values[key]!r} is not a limit such as '5 per minute'"
    yield (
        all(_is_key_limit(line) for line in values["limits.api_keys"]),
        "limits.api_keys has an entry that is not like '12: 6000 per minute'",
    )


def _of_mail(values: Mapping[str, Any]) -> Iterator[Rule]:
    port, hour, sender = values["mail.port"], values["mail.reminder_hour"], values["mail.sender"]
    yield 1 <= port <= 65535, f"mail.port {port} is not between 1 and 65535"
    yield 0 <= hour <= 23, f"mail.reminder_hour {hour} is not between 0 and 23"
    yield (
        values["mail.reply_seconds"] <= LONGEST_REPLY_SECONDS,
        f"mail.reply_seconds must not be more than {LONGEST_REPLY_SECONDS}",
    )
    yield _is_sender(sender), f"mail.sender {sender!r} is not an address such as 'Tasklane <tl@example.com>'"
    yield (
        is_reset_url(values["mail.reset_url"]),
        "mail.reset_url is not an address such as https://app.example.com/reset#{token}",
    )


def _of_the_web(values: Mapping[str, Any]) -> Iterator[Rule]:
    yield is_public_url(values["public_url"]), "public_url is not an address such as https://tasks.example.com"
    yield (
        all(origin == "*" or _ORIGIN.fullmatch(origin) for origin in values["cors_origins"]),
        "cors_origins has an entry that is not like https://app.example.com",
    )
    yield (
        not (values["cors_credentials"] and "*" in values["cors_origins"]),
        "cors_origins must name the origins if cors_credentials is on, so * is not possible",
    )
    yield (
        all(_HOST.fullmatch(host) for host in values["trusted_hosts"]),
        "trusted_hosts has an entry that is not like tasks.example.com or .example.com",
    )
    yield (
        all(_is_network(text) for text in values["metrics.addresses"]),
        "metrics.addresses has an entry that is not like 10.0.0.7 or 10.0.0.0/8",
    )


def split_key_limit(line: str) -> tuple[int, str]:
    """Return the number of a key and its limit. Raises ValueError."""
    number, separator, limit = line.partition(":")
    if not separator:
        raise ValueError
    return int(number), limit.strip()


def _is_key_limit(line: str) -> bool:
    try:
        return _is_limit(split_key_limit(line)[1])
    except ValueError:
        return False


def _is_limit(text: str) -> bool:
    try:
        return bool(parse_many(text))
    except ValueError:
        return False


def _is_sender(text: str) -> bool:
    """Return whether a text can be the From of a message: one address of plain ASCII, with or without a name."""
    if not text.isprintable():
        return False
    try:
        header = SMTP.header_factory("From", text)
    except (IndexError, MessageError):  # The parser stumbles over an address that ends too early.
        return False
    addresses = [address for address in header.addresses if address.username and address.domain.isascii()]
    return len(header.addresses) == len(addresses) == 1 and addresses[0].username.isascii() and not header.defects


_NAME = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?"
# A name or an address, or a dot and the name below which all are meant. Without a port: it decides nothing.
_HOST = re.compile(rf"\.?{_NAME}|\[[0-9A-Fa-f:.]+\]")
# What a browser says in `Origin` (RFC 6454). Nothing in it can be taken for a pattern.
_ORIGIN = re.compile(rf"https?://{_NAME}(?::[0-9]{{1,5}})?")


def _is_network(text: str) -> bool:
    try:
        return bool(ip_network(text))
    except ValueError:
        return False


def _secret_problems(name: str, value: str) -> list[str]:
    if not value:
        return [f"{name} is not set"]
    if any(word in value.lower() for word in KNOWN_DEFAULTS):
        return [f"{name} is a known default"]
    if len(value.encode()) < MIN_SECRET_BYTES:
        return [f"{name} is shorter than {MIN_SECRET_BYTES} bytes"]
    return []
