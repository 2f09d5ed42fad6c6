"""Limiters, by Flask-Limiter: they count in Redis, and in memory while Redis is away.

Attempts to log in are counted in a moving window, which is exact; everything
else in a sliding one, which costs a hundred bytes a caller whatever the limit.
"""

from collections.abc import Callable
from typing import Any

from flask import Flask, g, request
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from limits.storage import MemoryStorage
from limits.strategies import RateLimiter

from api.http.door.windows import Enduring, MovingWindow, SlidingWindow
from core.platform import redis
from core.platform.access import Actor
from core.platform.config.settings import Settings

# Seconds that one question to a Redis which hangs may take. A log-in is counted twice, so it may ask twice.
PATIENCE = 0.1
PREFIX = "tasklane"


def caller_key() -> str:
    """Return whose bucket this request is counted in: the verified API key's, user's, or the address's."""
    actor: Actor | None = g.get("limited_actor")
    if actor is None:
        return f"address {get_remote_address()}"
    return f"user {actor.user_id}" if actor.key_id is None else f"key {actor.key_id}"


class WindowLimiter(Limiter):
    """A limiter that counts in a window of ours, of which the library has no notion."""

    def __init__(self, window: type[RateLimiter], *, key_func: Callable[[], str]) -> None:
        super().__init__(key_func=key_func)
        self._window = window
        self._counter: RateLimiter | None = None

    def init_app(self, app: Flask) -> None:
        """Count for this application, in its storage and in memory."""
        super().init_app(app)
        if self.enabled:
            self._counter = Enduring(self._window(self.storage), self._window(MemoryStorage()))

    @property
    def limiter(self) -> RateLimiter:
        """The strategy by which the library counts."""
        return self._counter or super().limiter


# The application is bound later, so importing this has no effect.
limiter = WindowLimiter(SlidingWindow, key_func=caller_key)
credentials_limiter = WindowLimiter(MovingWindow, key_func=get_remote_address)


def bind_limiters(app: Flask, settings: Settings) -> None:
    """Let the limiters count for this application."""
    app.config.update(
        RATELIMIT_ENABLED=settings.ratelimit_enabled,
        RATELIMIT_STORAGE_URI=_storage_url(settings.redis_url),
        RATELIMIT_STORAGE_OPTIONS=_storage_options(settings),
        RATELIMIT_KEY_PREFIX=PREFIX,
        # A path that does not exist is counted as well.
        RATELIMIT_REQUEST_IDENTIFIER=lambda: request.endpoint or "nowhere",
    )
    for each in (limiter, credentials_limiter):
        each.enabled = settings.ratelimit_enabled
        each.init_app(app)


def _storage_options(settings: Settings) -> dict[str, Any]:
    return {"socket_timeout": PATIENCE, "socket_connect_timeout": PATIENCE, **redis.tls_options(settings)}


def _storage_url(url: str) -> str:
    return "redis+" + url if url.startswith("unix://") else url
