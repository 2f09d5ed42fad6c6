"""Layered configuration: files, then `.env`, then the environment, all typed.

`core.platform.config.settings` lists every key once with its type; `config.toml` holds every
default once. A key that stands in only one of them is an error at start, so they
cannot drift apart.
"""

import contextlib
import difflib
import hashlib
import os
import secrets
import tempfile
import tomllib
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints
from urllib.parse import parse_qsl, unquote, urlsplit

from dotenv import dotenv_values
from sqlalchemy.engine import URL, make_url

from core.platform.config import foreign, rules, testing
from core.platform.config import tables as config_tables
from core.platform.config.own_secrets import kept_secret
from core.platform.config.rules import ConfigError, ConfigWarning, is_in_memory, sqlalchemy_url
from core.platform.config.settings import MADE, SECRETS, Settings
from core.platform.config.types import typed
from core.platform.text.redaction import is_secret_name

ROOT = Path(__file__).resolve().parents[3]
ENVIRONMENTS = ("development", "testing", "production")
PREFIX = "TASKLANE_"

# Names that platforms and other tools already use for some of our keys.
PLAIN_NAMES = {
    "DATABASE_URL": "database_url",
    "REDIS_URL": "redis_url",
    "CACHE_URL": "cache.url",
    "SECRET_KEY": "secret_key",
    "SECRET_KEY_PREVIOUS": "secret_key_previous",
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
# The testing environment takes these instead of their namesakes.
TEST_NAMES = {testing.variable(name): key for name, key in PLAIN_NAMES.items() if key in testing.LEADING_OUT}
# These two choose the layers themselves, so they are read before any file.
SELECTORS = ("TASKLANE_ENV", "TASKLANE_INSTANCE_PATH")

SECRET_KEYS = frozenset(
    {
        "secret_key",
        "secret_key_previous",
        "jwt_secret_key",
        "jwt_previous_secret_keys",
        "mail.password",
        "metrics.token",
    }
)
URL_KEYS = frozenset({"database_url", "redis_url", "cache.url", "sentry.dsn"})


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
    env: str, variables: Mapping[str, str], source: str, values: Mapping[str, Any]
) -> Iterator[tuple[str, str, Any]]:
    for name, key in {**PLAIN_NAMES, **(TEST_NAMES if env == "testing" else {})}.items():
        # Platforms leave variables set but empty to mean "not configured".
        if variables.get(name):
            yield key, f"{source} {name}", variables[name]
    for name, value in variables.items():
        if not name.startswith(PREFIX) or name in (*SELECTORS, *foreign.SELECTORS):
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

    env = _environment(config_name, selectors)
    written = instance_path = Path(selectors.get("TASKLANE_INSTANCE_PATH") or root / "instance").resolve()
    if env == "testing":
        written = _folder_of_tests(process_environ.get("TASKLANE_INSTANCE_PATH"))
    _tell_what_has_no_effect(env, selectors, root, instance_path)

    # A setting that the testing environment does not take over is not missing there.
    values: dict[str, Any] = dict(testing.LEADING_OUT) if env == "testing" else {}
    sources = dict.fromkeys(values, testing.NOT_SET)

    def apply(layer: Iterator[tuple[str, str, Any]]) -> None:
        for key, source, value in layer:
            if env != "testing" or testing.may_take(key, value, source):
                values[key] = typed(key, _kind_of(key), value, source, is_secret=is_secret(key))
                sources[key] = source

    apply(_file_layers(root / "config.toml", env))
    absent = [key for key in KEYS if key not in values]
    if absent:
        raise ConfigError(f"config.toml lacks {', '.join(absent)}.")
    if (instance_path / "config.toml").exists():
        apply(_file_layers(instance_path / "config.toml", env))
    apply(_environment_layer(env, dotenv, ".env", values))
    apply(_environment_layer(env, process_environ, "environment", values))
    apply((key, "override", value) for key, value in (overrides or {}).items())

    tables = config_tables.fill_in(values, sources)
    problems = [*rules.problems(env, values), *config_tables.problems(tables)]
    if problems:
        raise ConfigError(f"Tasklane cannot start in {env}: " + "; ".join(problems) + ".")
    _fill_in(env, written, instance_path, values, sources)
    return _build(Settings, values, "", env=env, instance_path=written, sources=sources, **tables)  # type: ignore[no-any-return]


