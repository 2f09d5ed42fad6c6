"""Calls to upstreams: limited in number, tried again where that helps, and refused in words of our own."""

import logging
import math
import re
import time
from collections.abc import Mapping, Sequence

import httpx

from core.platform import clock
from core.platform.config.upstreams import UpstreamSettings
from core.platform.errors import Conflict, DomainError, Forbidden, Malformed, NotFound, Unavailable
from core.platform.logs import context
from core.upstreams import address, client, transport
from core.upstreams.client import Failed, Unusable, UpstreamAnswer
from core.upstreams.registry import Registry, Upstream

log = logging.getLogger("tasklane.upstreams")

# What a refusal of the upstream means to our caller. 401, 407 and 429 are about Tasklane
# itself, which all callers share; a 401 of ours would send the caller to the login page.
_REFUSALS: dict[int, type[DomainError]] = {403: Forbidden, 404: NotFound, 409: Conflict, 410: NotFound, 423: Conflict}
_NOT_THE_CALLERS = (401, 407, 408, 425, 429)
_LANGUAGE = re.compile(r"[A-Za-z0-9,;=.* -]{1,200}")


def new_request(
    registry: Registry,
    upstream: Upstream,
    method: str,
    path: str,
    parameters: Mapping[str, Sequence[str]],
    language: str,
    body: bytes | None = None,
) -> httpx.Request:
    """Return the request to send. Of the caller's headers two go along; everything else stays here."""
    headers = {"accept-language": language} if _LANGUAGE.fullmatch(language) else {}
    if request_id := context.request_id.get():
        headers["x-request-id"] = request_id
    target = address.below(upstream.base, path, parameters)
    return client.build(registry.client, upstream.settings, method, target, headers=headers, body=body)


def ask(connections: httpx.Client, upstream: Upstream, request: httpx.Request) -> UpstreamAnswer:
    """Make one call, if breaker and places let it through, and return a 2xx answer."""
    if not upstream.places.acquire(blocking=False):
        raise _unavailable(upstream, "too many calls at once")
    try:
        answer = _call(connections, upstream, request)
    except Failed as error:
        # Said only when the breaker knows of the failure: it may leave the upstream alone for longer than that wishes.
        raise _unavailable(upstream, str(error), error.retry_after) from None
    except Unusable as error:
        raise _unavailable(upstream, str(error)) from None
    finally:
        upstream.places.release()
    if answer.status >= 400:
        raise _refusal(upstream, answer)
    return answer


def _call(connections: httpx.Client, upstream: Upstream, request: httpx.Request) -> UpstreamAnswer:
    """Make one call if the breaker lets it through, and report the result to the breaker."""
    admission = upstream.breaker.admit()
    if admission is None:
        raise _unavailable(upstream, "left alone")
    works = False
    try:
        retries = upstream.settings.retries if request.method == "GET" and not admission.is_trial else 0
        answer = _try(connections, upstream.settings, request, retries=retries)
        works = True
    except Unusable:
        works = True
        raise
    finally:
        upstream.breaker.report(admission, succeeded=works)
    return answer


def _try(
    connections: httpx.Client, settings: UpstreamSettings, request: httpx.Request, *, retries: int
) -> UpstreamAnswer:
    """Send the request up to `retries` + 1 times within one deadline."""
    ends_at = clock.monotonic() + settings.timeout_seconds
    pause = settings.retry_pause_seconds
    with transport.call(ends_at=ends_at, allow_private=settings.allow_private):
        for left in range(retries, -1, -1):
            try:
                return client.exchange(connections, settings, request)
            except Failed as error:
                if not (left and error.may_pass and clock.monotonic() + pause < ends_at):
                    raise
            time.sleep(pause)
            pause *= 2
    raise AssertionError("the last attempt returns or raises")


def _refusal(upstream: Upstream, answer: UpstreamAnswer) -> DomainError:
    """Return our error for a 4xx of the upstream, with its status and without its words."""
    if answer.status in _NOT_THE_CALLERS:
        return _unavailable(upstream, f"status {answer.status}", answer.retry_after)
    kind = _REFUSALS.get(answer.status, Malformed)
    return kind("The upstream refuses this request.", details={"upstream_status": [str(answer.status)]})


def _unavailable(upstream: Upstream, reason: str, retry_after: int | None = None) -> Unavailable:
    """Return the refusal that says when to come back: not before the upstream wishes it, nor while it is left alone."""
    log.warning("The upstream %s gave no answer to relay: %s", upstream.name, reason)
    seconds = max(retry_after or 0, math.ceil(upstream.breaker.seconds_left))
    return Unavailable(
        f"The upstream {upstream.name} gives no usable answer. Try again later.", retry_after=seconds or None
    )
