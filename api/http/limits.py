"""Rate limits, by Flask-Limiter, kept in Redis and in memory while Redis is away."""

from collections.abc import Callable
from typing import Any

from flask import Flask, request
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address

from api.http import json
from api.http.basic import presented_credentials
from core import redis, texts
from core.bootstrap import current_settings
from core.config import Settings
from core.errors import DomainError

# The application is bound later, so importing this has no effect.
limiter = Limiter(key_func=get_remote_address)


def init_limits(app: Flask, settings: Settings) -> None:
    """Bind the limiter; a Redis that hangs may cost a request a fifth of a second, not more."""
    is_memory = settings.env == "testing"
    app.config.update(
        RATELIMIT_ENABLED=settings.ratelimit_enabled,
        RATELIMIT_HEADERS_ENABLED=True,
        RATELIMIT_STRATEGY="moving-window",
        RATELIMIT_STORAGE_URI="memory://" if is_memory else _storage_url(settings.redis_url),
        RATELIMIT_STORAGE_OPTIONS={} if is_memory else _storage_options(settings),
        RATELIMIT_IN_MEMORY_FALLBACK_ENABLED=not is_memory,
        RATELIMIT_KEY_PREFIX="tasklane",
    )
    limiter.init_app(app)


def _storage_options(settings: Settings) -> dict[str, Any]:
    return {"socket_timeout": 0.2, "socket_connect_timeout": 0.2, **redis.tls_options(settings)}


def _storage_url(url: str) -> str:
    return "redis+" + url if url.startswith("unix://") else url


def limits_logins(view: Callable[..., Any]) -> Callable[..., Any]:
    """Count the POSTs to a view as attempts to log in, together with those to all other such views."""
    limit = limiter.shared_limit(login_limit, scope="login", key_func=login_key, methods=["POST"])
    limited: Callable[..., Any] = limit(view)
    return limited


def login_limit() -> str:
    """Return how often one client may try one username."""
    return current_settings().auth.login_limit


def login_key() -> str:
    """Return client address and username, so that a stranger cannot lock a colleague out."""
    basic = presented_credentials()
    username: object = basic["username"] if basic else request.form.get("username")
    if basic is None and request.mimetype == "application/json":
        try:
            body = json.parse(request.get_data())
        except DomainError:
            body = None
        username = body.get("username") if isinstance(body, dict) else None
    # The same spelling that finds the account, so that spaces or capitals give no further tries.
    return f"{get_remote_address()} {texts.login_name(str(username or '')[:400])[:120]}"
