"""Layered configuration: files, then `.env`, then the environment, all typed.

`Settings` lists every key once with its type; `config.toml` holds every default
once. A key that stands in only one of them is an error at start, so they cannot
drift apart.
"""

import contextlib
import difflib
import hashlib
import os
import re
import secrets
import tempfile
import tomllib
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from email.errors import MessageError
from email.policy import SMTP
from ipaddress import ip_network
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints
from urllib.parse import parse_qsl, unquote, urlsplit

from dotenv import dotenv_values
from limits import parse_many
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from core import config_tables
from core.redaction import is_secret_name
from core.upstreams.settings import UpstreamSettings

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENTS = ("development", "testing", "production")
PREFIX = "TASKLANE_"
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
MIN_SECRET_BYTES = 32

# Names that platforms and other tools already use for some of our keys.
PLAIN_NAMES = {
    "DATABASE_URL": "database_url",
    "REDIS_URL": "redis_url",
    "CACHE_URL": "cache.url",
    "SECRET_KEY": "secret_key",
    "JWT_SECRET_KEY": "jwt_secret_key",
    "JWT_PREVIOUS_SECRET_KEYS": "jwt_previous_secret_keys",
    "PORT": "port",
    "WEB_CONCURRENCY": "processes",
    "CORS_ORIGINS": "cors_origins",
    "TRUSTED_HOSTS": "trusted_hosts",
    "SENTRY_DSN": "sentry.dsn",
    "LOG_LEVEL": "log_level",
    "MAIL_SERVER": "mail.server",
    "MAIL_PORT": "mail.port",
    "MAIL_USERNAME": "mail.username",
    "MAIL_PASSWORD": "mail.password",
    "MAIL_USE_TLS": "mail.use_tls",
    "MAIL_USE_SSL": "mail.use_ssl",
    "MAIL_SENDER": "mail.sender",
}
# These two choose the layers themselves, so they are read before any file.
SELECTORS = ("TASKLANE_ENV", "TASKLANE_INSTANCE_PATH")

SECRET_KEYS = frozenset({"secret_key", "jwt_secret_key", "jwt_previous_secret_keys", "mail.password", "metrics.token"})
URL_KEYS = frozenset({"database_url", "redis_url", "cache.url", "sentry.dsn"})
KNOWN_DEFAULTS = ("changeme", "change-me", "change_me", "change this", "replace-me", "your-secret")


class ConfigError(Exception):
    """The configuration cannot be used; the message says every reason at once."""


class ConfigWarning(UserWarning):
    """Something in the configuration has no effect."""


@dataclass(frozen=True, slots=True)
class AuthSettings:
    access_token_minutes: int
    refresh_token_days: int
    browser_session_hours: int
    login_limit: str
    address_limit: str
    password_limit: str


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """How often whom may ask, such as `600 per minute; 10000 per hour`."""

    user: str
    admin: str
    api_key: str
    api_keys: list[str]
    address: str

    def of_key(self, key_id: int) -> str:
        """Return the limit of one API key."""
        own = dict(split_key_limit(line) for line in self.api_keys)
        return own.get(key_id, self.api_key)


def split_key_limit(line: str) -> tuple[int, str]:
    """Return the number of a key and its limit. Raises ValueError."""
    number, separator, limit = line.partition(":")
    if not separator:
        raise ValueError
    return int(number), limit.strip()


@dataclass(frozen=True, slots=True)
class CacheSettings:
    backend: str
    url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class LogSettings:
    """Where the log is written beside standard output."""

    file: str
    max_bytes: int
    backups: int


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """Whether there is /metrics, and who may read it."""

    enabled: bool
    token: str = field(repr=False)
    addresses: list[str]


@dataclass(frozen=True, slots=True)
class SentrySettings:
    """Where unexpected errors are reported."""

    dsn: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class PagingSettings:
    cursor_max_age_days: int


