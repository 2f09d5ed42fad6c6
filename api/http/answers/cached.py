"""Cached answers to reads: a hit needs no rows and no marshalling.

An entry is found by who asks, what they ask, the day, and the change marks of
all tables that the answer depends on, which come with the statement that lets
the caller in. So a hit costs that one statement, and nothing is ever stale.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any
from urllib.parse import urlencode

import orjson
from flask import Response, current_app, request

from api.http.answers import etags
from api.http.answers.conditional import not_modified
from api.http.answers.negotiation import preferred_type
from api.http.answers.urls import own_url
from api.http.documentation import Verb
from api.http.input.arguments import plain_query
from core.platform import clock
from core.platform.access import Actor
from core.platform.cache.answers import cache
from core.platform.cache.marks import service as marks
from core.platform.cache.marks.model import Topic
from core.platform.database.base import db

_HEADERS = ("ETag", "Link")
# In the environment of a request: how its answer was found or made.
KEPT = "tasklane.kept"


@dataclass(frozen=True, slots=True)
class Kept:
    """Question that a request asks, but for its caller and its day: an answer is kept under all of it."""

    resource: type
    url: str
    kind: str
    topics: tuple[Topic, ...]
    is_page: bool

    def question(self, actor: Actor) -> str:
        """Return all that the answer to this caller depends on but the data."""
        scopes = "" if actor.scopes is None else ",".join(sorted(actor.scopes))
        # The day, because it decides what is overdue, and because cursors end some days later.
        day = str(clock.now().date())
        return "\n".join((str(actor.user_id), actor.role, scopes, self.kind, day, self.url))


@dataclass(frozen=True, slots=True)
class Found:
    """An answer that was kept: its headers, its body unless the caller's copy still holds, and its place if any."""

    headers: dict[str, str]
    body: bytes | None
    is_near: bool | None


def cached(*topics: Topic) -> Callable[[Verb], Verb]:
    """Cache the answer that shows one thing until anything in these tables changes.

    They must be all on which the answer depends, the right to see it included.
    """

    def decorate(verb: Verb) -> Verb:
        @wraps(verb)
        def answer(resource: Any, *args: Any, **kwargs: Any) -> Response:
            stamp = marks.stamp(db.session(), *topics)
            question = _keep(resource, topics, is_page=False).question(resource.actor)
            return _find_or_make(question, stamp, lambda: verb(resource, *args, **kwargs), near=True)

        return answer

    return decorate


def cached_page(*topics: Topic) -> Callable[[Verb], Verb]:
    """Cache a page of a list, and know by the change marks alone whether a caller's copy still holds."""

    def decorate(verb: Verb) -> Verb:
        @wraps(verb)
        def answer(resource: Any, *args: Any, **kwargs: Any) -> Response:
            stamp = marks.stamp(db.session(), *topics)
            question = _keep(resource, topics, is_page=True).question(resource.actor)
            tag = _page_tag(question, stamp)
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

            if request.args.get("cursor"):
                # A cursor ends at a moment of its own, of which no mark knows.
                del request.environ[KEPT]
                return make()
            return _find_or_make(question, stamp, make)

        return answer

    return decorate


def _keep(resource: Any, topics: tuple[Topic, ...], *, is_page: bool) -> Kept:
    """Note by what the answer to the current request is kept."""
    # With the host, because answers link to it.
    url = f"{own_url()}?{urlencode(plain_query())}"
    kept = Kept(type(resource), url, str(preferred_type()), topics, is_page)
    request.environ[KEPT] = kept
    return kept


def _page_tag(question: str, stamp: str) -> str:
    """Return the tag of a page: who knows it got it with a good answer to this question, which would be good again."""
    return etags.weak(cache.edition(), question.encode(), stamp.encode())


def find(kept: Kept, actor: Actor, all_marks: str, known: etags.Tags | None) -> Found | None:
    """Return the answer that this caller would get now, who knows these tags; None if it has to be made."""
    question, stamp = kept.question(actor), marks.stamp_of(all_marks, kept.topics)
    if kept.is_page and known is not None:
        tag = _page_tag(question, stamp)
        if known.match_weakly(tag):
            return Found({"ETag": tag}, None, None)
    entry = cache.get(question, stamp=stamp, near=not kept.is_page, is_counted=False)
    if entry is None:
        return None
    headers, body = _read(entry)
    holds = known is not None and known.match_weakly(headers["ETag"])
    return Found(headers, None if holds else body, is_near=not kept.is_page)


def _read(entry: bytes) -> tuple[dict[str, str], bytes]:
    """Return the headers and the body of an answer that was kept."""
    head, _, body = entry.partition(b"\n")
    return orjson.loads(head), body


def _find_or_make(question: str, stamp: str, make: Callable[[], Response], *, near: bool = False) -> Response:
    entry = cache.get(question, stamp=stamp, near=near)
    if entry is not None:
        headers, body = _read(entry)
        return current_app.response_class(body, headers=headers, mimetype="application/json")
    response = make()
    if response.status_code == 200:
        body = response.get_data()
        response.headers.setdefault("ETag", etags.strong(body))
        head = orjson.dumps({name: response.headers[name] for name in _HEADERS if name in response.headers})
        cache.set(question, head + b"\n" + body, stamp=stamp, near=near)
    return response
