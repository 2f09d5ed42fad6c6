"""Every setting with its type. Values, and what they mean, are in config.toml; `load` brings both together."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from core.platform.config.rules import split_key_limit
from core.platform.config.upstreams import UpstreamSettings

# Secrets for signing and hashing; Tasklane makes those that are not configured.
SECRETS = ("secret_key", "jwt_secret_key")
# The source of one that it has made and keeps in the instance folder.
MADE = "instance/{}, generated"


@dataclass(frozen=True, slots=True)
class AuthSettings:
    access_token_minutes: int
    refresh_token_days: int
    browser_session_hours: int
    login_limit: str
    address_limit: str
    password_limit: str
    reset_limit: str


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """Rate limits, each for one group of callers, such as `600 per minute; 10000 per hour`."""

    user: str
    admin: str
    api_key: str
    api_keys: list[str]
    address: str

    def of_key(self, key_id: int) -> str:
        """Return the limit of one API key."""
        own = dict(split_key_limit(line) for line in self.api_keys)
        return own.get(key_id, self.api_key)


@dataclass(frozen=True, slots=True)
class CacheSettings:
    backend: str
    url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class LogSettings:
    """Places of the log beside standard output."""

    file: str
    max_bytes: int
    backups: int


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """Access to /metrics: whether it exists, and who may read it."""

    enabled: bool
    token: str = field(repr=False)
    addresses: list[str]


@dataclass(frozen=True, slots=True)
class SentrySettings:
    """Sentry project that unexpected errors are reported to."""

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
    reset_url: str

    def reset_link(self, token: str) -> str | None:
        """Return the page of a front end that takes this token, if there is one."""
        return self.reset_url.replace("{token}", token) or None


@dataclass(frozen=True, slots=True)
class Settings:
    """The effective configuration. `sources` says where each key came from."""

    env: str
    instance_path: Path
    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    redis_verify_certificate: bool
    secret_key: str = field(repr=False)
    secret_key_previous: list[str] = field(repr=False)
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

    @property
    def secret_keys(self) -> tuple[str, ...]:
        """Return what signs and hashes: the first is used, what the others have made still holds."""
        return (self.secret_key, *self.secret_key_previous)

    def has_made(self, secret: str) -> bool:
        """Return whether Tasklane made this secret itself, and keeps it in the instance folder."""
        return self.sources[secret] == MADE.format(secret)