@dataclass(frozen=True, slots=True)
class ProcessingSettings:
    steps: int
    step_seconds: float


@dataclass(frozen=True, slots=True)
class JobSettings:
    poll_seconds: float
    lease_seconds: float
    shutdown_grace_seconds: float
    result_days: int
    history_days: int


@dataclass(frozen=True, slots=True)
class TaskSettings:
    trash_days: int


@dataclass(frozen=True, slots=True)
class MailSettings:
    server: str
    port: int
    username: str
    password: str = field(repr=False)
    use_tls: bool
    use_ssl: bool
    sender: str
    timeout_seconds: float
    reply_seconds: float
    reminder_hour: int


@dataclass(frozen=True, slots=True)
class Settings:
    """The effective configuration. `sources` tells where each key came from."""

    env: str
    instance_path: Path
    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    redis_verify_certificate: bool
    secret_key: str = field(repr=False)
    jwt_secret_key: str = field(repr=False)
    host: str
    port: int
    public_url: str
    log_level: str
    log_format: str
    cors_origins: list[str]
    cors_credentials: bool
    trusted_hosts: list[str]
    trusted_proxies: int
    https_redirect: bool
    hsts_seconds: int
    processes: int
    threads: int
    drain_seconds: float
    ratelimit_enabled: bool
    registration_open: bool
    require_if_match: bool
    security_event_days: int
    jwt_previous_secret_keys: list[str] = field(repr=False)
    auth: AuthSettings
    cache: CacheSettings
    limits: LimitSettings
    log: LogSettings
    metrics: MetricsSettings
    sentry: SentrySettings
    paging: PagingSettings
    processing: ProcessingSettings
    jobs: JobSettings
    tasks: TaskSettings
    mail: MailSettings
    upstreams: dict[str, UpstreamSettings]
    sources: Mapping[str, str] = field(repr=False)


# Fields of Settings without a key of their own: they come from SELECTORS, are
# computed, or are tables whose entries an operator names.
_COMPUTED = frozenset({"env", "instance_path", "sources", *config_tables.TABLES})


