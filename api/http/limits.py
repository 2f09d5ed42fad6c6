"""Rate limits, by Flask-Limiter, kept in Redis and in memory while Redis is away.

Attempts to log in are counted in a moving window, which is exact; everything
else in a sliding one, which costs a hundred bytes a caller whatever the limit.
Who calls is known only when the credentials have been verified, so requests are
counted after that; a made-up token gives nobody a bucket of their own.
"""

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, Response, g, request
from flask_limiter import HeaderNames, Limiter, RateLimitExceeded
from flask_limiter.util import get_remote_address
from limits import RateLimitItem, WindowStats
from limits.storage import MemoryStorage
from limits.strategies import STRATEGIES, RateLimiter
from redis.exceptions import RedisError

from api.http import errors, json
from api.http.basic import presented_credentials
from api.http.cors import is_preflight
from api.http.headers import WINDOW_ENDS
from core import redis, texts
from core.access import Actor
from core.bootstrap import current_settings
from core.errors import DomainError
from core.settings import Settings

# Seconds that one question to a Redis which hangs may take. A log-in is counted twice, so it may ask twice.
PATIENCE = 0.1
# Seconds until somebody finds out whether a Redis that was away is still away.
PAUSE = 2.0

log = logging.getLogger("tasklane.limits")

Value = TypeVar("Value")


def caller_key() -> str:
    """Return whose bucket this request is counted in: the verified API key's, user's, or the address's."""
    actor: Actor | None = g.get("limited_actor")
    if actor is None:
        return f"address {get_remote_address()}"
    return f"user {actor.user_id}" if actor.key_id is None else f"key {actor.key_id}"


