"""Keys of the configuration: their types, and the variables that set them."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

from core.platform.config import testing, upstream_keys
from core.platform.config.settings import Settings

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
_COMPUTED = frozenset({"env", "instance_path", "sources", upstream_keys.TABLE})


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


def kind_of(key: str) -> Any:
    """Return the type of a key, or None if there is no such key."""
    return KEYS.get(key) or upstream_keys.kind_of(key)


def is_secret(key: str) -> bool:
    """Return whether the value of a key must never be shown."""
    return key in SECRET_KEYS or upstream_keys.is_marked(key, "secret")


def is_url(key: str) -> bool:
    """Return whether the value of a key may contain credentials before its host."""
    return key in URL_KEYS or upstream_keys.is_marked(key, "url")
