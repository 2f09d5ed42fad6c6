"""Every setting with its type. Values, and what they mean, are in config.toml; `load` brings both together.

None of these classes shows what is in it: some of that is secret.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from core.platform.config import rules, urls
from core.platform.config.declaration import Setting, between
from core.platform.config.upstreams import UpstreamSettings

# Secrets for signing and hashing; Tasklane makes those that are not configured.
SECRETS = ("secret_key", "jwt_secret_key")
# The source of one that it has made and keeps in the instance folder.
MADE = "instance/{}, generated"

# A century, in days and in seconds; beyond it moments can no longer be computed.
_DAYS = 36_600
_SECONDS = _DAYS * 24 * 3600
# A moment that is short, but not none.
_INSTANT = 0.001


@dataclass(frozen=True, slots=True, repr=False)
class AuthSettings:
    access_token_minutes: Annotated[int, Setting(between(1, _DAYS * 24 * 60))]
    refresh_token_days: Annotated[int, Setting(between(1, _DAYS))]
    browser_session_hours: Annotated[int, Setting(between(1, _DAYS * 24))]
    login_limit: Annotated[str, Setting(rules.LIMIT)]
    address_limit: Annotated[str, Setting(rules.LIMIT)]
    password_limit: Annotated[str, Setting(rules.LIMIT)]
    reset_limit: Annotated[str, Setting(rules.LIMIT)]


@dataclass(frozen=True, slots=True, repr=False)
class LimitSettings:
    """Rate limits, each for one group of callers, such as `600 per minute; 10000 per hour`."""

    user: Annotated[str, Setting(rules.LIMIT)]
    admin: Annotated[str, Setting(rules.LIMIT)]
    api_key: Annotated[str, Setting(rules.LIMIT)]
    api_keys: Annotated[list[str], Setting(rules.KEY_LIMITS)]
    address: Annotated[str, Setting(rules.LIMIT)]

    def of_key(self, key_id: int) -> str:
        """Return the limit of one API key."""
        own = dict(rules.split_key_limit(line) for line in self.api_keys)
        return own.get(key_id, self.api_key)


@dataclass(frozen=True, slots=True, repr=False)
class CacheSettings:
    backend: Annotated[str, Setting(rules.either("memory", "redis"))]
    url: Annotated[str, Setting(variable="CACHE_URL", is_url=True, leads_out=True)]


@dataclass(frozen=True, slots=True, repr=False)
class LogSettings:
    """Places of the log beside standard output."""

    file: str
    max_bytes: Annotated[int, Setting(between(0, _SECONDS))]
    backups: Annotated[int, Setting(between(0, _SECONDS))]


@dataclass(frozen=True, slots=True, repr=False)
class MetricsSettings:
    """Access to /metrics: whether it exists, and who may read it."""

    enabled: bool
    token: Annotated[str, Setting(is_secret=True)]
    addresses: Annotated[list[str], Setting(rules.NETWORKS)]


@dataclass(frozen=True, slots=True, repr=False)
class SentrySettings:
    """Sentry project that unexpected errors are reported to."""

    dsn: Annotated[str, Setting(urls.SENTRY_DSN, variable="SENTRY_DSN", is_url=True, leads_out=True)]


@dataclass(frozen=True, slots=True, repr=False)
class PagingSettings:
    cursor_max_age_days: Annotated[int, Setting(between(1, _DAYS))]


@dataclass(frozen=True, slots=True, repr=False)
class ProcessingSettings:
    steps: Annotated[int, Setting(between(1, _SECONDS))]
    step_seconds: Annotated[float, Setting(between(0, _SECONDS))]


@dataclass(frozen=True, slots=True, repr=False)
class JobSettings:
    poll_seconds: Annotated[float, Setting(between(_INSTANT, _SECONDS))]
    lease_seconds: Annotated[float, Setting(between(_INSTANT, _SECONDS))]
    shutdown_grace_seconds: Annotated[float, Setting(between(0, _SECONDS))]
    result_days: Annotated[int, Setting(between(1, _DAYS))]
    history_days: Annotated[int, Setting(between(1, _DAYS))]


@dataclass(frozen=True, slots=True, repr=False)
class TaskSettings:
    trash_days: Annotated[int, Setting(between(1, _DAYS))]


@dataclass(frozen=True, slots=True, repr=False)
class MailSettings:
    server: Annotated[str, Setting(variable="MAIL_SERVER", leads_out=True)]
    port: Annotated[int, Setting(between(1, 65535), variable="MAIL_PORT")]
    username: Annotated[str, Setting(variable="MAIL_USERNAME", leads_out=True)]
    password: Annotated[str, Setting(variable="MAIL_PASSWORD", is_secret=True, leads_out=True)]
    use_tls: Annotated[bool, Setting(variable="MAIL_USE_TLS")]
    use_ssl: Annotated[bool, Setting(variable="MAIL_USE_SSL")]
    sender: Annotated[str, Setting(rules.SENDER, variable="MAIL_SENDER")]
    timeout_seconds: Annotated[float, Setting(between(_INSTANT, _SECONDS))]
    # The time limit of an e-mail job (core/jobs/kinds.py) leaves room for this.
    reply_seconds: Annotated[float, Setting(between(_INSTANT, 300))]
    reminder_hour: Annotated[int, Setting(between(0, 23))]
    reset_url: Annotated[str, Setting(urls.RESET_URL)]

    def reset_link(self, token: str) -> str | None:
        """Return the page of a front end that takes this token, if there is one."""
        return self.reset_url.replace("{token}", token) or None


@dataclass(frozen=True, slots=True, repr=False)
class Settings:
    """The effective configuration. `sources` says where each key came from."""

    env: str
    instance_path: Path
    database_url: Annotated[str, Setting(variable="DATABASE_URL", is_url=True, leads_out=True)]
    redis_url: Annotated[str, Setting(variable="REDIS_URL", is_url=True, leads_out=True)]
    redis_verify_certificate: bool
    secret_key: Annotated[str, Setting(variable="SECRET_KEY", is_secret=True)]
    secret_key_previous: Annotated[list[str], Setting(variable="SECRET_KEY_PREVIOUS", is_secret=True)]
    jwt_secret_key: Annotated[str, Setting(variable="JWT_SECRET_KEY", is_secret=True)]
    jwt_previous_secret_keys: Annotated[list[str], Setting(variable="JWT_PREVIOUS_SECRET_KEYS", is_secret=True)]
    host: str
    port: Annotated[int, Setting(between(0, 65535), variable="PORT")]
    public_url: Annotated[str, Setting(urls.PUBLIC_URL)]
    log_level: Annotated[str, Setting(rules.LOG_LEVEL, variable="LOG_LEVEL")]
    log_format: Annotated[str, Setting(rules.either("text", "json"))]
    cors_origins: Annotated[list[str], Setting(rules.ORIGINS, variable="CORS_ORIGINS")]
    cors_credentials: bool
    trusted_hosts: Annotated[list[str], Setting(rules.HOSTS, variable="TRUSTED_HOSTS")]
    # Whoever is further in front has written what it says of itself.
    trusted_proxies: Annotated[int, Setting(between(0, 10))]
    https_redirect: bool
    hsts_seconds: Annotated[int, Setting(between(0, _SECONDS))]
    processes: Annotated[int, Setting(between(0, 64), variable="WEB_CONCURRENCY")]
    # Each has a stack and connections of its own; `serve --threads` ends here as well.
    threads: Annotated[int, Setting(between(1, 64))]
    pin_processes: bool
    drain_seconds: Annotated[float, Setting(between(0, _SECONDS))]
    ratelimit_enabled: bool
    registration_open: bool
    require_if_match: bool
    security_event_days: Annotated[int, Setting(between(1, _DAYS))]
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
    sources: Mapping[str, str]

    @property
    def secret_keys(self) -> tuple[str, ...]:
        """Return what signs and hashes: the first is used, what the others have made still holds."""
        return (self.secret_key, *self.secret_key_previous)

    def has_made(self, secret: str) -> bool:
        """Return whether Tasklane made this secret itself, and keeps it in the instance folder."""
        return self.sources[secret] == MADE.format(secret)