def _environment(config_name: str | None, variables: Mapping[str, str]) -> str:
    """Return the environment in force. Raises ConfigError for one that there is not, or that is meant otherwise."""
    env = config_name or variables.get("TASKLANE_ENV") or "development"
    if env not in ENVIRONMENTS:
        raise ConfigError(f"TASKLANE_ENV is {env!r}; it must be one of {', '.join(ENVIRONMENTS)}.")
    # Tests that name their environment themselves cannot do harm to another.
    if env != "production" and config_name != "testing" and (meant := foreign.production_by_another_name(variables)):
        raise ConfigError(f"{meant} has no effect here, and this would start in {env}: set TASKLANE_ENV=production.")
    return env


def _tell_what_has_no_effect(env: str, variables: Mapping[str, str], root: Path, instance_path: Path) -> None:
    known = frozenset((*PLAIN_NAMES, *TEST_NAMES, *SELECTORS))
    if found := list(foreign.remarks(env, variables, known, root, instance_path)):
        warnings.warn(f"Without effect in Tasklane: {', '.join(found)}.", ConfigWarning, stacklevel=3)


def _folder_of_tests(named: str | None) -> Path:
    try:
        return testing.folder(named)
    except OSError as error:
        raise ConfigError(f"The instance folder {named} is not usable: {error.strerror}.") from None


def secret_values(settings: "Settings") -> set[str]:
    """Return every secret in the settings, also those within URLs, to keep them out of logs."""
    found: set[str] = {*settings.secret_keys, settings.jwt_secret_key, *settings.jwt_previous_secret_keys}
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


def _fill_in(env: str, instance_path: Path, named_path: Path, values: dict[str, Any], sources: dict[str, str]) -> None:
    """Compute what the embedded defaults leave open, and spell URLs as SQLAlchemy wants them.

    `named_path` is from where files of SQLite are named; tests write to another `instance_path`.
    """
    if not values["database_url"] or _is_asked_for_memory(env, values, sources):
        path = str(instance_path / "tasklane.db")
        values["database_url"] = URL.create("sqlite", database=path).render_as_string()
        sources["database_url"] = testing.TEMPORARY if env == "testing" else "embedded"
    values["database_url"] = _absolute(sqlalchemy_url(values["database_url"]), named_path)
    if not values["redis_url"]:
        values["redis_url"] = f"unix://{embedded_socket(instance_path)}?db=0"
        sources["redis_url"] = "embedded"
    for key in SECRETS:
        if not values[key]:
            values[key] = secrets.token_hex(32) if env == "testing" else kept_secret(instance_path / key)
            sources[key] = "generated" if env == "testing" else MADE.format(key)
    values["log_level"] = values["log_level"].upper()
    values["public_url"] = values["public_url"].rstrip("/")


def _is_asked_for_memory(env: str, values: Mapping[str, Any], sources: Mapping[str, str]) -> bool:
    """Return whether TEST_DATABASE_URL asks for a database in memory, which only one connection could use."""
    url = make_url(sqlalchemy_url(values["database_url"]))
    is_asked = env == "testing" and sources["database_url"] != "override"
    return is_asked and url.get_backend_name() == "sqlite" and is_in_memory(url)


def _absolute(database_url: str, instance_path: Path) -> str:
    """Return the URL with the whole path of a file of SQLite, which is named from the instance folder on.

    So a command finds the same file from wherever it is run.
    """
    url = make_url(database_url)
    name = url.database or ""
    if url.get_backend_name() != "sqlite" or is_in_memory(url) or name.startswith("file:") or Path(name).is_absolute():
        return database_url
    return url.set(database=str(instance_path / name)).render_as_string()


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
