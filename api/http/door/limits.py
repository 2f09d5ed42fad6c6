"""Limits of all requests of a caller.

Who calls is known only when the credentials have been verified, so requests are
counted after that; a made-up token gives no caller a bucket of their own.
"""

from flask import Flask, Response, g, request
from flask_limiter import RateLimitExceeded

from api.http.answers import errors
from api.http.door.cors import is_preflight
from api.http.door.limit_headers import Limit, add_limits, concerns
from api.http.door.limiters import bind_limiters, caller_key, limiter
from core.platform.access import Actor
from core.platform.config.current import current_settings
from core.platform.config.settings import Settings


def init_limits(app: Flask, settings: Settings) -> None:
    """Count the requests of this application, and say so in its answers."""
    # Runs after the limiters, because it is registered before them: they count some answers only at the end.
    app.after_request(add_limits)
    bind_limiters(app, settings)
    # Runs before the limiters, because it is registered after them.
    app.after_request(_count_the_rest)


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
    concerns(_REQUESTS)
    _count()


def _count_the_rest(response: Response) -> Response:
    """Count what was answered before a caller was verified, such as an unknown path.

    A request that a limit has refused counts nowhere else, and its answer is about that limit alone.
    """
    is_ours = request.path.startswith("/api/v1") and not is_preflight()
    if g.get("is_counted") or response.status_code == 429 or not is_ours:
        return response
    try:
        count_request(None)
    except RateLimitExceeded as error:
        return errors.respond(error)
    return response


def uncounted(actor: Actor | None) -> None:
    """Count nothing: probes of platforms must never be refused."""
    g.is_counted = True
