"""Rules for the values of the configuration, beyond their types."""

import re
from collections.abc import Mapping
from email.errors import MessageError
from email.policy import SMTP
from ipaddress import ip_network
from typing import IO, Any
from urllib.parse import parse_qsl, urlsplit

from click import ClickException, echo
from limits import parse_many
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError


class ConfigError(ClickException):
    """The configuration cannot be used; the message says every reason at once, also where `flask` runs a command."""

    def show(self, file: IO[str] | None = None) -> None:
        echo(f"tasklane: {self.message}", err=True)


class ConfigWarning(UserWarning):
    """Warning that a part of the configuration has no effect."""


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
    found = []
    if env == "production":
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
    rules = {
        f"port {values['port']} is not between 0 and 65535": 0 <= values["port"] <= 65535,
        f"mail.port {values['mail.port']} is not between 1 and 65535": 1 <= values["mail.port"] <= 65535,
        "processes must not be greater than 64": values["processes"] <= 64,
        f"threads must not be greater than {MOST_THREADS}": values["threads"] <= MOST_THREADS,
        f"trusted_proxies must not be greater than {MOST_PROXIES}": values["trusted_proxies"] <= MOST_PROXIES,
        f"log_level {values['log_level']!r} is not a logging level": values["log_level"].upper() in LOG_LEVELS,
        f"log_format {values['log_format']!r} is neither text nor json": values["log_format"] in ("text", "json"),
        **{f"{key} must not be negative": values[key] >= 0 for key in _NOT_NEGATIVE},
        **{f"{key} must be greater than 0": values[key] > 0 for key in _POSITIVE},
        **{f"{key} is too large": not values[key] > _LARGEST for key in (*_POSITIVE, *_NOT_NEGATIVE)},
        **{f"{key} is too large": values[key] <= _LARGEST_DAYS for key in values if key.endswith("_days")},
        **{f"{key} {values[key]!r} is not a limit such as '5 per minute'": _is_limit(values[key]) for key in _LIMITS},
        "limits.api_keys has an entry that is not like '12: 6000 per minute'": all(
            _is_key_limit(line) for line in values["limits.api_keys"]
        ),
        f"mail.reminder_hour {values['mail.reminder_hour']} is not between 0 and 23": (
            0 <= values["mail.reminder_hour"] <= 23
        ),
        f"mail.reply_seconds must not be more than {LONGEST_REPLY_SECONDS}": (
            values["mail.reply_seconds"] <= LONGEST_REPLY_SECONDS
        ),
        f"mail.sender {values['mail.sender']!r} is not an address such as 'Tasklane <tl@example.com>'": (
            _is_sender(values["mail.sender"])
        ),
        "public_url is not an address such as https://tasks.example.com": _is_public_url(values["public_url"]),
        "mail.reset_url is not an address such as https://app.example.com/reset#{token}": (
            _is_reset_url(values["mail.reset_url"])
        ),
        "cors_origins has an entry that is not like https://app.example.com": all(
            origin == "*" or _ORIGIN.fullmatch(origin) for origin in values["cors_origins"]
        ),
        "cors_origins must name the origins if cors_credentials is on, so * is not possible": not (
            values["cors_credentials"] and "*" in values["cors_origins"]
        ),
        "trusted_hosts has an entry that is not like tasks.example.com or .example.com": all(
            _HOST.fullmatch(host) for host in values["trusted_hosts"]
        ),
        "metrics.addresses has an entry that is not like 10.0.0.7 or 10.0.0.0/8": all(
            _is_network(text) for text in values["metrics.addresses"]
        ),
        "log.backups must be greater than 0 if log.max_bytes is": not values["log.max_bytes"] or values["log.backups"],
        "sentry.dsn is not an address such as https://key@sentry.example/1": _is_sentry_dsn(values["sentry.dsn"]),
        f"cache.backend {values['cache.backend']!r} is neither memory nor redis": values["cache.backend"]
        in ("memory", "redis"),
    }
    found += [problem for problem, holds in rules.items() if not holds]
    found += _database_url_problems(env, values["database_url"])
    return (
        found
        + _redis_url_problems("REDIS_URL", values["redis_url"])
        + _redis_url_problems("CACHE_URL", values["cache.url"])
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


_DRIVERS = ("sqlite", "sqlite+pysqlite", "postgresql+psycopg")
# What stands where a port should may be the rest of a password, so no sentence shows it.
_PORT = "has no port between 1 and 65535 after its host (in a password, / ? # @ : are written as %2F %3F %23 %40 %3A)"


def _database_url_problems(env: str, text: str) -> list[str]:
    if not text:
        return []
    try:
        url = make_url(sqlalchemy_url(text))
    except ValueError:
        return [f"DATABASE_URL {_PORT}"]
    except ArgumentError:
        url = URL.create("none")
    if url.drivername not in _DRIVERS:
        return ["DATABASE_URL is neither sqlite:// nor postgresql://"]
    if url.get_backend_name() == "postgresql":
        # A port in the query, where libpq also looks, is libpq's to refuse.
        return [] if url.port is None or 1 <= url.port <= 65535 else [f"DATABASE_URL {_PORT}"]
    if url.host or url.username or url.password or url.port:
        return ["DATABASE_URL is not like sqlite:////srv/tasklane.db, with four slashes before an absolute path"]
    if env != "testing" and is_in_memory(url):
        return ["DATABASE_URL names no file, and in memory each connection would have a database of its own"]
    return []


def is_in_memory(url: URL) -> bool:
    """Return whether a database of SQLite is no file."""
    return (url.database or ":memory:") in (":memory:", "file::memory:") or url.query.get("mode") == "memory"


_REDIS_NUMBERS: dict[str, type[int] | type[float]] = {
    **dict.fromkeys(("db", "max_connections", "health_check_interval", "protocol"), int),
    **dict.fromkeys(("socket_timeout", "socket_connect_timeout", "timeout"), float),
}


def _redis_url_problems(name: str, text: str) -> list[str]:
    if not text:
        return []
    scheme = text.partition("://")[0]
    if scheme not in ("redis", "rediss", "unix"):
        return [f"{name} is none of redis://, rediss://, unix://"]
    try:
        parts = urlsplit(text)
        has_port = scheme == "unix" or parts.port is None or parts.port > 0
    except ValueError:
        has_port = False
    if not has_port:
        return [f"{name} {_PORT}"]
    # What is no number there would be taken for 0 in silence.
    if scheme != "unix" and not _is_number(int, parts.path.strip("/") or "0"):
        return [f"{name} does not end with the number of a database, such as /0"]
    options = parse_qsl(parts.query)
    return [
        f"{name} has no number for {option}"
        for option, value in options
        if option in _REDIS_NUMBERS and not _is_number(_REDIS_NUMBERS[option], value)
    ]


def _is_number(kind: type[int] | type[float], text: str) -> bool:
    try:
        return kind(text) >= 0
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


def _is_public_url(url: str) -> bool:
    if not url:
        return True
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - it raises for what is no port
    except ValueError:
        return False
    plain = url.isascii() and url.isprintable() and not any(character in url for character in ' <>"\\^`{|}')
    has_more = parts.query or parts.fragment or "@" in parts.netloc or "?" in url or "#" in url
    # A header of an e-mail has room for this.
    return len(url) <= 500 and plain and parts.scheme in ("http", "https") and bool(parts.hostname) and not has_more


def _is_reset_url(url: str) -> bool:
    """Return whether a URL has one place for a token, behind its host."""
    before, place, after = url.partition("{token}")
    base = re.split(r"[?#]", before)[0]
    rest = before[len(base) :] + after
    plain = rest.isascii() and rest.isprintable() and not any(character in rest for character in ' <>"\\^`{|}')
    return not url or (bool(place) and plain and _is_public_url(base) and before.count("/") >= 3)


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


def _is_sentry_dsn(url: str) -> bool:
    if not url:
        return True
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.username and parts.hostname and parts.path.strip("/"))


def _secret_problems(name: str, value: str) -> list[str]:
    if not value:
        return [f"{name} is not set"]
    if any(word in value.lower() for word in KNOWN_DEFAULTS):
        return [f"{name} is a known default"]
    if len(value.encode()) < MIN_SECRET_BYTES:
        return [f"{name} is shorter than {MIN_SECRET_BYTES} bytes"]
    return []


def sqlalchemy_url(url: str) -> str:
    """Return a database URL as SQLAlchemy spells it."""
    # Heroku and others still hand out postgres://, which SQLAlchemy dropped.
    for scheme in ("postgres://", "postgresql://"):
        if url.startswith(scheme):
            return "postgresql+psycopg://" + url.removeprefix(scheme)
    return url
