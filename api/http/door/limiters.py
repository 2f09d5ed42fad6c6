"""Limiters: they count in Redis, and in memory while Redis is away.

Attempts to log in are counted by Flask-Limiter in a moving window, which is exact; everything
else by `counting.py` in a sliding one, which costs a hundred bytes a caller whatever the limit,
and one round trip a request.
"""

from collections.abc import Callable
from typing import Any

from flask import Flask, current_app, g, request
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from limits.storage import MemoryStorage
from limits.strategies import RateLimiter

from api.http.door.counting import RequestCounter
from api.http.door.windows import Enduring, MovingWindow
from core.platform import redis
from core.platform.access import Actor
from core.platform.config.settings import Settings

# Seconds that one question to a Redis which hangs may take. A log-in is counted twice, so it may ask twice.
PATIENCE = 0.1
PREFIX = "tasklane"
_COUNTER = "tasklane.request_counter"


def caller_key() -> str:
    """Return whose bucket this request is counted in: the verified API key's, user's, or the address's."""
    return key_of(g.get("limited_actor"), get_remote_address())


def key_of(actor: Actor | None, address: str) -> str:
    """Return whose bucket the requests of a caller, or of an address, are counted in."""
    if actor is None:
        return f"address {address}"
    return f"user {actor.user_id}" if actor.key_id is None else f"key {actor.key_id}"


class WindowLimiter(Limiter):
    """A limiter that counts in a window of ours, of which the library has no notion."""

    def __init__(self, window: type[RateLimiter], *, key_func: Callable[[], str]) -> None:
        super().__init__(key_func=key_func)
        self._window = window
        self._counter: RateLimiter | None = None

    def init_app(self, app: Flask) -> None:
        """Count for this application, in its storage and in memory."""
        # The library looks at every request before and after it unless it has done so already. Its limits
        # stand at single views here, which ask for themselves.
        app.extensions.setdefault("limiter", set()).add(self)
        super().init_app(app)
        if self.enabled:
            self._counter = Enduring(self._window(self.storage), self._window(MemoryStorage()))

    @property
    def limiter(self) -> RateLimiter:
        """The strategy by which the library counts."""
        return self._counter or super().limiter


# The application is bound later, so importing this has no effect.
credentials_limiter = WindowLimiter(MovingWindow, key_func=get_remote_address)


def request_counter() -> RequestCounter:
    """Return what counts all requests of the application in whose context this runs."""
    return counter_of(current_app)


def counter_of(app: Flask) -> RequestCounter:
    """Return what counts all requests of this application."""
    counter: RequestCounter = app.extensions[_COUNTER]
    return counter


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
    credentials_limiter.enabled = settings.ratelimit_enabled
    credentials_limiter.init_app(app)
    client = redis.connect(settings, timeout=PATIENCE) if settings.redis_url else None
    app.extensions[_COUNTER] = RequestCounter(client, prefix=PREFIX, is_enabled=settings.ratelimit_enabled)


def _storage_options(settings: Settings) -> dict[str, Any]:
    return {"socket_timeout": PATIENCE, "socket_connect_timeout": PATIENCE, **redis.tls_options(settings)}


def _storage_url(url: str) -> str:
    return "redis+" + url if url.startswith("unix://") else url