def _known_keys(cls: type = Settings, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every dotted key with its type."""
    hints = get_type_hints(cls)
    for item in fields(cls):
        if cls is Settings and item.name in _COMPUTED:
            continue
        kind = hints[item.name]
        if is_dataclass(kind):
            yield from _known_keys(kind, f"{prefix}{item.name}.")  # type: ignore[arg-type]
        else:
            yield prefix + item.name, kind


KEYS: dict[str, Any] = dict(_known_keys())


def _kind_of(key: str) -> Any:
    """Return the type of a key, or None if there is no such key."""
    return KEYS.get(key) or config_tables.kind_of(key)


def is_secret(key: str) -> bool:
    """Return whether the value of a key must never be shown."""
    return key in SECRET_KEYS or config_tables.is_marked(key, "secret")


def is_url(key: str) -> bool:
    """Return whether the value of a key may contain credentials before its host."""
    return key in URL_KEYS or config_tables.is_marked(key, "url")


def _flatten(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _nearest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def _typed(key: str, value: Any, source: str) -> Any:
    """Convert a value from a file or the environment to the type that the key declares."""
    kind = _kind_of(key)
    try:
        if kind is bool:
            return _boolean(value)
        if get_origin(kind) is list:
            items = value.split(",") if isinstance(value, str) else list(value)
            return [get_args(kind)[0](item.strip()) for item in items if item.strip()]
        if isinstance(value, bool) or (kind is str and not isinstance(value, str)):
            raise ValueError
        return kind(value)
    except (TypeError, ValueError, AttributeError):
        name = "list" if get_origin(kind) is list else kind.__name__
        shown = "its value" if is_secret(key) else repr(value)
        raise ConfigError(f"{key}: {shown} from {source} is not a valid {name}.") from None


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    words = {"true": True, "1": True, "yes": True, "on": True}
    words |= {"false": False, "0": False, "no": False, "off": False}
    if isinstance(value, str) and value.strip().lower() in words:
        return words[value.strip().lower()]
    raise ValueError


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None


def _file_layers(path: Path, env: str) -> Iterator[tuple[str, str, Any]]:
    tables = _read_toml(path)
    for name in tables:
        if name not in ("default", *ENVIRONMENTS):
            raise ConfigError(f"{path}: unknown table [{name}].{_nearest(name, ['default', *ENVIRONMENTS])}")
    for name in ("default", env):
        for key, value in _flatten(tables.get(name, {})):
            if _kind_of(key) is None:
                known = config_tables.similar_keys(key) or list(KEYS)
                raise ConfigError(f"{path}: unknown key {key!r} in [{name}].{_nearest(key, known)}")
            yield (
                config_tables.normal(key),
                f"{path.name if path.parent == ROOT else f'instance/{path.name}'} [{name}]",
                value,
            )


def _environment_layer(
    variables: Mapping[str, str], source: str, values: Mapping[str, Any]
) -> Iterator[tuple[str, str, Any]]:
    for name, key in PLAIN_NAMES.items():
        # Platforms leave variables set but empty to mean "not configured".
        if variables.get(name):
            yield key, f"{source} {name}", variables[name]
    for name, value in variables.items():
        if not name.startswith(PREFIX) or name in SELECTORS:
            continue
        key = config_tables.from_variable(name.removeprefix(PREFIX).lower().replace("__", "."), values)
        if _kind_of(key) is not None:
            yield key, f"{source} {name}", value
        else:
            known = [
                PREFIX + k.upper().replace(".", "__").replace("-", "_") for k in config_tables.similar_keys(key) or KEYS
            ]
            warnings.warn(
                f"{name} is not a Tasklane setting and has no effect.{_nearest(name, known)}",
                ConfigWarning,
                stacklevel=2,
            )


def load_settings(
    config_name: str | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
    root: Path = ROOT,
) -> Settings:
    """Read all layers and return the effective settings.

    `overrides` are dotted keys that win over everything; tests use them.
    Raises ConfigError naming the file, variable or missing secrets to mend.
    """
    process_environ = os.environ if environ is None else environ
    dotenv = {k: v for k, v in dotenv_values(root / ".env").items() if v is not None}
    selectors = {**dotenv, **process_environ}

    env = config_name or selectors.get("TASKLANE_ENV") or "development"
    if env not in ENVIRONMENTS:
        raise ConfigError(f"TASKLANE_ENV is {env!r}; it must be one of {', '.join(ENVIRONMENTS)}.")
    instance_path = Path(selectors.get("TASKLANE_INSTANCE_PATH") or root / "instance").resolve()

    values: dict[str, Any] = {}
    sources: dict[str, str] = {}

    def apply(layer: Iterator[tuple[str, str, Any]]) -> None:
        for key, source, value in layer:
            values[key] = _typed(key, value, source)
            sources[key] = source

    apply(_file_layers(root / "config.toml", env))
    absent = [key for key in KEYS if key not in values]
    if absent:
        raise ConfigError(f"config.toml lacks {', '.join(absent)}.")
    if (instance_path / "config.toml").exists():
        apply(_file_layers(instance_path / "config.toml", env))
    apply(_environment_layer(dotenv, ".env", values))
    apply(_environment_layer(process_environ, "environment", values))
    apply((key, "override", value) for key, value in (overrides or {}).items())

    tables = config_tables.fill_in(values, sources)
    _check(env, values, tables)
    _fill_in(env, instance_path, values, sources)
    return _build(Settings, values, "", env=env, instance_path=instance_path, sources=sources, **tables)  # type: ignore[no-any-return]


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
# The time limit of an e-mail job (core/jobs/kinds.py) leaves room for this.
LONGEST_REPLY_SECONDS = 300
# A century of seconds; beyond it moments can no longer be computed.
_LARGEST = 100 * 366 * 24 * 3600
_LARGEST_DAYS = 36_600


def _check(env: str, values: dict[str, Any], tables: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse settings that would be unsafe or cannot work, all reasons in one message."""
    problems = []
    if env == "production":
        for key in ("jwt_secret_key", "secret_key"):
            problems += _secret_problems(key.upper(), values[key])
        if values["metrics.enabled"] and not (values["metrics.token"] or values["metrics.addresses"]):
            problems.append("metrics.enabled needs metrics.token or metrics.addresses, because anybody could read them")
        if values["metrics.token"]:
            problems += _secret_problems("metrics.token", values["metrics.token"])
        for key in values["jwt_previous_secret_keys"]:
            problems += _secret_problems("An entry of JWT_PREVIOUS_SECRET_KEYS", key)
        if not values["database_url"]:
            problems.append("DATABASE_URL is not set")
    rules = {
        f"port {values['port']} is not between 0 and 65535": 0 <= values["port"] <= 65535,
        "processes must not be greater than 64": values["processes"] <= 64,
        f"log_level {values['log_level']!r} is not a logging level": values["log_level"].upper() in LOG_LEVELS,
        f"log_format {values['log_format']!r} is neither text nor json": values["log_format"] in ("text", "json"),
        **{f"{key} must not be negative": values[key] >= 0 for key in _NOT_NEGATIVE},
        **{f"{key} must be greater than 0": values[key] > 0 for key in _POSITIVE},
        **{f"{key} is too large": not values[key] > _LARGEST for key in (*_POSITIVE, *_NOT_NEGATIVE)},
        **{f"{key} is too large": values[key] <= _LARGEST_DAYS for key in KEYS if key.endswith("_days")},
        **{f"{key} {values[key]!r} is not a limit such as '5 per minute'": _is_limit(values[key]) for key in _LIMITS},
        "limits.api_keys has an entry that is not like '12: 6000 per minute'": all(
            _is_key_limit(line) for line in values["limits.api_keys"]
        ),
        "DATABASE_URL is neither sqlite:// nor postgresql://": _is_database_url(values["database_url"]),
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
        "REDIS_URL is none of redis://, rediss://, unix://": _is_redis_url(values["redis_url"]),
        "CACHE_URL is none of redis://, rediss://, unix://": _is_redis_url(values["cache.url"]),
        f"cache.backend {values['cache.backend']!r} is neither memory nor redis": values["cache.backend"]
        in ("memory", "redis"),
    }
    problems += [problem for problem, holds in rules.items() if not holds]
    problems += config_tables.problems(tables)
    if problems:
        raise ConfigError(f"Tasklane cannot start in {env}: " + "; ".join(problems) + ".")


_LIMITS = (
    "auth.login_limit",
    "auth.address_limit",
    "auth.password_limit",
    "limits.user",
    "limits.admin",
    "limits.api_key",
    "limits.address",
)


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


def _is_database_url(url: str) -> bool:
    try:
        return not url or make_url(_sqlalchemy_url(url)).get_backend_name() in ("sqlite", "postgresql")
    except (ArgumentError, ValueError):
        return False


def _is_redis_url(url: str) -> bool:
    return not url or url.partition("://")[0] in ("redis", "rediss", "unix")


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


def secret_values(settings: "Settings") -> set[str]:
    """Return every secret in the settings, also those within URLs, to keep them out of logs."""
    found: set[str] = {settings.secret_key, settings.jwt_secret_key, *settings.jwt_previous_secret_keys}
    found |= {settings.mail.password, settings.metrics.token}
    urls = [settings.database_url, settings.redis_url, settings.cache.url, settings.sentry.dsn]
    for url in [*urls, *(upstream.base_url for upstream in settings.upstreams.values())]:
        with contextlib.suppress(ValueError):
            parts = urlsplit(url)
            found |= {parts.password or "", unquote(parts.password or "")}
            found |= {value for name, value in parse_qsl(parts.query) if is_secret_name(name)}
    found |= {urlsplit(settings.sentry.dsn).username or ""}
    for upstream in settings.upstreams.values():
        found |= set(upstream.headers.values())
    return found - {""}


def masked_url(url: str) -> str:
    """Return a URL that may be shown: without its password and without what its query says."""
    scheme, _, rest = url.partition("://")
    where, question, query = rest.partition("?")
    names = "&".join(f"{part.partition('=')[0]}=..." for part in query.split("&")) if question else ""
    if "@" in where:
        # The user part may be a secret as well, so everything before the host goes.
        where = f"********@{where.rpartition('@')[2]}"
    return f"{scheme}://{where}{question}{names}"


def _secret_problems(name: str, value: str) -> list[str]:
    if not value:
        return [f"{name} is not set"]
    if any(word in value.lower() for word in KNOWN_DEFAULTS):
        return [f"{name} is a known default"]
    if len(value.encode()) < MIN_SECRET_BYTES:
        return [f"{name} is shorter than {MIN_SECRET_BYTES} bytes"]
    return []


def _fill_in(env: str, instance_path: Path, values: dict[str, Any], sources: dict[str, str]) -> None:
    """Compute what the embedded defaults leave open, and spell URLs as SQLAlchemy wants them."""
    if not values["database_url"]:
        path = str(instance_path / "tasklane.db")
        values["database_url"] = URL.create("sqlite", database=path).render_as_string()
        sources["database_url"] = "embedded"
    values["database_url"] = _sqlalchemy_url(values["database_url"])
    if not values["redis_url"]:
        values["redis_url"] = f"unix://{embedded_socket(instance_path)}?db=0"
        sources["redis_url"] = "embedded"
    for key in ("secret_key", "jwt_secret_key"):
        if not values[key]:
            values[key] = secrets.token_hex(32) if env == "testing" else _kept_secret(instance_path / key)
            sources[key] = "generated" if env == "testing" else f"instance/{key}, generated"
    values["log_level"] = values["log_level"].upper()
    values["public_url"] = values["public_url"].rstrip("/")


def _sqlalchemy_url(url: str) -> str:
    # Heroku and others still hand out postgres://, which SQLAlchemy dropped.
    for scheme in ("postgres://", "postgresql://"):
        if url.startswith(scheme):
            return "postgresql+psycopg://" + url.removeprefix(scheme)
    return url


def embedded_socket(instance_path: Path) -> Path:
    """Return where the embedded server of this instance folder listens.

    A unix socket's path is limited to about 100 bytes (sun_path is 104 on
    macOS), so an instance folder deep in the tree gets a short one elsewhere.
    """
    socket = instance_path / "valkey.sock"
    if len(os.fsencode(socket)) <= 100:
        return socket
    digest = hashlib.sha256(os.fsencode(instance_path)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"tasklane-{os.getuid()}-{digest}" / "valkey.sock"


def _kept_secret(path: Path) -> str:
    """Return the secret in `path`, made at first use so that tokens survive a restart."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            # Written whole beside it, then linked: two processes that start
            # together agree on one secret, and neither reads half of one.
            draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_hex(32))
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(draft, path)
            draft.unlink()
        kept = path.read_text().strip()
    except OSError as error:
        raise ConfigError(f"The instance folder {path.parent} is not usable: {error.strerror}.") from None
    if len(kept) < MIN_SECRET_BYTES:
        raise ConfigError(f"{path} is damaged. Delete it to get a new secret; everybody has to log in again then.")
    return kept


def _build(cls: type, values: Mapping[str, Any], prefix: str, **computed: Any) -> Any:
    hints = get_type_hints(cls)
    arguments = dict(computed)
    for item in fields(cls):
        if item.name in arguments:
            continue
        kind = hints[item.name]
        name = prefix + item.name
        arguments[item.name] = _build(kind, values, f"{name}.") if is_dataclass(kind) else values[name]  # type: ignore[arg-type]
    return cls(**arguments)
