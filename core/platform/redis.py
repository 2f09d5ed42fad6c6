"""Connections to the Redis-protocol server."""

import threading
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from core.platform import clock
from core.platform.config.settings import Settings

# A request must never wait for a server that is gone; redis-py's defaults
# would retry ten times and block for up to a minute.
SHORT_TIMEOUT = 0.5

# Says that a scheduler runs, for as long as it exists.
SCHEDULER_KEY = "tasklane:scheduler"
# What readiness writes, to see whether anything can be written.
PROBE_KEY = "tasklane:probe"


def connect(settings: Settings, *, url: str = "", timeout: float = SHORT_TIMEOUT) -> "Redis":
    """Return a client that gives up after `timeout` seconds and never retries. Opens nothing yet.

    It is for the server of the queue, unless another `url` is given.
    """
    return Redis.from_url(
        url or settings.redis_url,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
        **tls_options(settings),
    )


def connect_blocking(settings: Settings) -> "Redis":
    """Return a client for a worker, which waits for jobs as long as it takes."""
    return Redis.from_url(settings.redis_url, socket_connect_timeout=SHORT_TIMEOUT, **tls_options(settings))


def tls_options(settings: Settings) -> dict[str, Any]:
    """Return a client's options for the server's certificate; none means that it is verified.

    Platforms such as Heroku encrypt with certificates that no authority has signed.
    """
    if settings.redis_verify_certificate or not settings.redis_url.startswith("rediss://"):
        return {}
    return {"ssl_cert_reqs": "none", "ssl_check_hostname": False}


class Absence:
    """Remembers that a server is away, so that only one request after each pause finds out whether it still is."""

    def __init__(self, pause: float) -> None:
        self._pause = pause
        self._lock = threading.Lock()
        self._is_away = False
        self._next_try = 0.0

    def may_try(self) -> bool:
        """Return whether to ask the server. Who may has to report how it went."""
        if not self._is_away:
            return True
        with self._lock:
            if clock.monotonic() < self._next_try:
                return False
            self._next_try = clock.monotonic() + self._pause
            return True

    def note_answer(self) -> None:
        self._is_away = False

    def note_failure(self) -> bool:
        """Leave the server alone for a while; return whether that is news."""
        with self._lock:
            is_news = not self._is_away
            self._is_away = True
            self._next_try = clock.monotonic() + self._pause
            return is_news
