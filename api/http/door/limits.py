"""Limits of all requests of a caller.

Who calls is known only when the credentials have been verified, so requests are
counted after that; a made-up token gives no caller a bucket of their own.
"""

from flask import Flask, Response, g, request

from api.http.answers import errors
from api.http.answers.failures import RequestsExceeded
from api.http.door.cors import is_preflight
from api.http.door.counting import Count
from api.http.door.limit_headers import Quota, add_limits, concerns
from api.http.door.limiters import bind_limiters, caller_key, counter_of, key_of, request_counter
from core.platform.access import Actor
from core.platform.config.current import current_settings, settings_of
from core.platform.config.settings import Settings


def init_limits(app: Flask, settings: Settings) -> None:
    """Count the requests of this application, and say so in its answers."""
    # Runs after the other, because it is registered before it: some answers are counted only at the end.
    app.after_request(add_limits)
    bind_limiters(app, settings)
    app.after_request(_count_the_rest)


def request_limit() -> str:
    """Return how often this caller may ask: what the settings say of the key, else of the role, else of addresses."""
    return limit_of(current_settings(), g.get("limited_actor"))


def limit_of(settings: Settings, actor: Actor | None) -> str:
    """Return how often this caller may ask."""
    limits = settings.limits
    if actor is None:
        return limits.address
    if actor.key_id is not None:
        return limits.of_key(actor.key_id)
    return limits.admin if actor.is_admin else limits.user


def policy_of(actor: Actor | None) -> str:
    """Return the name of that limit, as its setting is named."""
    if actor is None:
        return "address"
    if actor.key_id is not None:
        return "api_key"
    return "admin" if actor.is_admin else "user"


def count_known(app: Flask, actor: Actor, *, counts: bool) -> Count | None:
    """Count a request of a caller, or only ask; None if it is refused, which counts nothing.

    Needs no context of the application.
    """
    counter = counter_of(app)
    if not counter.is_enabled:
        return Count((), None)
    count = counter.count(limit_of(settings_of(app), actor), key_of(actor, ""), RequestsExceeded.scope, counts=counts)
    return None if count.refused_by is not None else count


def count_request(actor: Actor | None) -> None:
    """Count this request for the verified caller, or for its address. Raises RequestsExceeded.

    A conditional request is counted at the end, if the answer was worth it: to hear that nothing
    has changed is free.
    """
    g.limited_actor = actor
    g.is_counted = True
    if not request_counter().is_enabled:
        return
    is_conditional = "If-None-Match" in request.headers
    count = _count(counts=not is_conditional)
    if count.refused_by is not None:
        raise RequestsExceeded
    g.is_counted_at_the_end = is_conditional


def _count(*, counts: bool) -> Count:
    """Count this request, and note what its answer says of the limit."""
    count = request_counter().count(request_limit(), caller_key(), RequestsExceeded.scope, counts=counts)
    g.request_count = count
    concerns(_quota)
    return count


def _quota() -> Quota:
    count: Count = g.request_count
    return Quota(policy_of(g.get("limited_actor")), count.windows)


def _count_the_rest(response: Response) -> Response:
    """Count what was answered before a caller was verified, such as an unknown path, and what had to be seen first.

    A request that a limit has refused counts nowhere else, and its answer is about that limit alone.
    """
    if g.pop("is_counted_at_the_end", False) and response.status_code != 304:
        _count(counts=True)
    is_ours = request.path.startswith("/api/v1") and not is_preflight()
    if g.get("is_counted") or response.status_code == 429 or not is_ours:
        return response
    try:
        count_request(None)
    except RequestsExceeded as error:
        return errors.respond(error)
    if g.pop("is_counted_at_the_end", False):
        _count(counts=True)
    return response


def uncounted(actor: Actor | None) -> None:
    """Count nothing: probes of platforms must never be refused."""
    g.is_counted = True
