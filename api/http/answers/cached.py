"""Cached answers to reads: a hit needs no rows and no marshalling.

An entry is found by who asks, what they ask, the day, and the change marks of
all tables that the answer depends on, which come with the statement that lets
the caller in. So a hit costs that one statement, and nothing is ever stale.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode

import orjson
from flask import Response, current_app, request

from api.http.answers import etags
from api.http.answers.conditional import not_modified
from api.http.answers.negotiation import preferred_type
from api.http.documentation import Verb
from api.http.input.arguments import plain_query
from core.platform import clock
from core.platform.access import Actor
from core.platform.cache.answers import cache
from core.platform.cache.marks import service as marks
from core.platform.cache.marks.model import Topic
from core.platform.database.base import db

_HEADERS = ("ETag", "Link")


def cached(*topics: Topic) -> Callable[[Verb], Verb]:
    """Cache the answer that shows one thing until anything in these tables changes.

    They must be all on which the answer depends, the right to see it included.
    """

    def decorate(verb: Verb) -> Verb:
        @wraps(verb)
        def answer(resource: Any, *args: Any, **kwargs: Any) -> Response:
            stamp = marks.stamp(db.session(), *topics)
            return _find_or_make(_question(resource.actor), stamp, lambda: verb(resource, *args, **kwargs), near=True)

        return answer

    return decorate


def cached_page(*topics: Topic) -> Callable[[Verb], Verb]:
    """Cache a page of a list, and know by the change marks alone whether a caller's copy still holds."""

    def decorate(verb: Verb) -> Verb:
        @wraps(verb)
        def answer(resource: Any, *args: Any, **kwargs: Any) -> Response:
            stamp = marks.stamp(db.session(), *topics)
            question = _question(resource.actor)
            # Whoever knows this tag got it with a good answer to this very question, so that would be good again.
            tag = etags.weak(cache.edition(), question.encode(), stamp.encode())
            known = etags.named_by(etags.IF_NONE_MATCH)
            # If-Match is looked at first (RFC 9110, section 13.2.2), with the answer itself.
            if etags.IF_MATCH in request.headers:
                known = None
            if known is not None and not known.is_any and known.match_weakly(tag):
                return not_modified(tag)

            def make() -> Response:
                response: Response = verb(resource, *args, **kwargs)
                response.headers["ETag"] = tag
                return response

            # A cursor ends at a moment of its own, of which no mark knows.
            return make() if request.args.get("cursor") else _find_or_make(question, stamp, make)

        return answer

    return decorate


def _question(actor: Actor) -> str:
    """Return all that an answer depends on but the data."""
    scopes = "" if actor.scopes is None else ",".join(sorted(actor.scopes))
    # The day, because it decides what is overdue, and because cursors end some days later.
    day = str(clock.now().date())
    # With the host, because answers link to it.
    url = f"{request.base_url}?{urlencode(plain_query())}"
    return "\n".join((str(actor.user_id), actor.role, scopes, str(preferred_type()), day, url))


def _find_or_make(question: str, stamp: str, make: Callable[[], Response], *, near: bool = False) -> Response:
    entry = cache.get(question, stamp=stamp, near=near)
    if entry is not None:
        head, _, body = entry.partition(b"\n")
        return current_app.response_class(body, headers=orjson.loads(head), mimetype="application/json")
    response = make()
    if response.status_code == 200:
        body = response.get_data()
        response.headers.setdefault("ETag", etags.strong(body))
        head = orjson.dumps({name: response.headers[name] for name in _HEADERS if name in response.headers})
        cache.set(question, head + b"\n" + body, stamp=stamp, near=near)
    return response
