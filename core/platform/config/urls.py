"""Rules for the addresses of the configuration: databases, Redis, web pages, Sentry."""

import re
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from core.platform.config.declaration import Rule

_DRIVERS = ("sqlite", "sqlite+pysqlite", "postgresql+psycopg")
# What stands where a port should may be the rest of a password, so no sentence shows it.
_PORT = "has no port between 1 and 65535 after its host (in a password, / ? # @ : are written as %2F %3F %23 %40 %3A)"


def database_url_problems(env: str, text: str) -> list[str]:
    """Return what is wrong with the URL of a database, which no sentence shows."""
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


def sqlite_file(url: URL) -> Path | None:
    """Return the file of a database, or None if that is on a server, in memory, or named by a URI of SQLite."""
    name = url.database or ""
    is_file = url.get_backend_name() == "sqlite" and not is_in_memory(url) and not name.startswith("file:")
    return Path(name) if is_file else None


_REDIS_NUMBERS: dict[str, type[int] | type[float]] = {
    **dict.fromkeys(("db", "max_connections", "health_check_interval", "protocol"), int),
    **dict.fromkeys(("socket_timeout", "socket_connect_timeout", "timeout"), float),
}


def redis_url_problems(name: str, text: str) -> list[str]:
    """Return what is wrong with the URL of a Redis, which no sentence shows."""
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


def is_public_url(url: str) -> bool:
    """Return whether a URL can stand before the paths of links in e-mails, or is not set."""
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


def is_reset_url(url: str) -> bool:
    """Return whether a URL has one place for a token, behind its host."""
    before, place, after = url.partition("{token}")
    base = re.split(r"[?#]", before)[0]
    rest = before[len(base) :] + after
    plain = rest.isascii() and rest.isprintable() and not any(character in rest for character in ' <>"\\^`{|}')
    return not url or (bool(place) and plain and is_public_url(base) and before.count("/") >= 3)


def is_sentry_dsn(url: str) -> bool:
    """Return whether a URL names a project of Sentry, or is not set."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    is_whole = parts.username and parts.hostname and parts.path.strip("/")
    return not url or (parts.scheme in ("http", "https") and bool(is_whole))


PUBLIC_URL = Rule(is_public_url, "{key} is not an address such as https://tasks.example.com")
RESET_URL = Rule(is_reset_url, "{key} is not an address such as https://app.example.com/reset#{{token}}")
SENTRY_DSN = Rule(is_sentry_dsn, "{key} is not an address such as https://key@sentry.example/1")


def sqlalchemy_url(url: str) -> str:
    """Return a database URL as SQLAlchemy spells it."""
    # Heroku and others still hand out postgres://, which SQLAlchemy dropped.
    for scheme in ("postgres://", "postgresql://"):
        if url.startswith(scheme):
            return "postgresql+psycopg://" + url.removeprefix(scheme)
    return url
