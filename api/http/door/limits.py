"""Rate limits, by Flask-Limiter, kept in Redis and in memory while Redis is away.

Attempts to log in are counted in a moving window, which is exact; everything
else in a sliding one, which costs a hundred bytes a caller whatever the limit.
Who calls is known only when the credentials have been verified, so requests are
counted after that; a made-up token gives nobody a bucket of their own.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

from flask import Flask, Response, g, request
from flask_limiter import Limiter, RateLimitExceeded
from flask_limiter.util import get_remote_address
from limits import RateLimitItem, WindowStats, parse_many
from limits.storage import MemoryStorage

from api.http.answers import errors
from api.http.door.basic import presented_credentials
from api.http.door.cors import is_preflight
from api.http.door.windows import STRATEGIES, Enduring, whole_seconds_until
from api.http.input import continuation, json
from api.http.input.forms import limit_size
from api.http.input.media import URLENCODED
from core.bootstrap import current_settings
from core.platform import redis
from core.platform.access import Actor
from core.platform.config.settings import Settings
from core.platform.errors import DomainError
from core.platform.text import checks

# Seconds that one question to a Redis which hangs may take. A log-in is counted twice, so it may ask twice.
PATIENCE = 0.1


def caller_key() -> str:
    """Return whose bucket this request is counted in: the verified API key's, user's, or the address's."""
    actor: Actor | None = g.get("limited_actor")
    if actor is None:
        return f"address {get_remote_address()}"
    return f"user {actor.user_id}" if actor.key_id is None else f"key {actor.key_id}"


PREFIX = "tasklane"

# The application is bound later, so importing this has no effect.
limiter = Limiter(key_func=caller_key, strategy="sliding-window-counter")
credentials_limiter = Limiter(key_func=get_remote_address, strategy="moving-window")


def init_limits(app: Flask, settings: Settings) -> None:
    """Bind the limiters."""
    app.config.update(
        RATELIMIT_ENABLED=settings.ratelimit_enabled,
        RATELIMIT_STORAGE_URI=_storage_url(settings.redis_url),
        RATELIMIT_STORAGE_OPTIONS=_storage_options(settings),
        RATELIMIT_KEY_PREFIX=PREFIX,
        # A path that does not exist is counted as well.
        RATELIMIT_REQUEST_IDENTIFIER=lambda: request.endpoint or "nowhere",
    )
    # Runs after the limiters, because it is registered before them: they count some answers only at the end.
    app.after_request(_tell)
    for each in (limiter, credentials_limiter):
        each.enabled = settings.ratelimit_enabled
        each.init_app(app)
        if each.enabled:
            strategy = STRATEGIES[str(each._strategy)]
            # There is no public way to say how to count.
            each._limiter = Enduring(strategy(each.limiter.storage), strategy(MemoryStorage()))
    # Runs before the limiters, because it is registered after them.
    app.after_request(_count_the_rest)


def _storage_options(settings: Settings) -> dict[str, Any]:
    return {"socket_timeout": PATIENCE, "socket_connect_timeout": PATIENCE, **redis.tls_options(settings)}


def _storage_url(url: str) -> str:
    return "redis+" + url if url.startswith("unix://") else url


