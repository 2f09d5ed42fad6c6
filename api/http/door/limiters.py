"""Limiters, by Flask-Limiter: they count in Redis, and in memory while Redis is away.

Attempts to log in are counted in a moving window, which is exact; everything
else in a sliding one, which costs a hundred bytes a caller whatever the limit.
"""

from typing import Any

from flask import Flask, g, request
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from limits.storage import MemoryStorage

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


# The application is bound later, so importing this has no effect.
limiter = Limiter(key_func=caller_key, strategy="sliding-window-counter")
credentials_limiter = Limiter(key_func=get_remote_address, strategy="moving-window")


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
    for each, window in ((limiter, SlidingWindow), (credentials_limiter, MovingWindow)):
        each.enabled = settings.ratelimit_enabled
        each.init_app(app)
        if each.enabled:
            # There is no public way to say how to count.
            each._limiter = Enduring(window(each.limiter.storage), window(MemoryStorage()))


def _storage_options(settings: Settings) -> dict[str, Any]:
    return {"socket_timeout": PATIENCE, "socket_connect_timeout": PATIENCE, **redis.tls_options(settings)}


def _storage_url(url: str) -> str:
    return "redis+" + url if url.startswith("unix://") else url
