"""Asking upstreams on behalf of a user.

Whatever is wrong with an upstream becomes Unavailable, which tells the caller
when to come back and nothing else: neither its address nor its words.
"""

import math
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from core.platform.access import Actor
from core.platform.errors import Forbidden, NotFound
from core.upstreams.cache import fresh_seconds
from core.upstreams.registry import Registry, Upstream

if TYPE_CHECKING:
    from core.upstreams.client import UpstreamAnswer

Parameters = Mapping[str, Sequence[str]]


def list_all(actor: Actor, *, registry: Registry) -> list[dict[str, Any]]:
    """Return name and state of every upstream, and nothing of how it is reached."""
    return [
        {
            "name": upstream.name,
            "state": upstream.breaker.state,
            "allow_post": upstream.settings.allow_post,
            "retry_after_seconds": math.ceil(upstream.breaker.seconds_left) or None,
        }
        for upstream in registry.all()
    ]


def read(
    actor: Actor, *, registry: Registry, name: str, path: str, parameters: Parameters, language: str = ""
) -> bytes:
    """Return the JSON text that the upstream answers to a GET of `path`, fresh or cached for a short time.

    Raises NotFound for an unknown name, Malformed for a path that could lead
    elsewhere, what `calls` makes of a 4xx, and Unavailable for anything else.
    """
    upstream = _find(registry, name)
    calls = _calls()
    request = calls.new_request(registry, upstream, "GET", path, parameters, language)
    key = (name, str(request.url), request.headers.get("accept-language", ""))
    kept = registry.cache.find(key)
    if kept is not None:
        return kept
    answer: UpstreamAnswer = calls.ask(registry.client, upstream, request)
    seconds = fresh_seconds(answer.headers, longest=upstream.settings.cache_seconds)
    registry.cache.keep(key, answer.body, seconds=seconds)
    return answer.body


def send(
    actor: Actor, *, registry: Registry, name: str, path: str, parameters: Parameters, body: bytes, language: str = ""
) -> bytes:
    """Return the JSON text that the upstream answers to a POST of `body`, JSON that is sent once.

    Raises like `read`, and Forbidden where the configuration allows no POST.
    """
    upstream = _find(registry, name)
    if not upstream.settings.allow_post:
        raise Forbidden("This upstream takes no POST.")
    calls = _calls()
    request = calls.new_request(registry, upstream, "POST", path, parameters, language, body)
    try:
        answer: UpstreamAnswer = calls.ask(registry.client, upstream, request)
        return answer.body
    finally:
        # Whatever was cached may be out of date now, even if the call failed half-way.
        registry.cache.forget(name)


def _find(registry: Registry, name: str) -> Upstream:
    upstream = registry.find(name)
    if upstream is None:
        raise NotFound("There is no such upstream.")
    return upstream


def _calls() -> Any:
    """Return the module that asks, which loads a client for HTTP: most installations have no upstreams."""
    return import_module("core.upstreams.calls")