class Enduring(RateLimiter):
    """Counts in one place, and while that is away in another.

    Flask-Limiter has a fallback of its own, which only the first thread to notice
    takes: the requests of the others, on their way to Redis at that moment, fail,
    and those whose headers are written then fail although their work is done.
    """

    def __init__(self, first: RateLimiter, second: RateLimiter) -> None:
        self.storage = first.storage
        self._first = first
        self._second = second
        self._absence = redis.Absence(PAUSE)

    def hit(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> bool:
        return self._ask(lambda limiter: limiter.hit(item, *identifiers, cost=cost))

    def test(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> bool:
        return self._ask(lambda limiter: limiter.test(item, *identifiers, cost=cost))

    def get_window_stats(self, item: RateLimitItem, *identifiers: str) -> WindowStats:
        return self._ask(lambda limiter: limiter.get_window_stats(item, *identifiers))

    def _ask(self, question: Callable[[RateLimiter], Value]) -> Value:
        if self._absence.may_try():
            try:
                answer = question(self._first)
            except (RedisError, OSError) as error:
                if self._absence.note_failure():
                    log.warning("Redis does not answer (%s); requests are counted here.", type(error).__name__)
            else:
                self._absence.note_answer()
                return answer
        return question(self._second)


# The application is bound later, so importing this has no effect.
_options: dict[str, Any] = {"headers_enabled": True, "header_name_mapping": {HeaderNames.RETRY_AFTER: WINDOW_ENDS}}
limiter = Limiter(key_func=caller_key, strategy="sliding-window-counter", **_options)
credentials_limiter = Limiter(key_func=get_remote_address, strategy="moving-window", **_options)


def init_limits(app: Flask, settings: Settings) -> None:
    """Bind the limiters."""
    app.config.update(
        RATELIMIT_ENABLED=settings.ratelimit_enabled,
        RATELIMIT_STORAGE_URI=_storage_url(settings.redis_url),
        RATELIMIT_STORAGE_OPTIONS=_storage_options(settings),
        RATELIMIT_KEY_PREFIX="tasklane",
        # A path that does not exist is counted as well.
        RATELIMIT_REQUEST_IDENTIFIER=lambda: request.endpoint or "nowhere",
    )
    for each in (limiter, credentials_limiter):
        each.enabled = settings.ratelimit_enabled
        each.init_app(app)
        if each.enabled:
            # There is no public way to say how to count.
            each._limiter = Enduring(each.limiter, STRATEGIES[str(each._strategy)](MemoryStorage()))
    # Runs before the limiters write their headers, because it is registered after them.
    app.after_request(_count_the_rest)


def _storage_options(settings: Settings) -> dict[str, Any]:
    return {"socket_timeout": PATIENCE, "socket_connect_timeout": PATIENCE, **redis.tls_options(settings)}


def _storage_url(url: str) -> str:
    return "redis+" + url if url.startswith("unix://") else url


# --- every request ------------------------------------------------------------------


def request_limit() -> str:
    """Return how often this caller may ask: what the settings say of the key, else of the role, else of addresses."""
    limits = current_settings().limits
    actor: Actor | None = g.get("limited_actor")
    if actor is None:
        return limits.address
    if actor.key_id is not None:
        return limits.of_key(actor.key_id)
    return limits.admin if actor.is_admin else limits.user


def _is_conditional() -> bool:
    return "If-None-Match" in request.headers


def _is_changed(response: Response) -> bool:
    """Return whether the answer was worth counting: to hear that nothing has changed is free."""
    return response.status_code != 304


@limiter.shared_limit(request_limit, scope="requests", exempt_when=_is_conditional)
@limiter.shared_limit(
    request_limit, scope="requests", exempt_when=lambda: not _is_conditional(), deduct_when=_is_changed
)
def _count() -> None:
    """Count this request, or raise RateLimitExceeded."""


def count_request(actor: Actor | None) -> None:
    """Count this request for the verified caller, or for its address. Raises RateLimitExceeded."""
    g.limited_actor = actor
    g.is_counted = True
    _count()


def _count_the_rest(response: Response) -> Response:
    """Count what was answered before anybody was verified, such as an unknown path.

    What a limit has refused already counts nowhere, and tells of that limit alone.
    """
    is_ours = request.path.startswith("/api/v1") and not is_preflight()
    if g.get("is_counted") or response.status_code == 429 or not is_ours:
        return response
    try:
        count_request(None)
    except RateLimitExceeded as error:
        return errors.respond(error)
    return response


# --- passwords ----------------------------------------------------------------------


def limits_logins(view: Callable[..., Any]) -> Callable[..., Any]:
    """Count the POSTs to a view as attempts to log in, together with those to all other such views.

    One address may try one username only so often, and all usernames together
    somewhat more often. The first limit is the one that headers tell of.
    """
    shared = credentials_limiter.shared_limit
    for limit, scope, key in ((login_limit, "login", login_key), (address_limit, "logins", get_remote_address)):
        view = shared(limit, scope=scope, key_func=key, methods=["POST"])(view)
    return view


def login_limit() -> str:
    """Return how often one client may try one username."""
    return current_settings().auth.login_limit


def address_limit() -> str:
    """Return how often one client may try to log in."""
    return current_settings().auth.address_limit


def password_limit() -> str:
    """Return how often somebody may tell their old password."""
    return current_settings().auth.password_limit


@credentials_limiter.shared_limit(password_limit, scope="password", key_func=caller_key)
def _count_password() -> None:
    """Count this attempt to tell a password, or raise RateLimitExceeded."""


def count_password(actor: Actor | None) -> None:
    """Count an attempt of a verified caller to tell their password. Raises RateLimitExceeded."""
    g.limited_actor = actor
    g.is_counted = True
    _count_password()


def uncounted(actor: Actor | None) -> None:
    """Count nothing: probes of platforms must never be refused."""
    g.is_counted = True


def count_unless_login(actor: Actor | None) -> None:
    """Count this request, unless it is an attempt to log in, which was counted before anybody was verified."""
    if request.method == "POST":
        g.is_counted = True
    else:
        count_request(actor)


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
