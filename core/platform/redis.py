"""Connections to the Redis-protocol server."""

import threading
from collections.abc import Callable
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.client import Pipeline
from redis.exceptions import RedisError
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


# For how long a server that does not answer is not told anything.
QUIET_SECONDS = 5.0


def tell(settings: Settings, write: Callable[[Pipeline], object]) -> None:
    """Send what may be lost to the server of the queue, in one round trip, on a connection that is kept.

    A server that does not answer is not told anything for a while, so that nobody waits for it again and again.
    """
    kept = _kept.get(settings.redis_url)
    if kept is None:
        kept = _kept.setdefault(settings.redis_url, (connect(settings), Absence(QUIET_SECONDS)))
    client, absence = kept

    def send() -> None:
        with client.pipeline(transaction=False) as pipeline:
            write(pipeline)
            pipeline.execute()

    absence.tell(send)


class Absence:
    """Remembers that a server is away, so that only one request after each pause finds out whether it still is."""

    def __init__(self, pause: float) -> None:
        self._pause = pause
        self._lock = threading.Lock()
        self._is_away = False
        self._next_try = 0.0

    def tell(self, send: Callable[[], object]) -> None:
        """Send what may be lost, unless the server is away."""
        if not self.may_try():
            return
        try:
            send()
        except (RedisError, OSError):
            self.note_failure()
        else:
            self.note_answer()

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


# By URL. A client sees that it was forked, and opens connections of its own.
_kept: dict[str, tuple[Redis, Absence]] = {}