# --- what an answer tells of them -----------------------------------------------------


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit that the library enforces, by what it is enforced with."""

    limiter: Limiter
    value: Callable[[], str]
    scope: str
    key: Callable[[], str]

    def windows(self) -> list[tuple[RateLimitItem, WindowStats]]:
        """Return each of its windows as it is now for who asks."""
        ask = self.limiter.limiter.get_window_stats
        return [(item, ask(item, PREFIX, self.key(), self.scope)) for item in sorted(parse_many(self.value()))]


def _concerns(*limits: Limit) -> None:
    """Note that the answer to this request has to tell of these limits."""
    g.limits_asked = (*g.get("limits_asked", ()), *limits)


def _tell(response: Response) -> Response:
    """Tell of the limit that leaves least, and of when to come back if it leaves nothing.

    Whoever waits for `Retry-After` is let in by all limits. It means "come back
    later" (RFC 9110, section 10.2.3), never "you may stay"; and whoever has said
    a later time, such as a job, a lock or an upstream, knows better than a limit.
    """
    windows = [window for limit in g.get("limits_asked", ()) if limit.limiter.enabled for window in limit.windows()]
    if not windows:
        return response
    item, stats = min(windows, key=_tightness)
    wait = 1 if stats.remaining else whole_seconds_until(stats.reset_time)
    said = response.headers.get("Retry-After", type=int)
    resets_at = stats.reset_time
    if response.status_code == 429 or said:
        after = max(wait, said or 0)
        response.headers["Retry-After"] = str(after)
        if response.status_code >= 400:
            # Two times in one answer must not contradict each other.
            resets_at = max(resets_at, time.time() + after)
    response.headers["X-RateLimit-Limit"] = str(item.amount)
    response.headers["X-RateLimit-Remaining"] = str(stats.remaining)
    response.headers["X-RateLimit-Reset"] = str(math.ceil(resets_at))
    return response


def _tightness(window: tuple[RateLimitItem, WindowStats]) -> tuple[int, float]:
    """Order windows by what they leave; of those that leave nothing, the one that does so longest comes first."""
    _, stats = window
    return stats.remaining, 0 if stats.remaining else -stats.reset_time


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


_REQUESTS = Limit(limiter, request_limit, "requests", caller_key)


def count_request(actor: Actor | None) -> None:
    """Count this request for the verified caller, or for its address. Raises RateLimitExceeded."""
    g.limited_actor = actor
    g.is_counted = True
    _concerns(_REQUESTS)
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
    somewhat more often.
    """
    return _limited(view, _LOGIN, _FROM_ADDRESS)


def limits_resets(view: Callable[..., Any]) -> Callable[..., Any]:
    """Count the POSTs to a view as questions for a way back into an account, and as attempts to log in."""
    return _limited(view, _RESET, _FROM_ADDRESS)


def limits_tokens(view: Callable[..., Any]) -> Callable[..., Any]:
    """Count the POSTs to a view, where nobody has to be known, as attempts to log in from this address."""
    return _limited(view, _FROM_ADDRESS)


def _limited(view: Callable[..., Any], *limits: Limit) -> Callable[..., Any]:
    unlimited = view
    for limit in limits:
        shared = credentials_limiter.shared_limit(limit.value, scope=limit.scope, key_func=limit.key, methods=["POST"])
        view = shared(view)

    @wraps(view)
    def counted(*args: Any, **kwargs: Any) -> Any:
        if continuation.is_asked():
            # Which name is tried is known when the body is there.
            return unlimited(*args, **kwargs)
        if request.method == "POST":
            _concerns(*limits)
        return view(*args, **kwargs)

    return counted


def reset_limit() -> str:
    """Return how often one client may ask for a link for one username."""
    return current_settings().auth.reset_limit


def login_limit() -> str:
    """Return how often one client may try one username."""
    return current_settings().auth.login_limit


def address_limit() -> str:
    """Return how often one client may try to log in."""
    return current_settings().auth.address_limit


def password_limit() -> str:
    """Return how often somebody may tell their old password."""
    return current_settings().auth.password_limit


_PASSWORDS = Limit(credentials_limiter, password_limit, "password", caller_key)


@credentials_limiter.shared_limit(_PASSWORDS.value, scope=_PASSWORDS.scope, key_func=_PASSWORDS.key)
def _count_password() -> None:
    """Count this attempt to tell a password, or raise RateLimitExceeded."""


def count_password(actor: Actor | None) -> None:
    """Count an attempt of a verified caller to tell their password. Raises RateLimitExceeded."""
    g.limited_actor = actor
    g.is_counted = True
    _concerns(_PASSWORDS)
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
    username: object = basic["username"] if basic else None
    if basic is None and request.mimetype == URLENCODED:
        limit_size()
        username = request.form.get("username", request.form.get("email"))
    if basic is None and request.mimetype == "application/json":
        try:
            body = json.parse(request.get_data())
        except DomainError:
            body = None
        username = body.get("username", body.get("email")) if isinstance(body, dict) else None
    # The same spelling that finds the account, so that no number of spaces or capitals gives further tries.
    return f"{get_remote_address()} {checks.login_name(checks.strip(str(username or ''))[:400])[:120]}"


_LOGIN = Limit(credentials_limiter, login_limit, "login", login_key)
_RESET = Limit(credentials_limiter, reset_limit, "reset", login_key)
_FROM_ADDRESS = Limit(credentials_limiter, address_limit, "logins", get_remote_address)
