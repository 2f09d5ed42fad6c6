"""Conditional requests (RFC 9110, section 13), for every resource alike.

The strong tag of a resource names the bytes of its representation, so it
changes whenever any of them does, whatever they are made of, and a write can
compute it of the locked row as well as a read.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Response, current_app, request, url_for
from flask_restx.model import ModelBase

from api.http.answers import etags
from api.http.answers.etags import IF_MATCH, IF_NONE_MATCH
from api.http.answers.marshalling import representation
from api.http.documentation import Verb, document, documented_responses
from core.platform.config.current import current_settings
from core.platform.errors import PreconditionFailed, PreconditionRequired
from core.platform.preconditions import ANY_STATE, Expected

CHANGED = "This has changed meanwhile. Read it again before you change it."
ABSENT = "This does not exist, so it has none of the states that If-Match names."
PRESENT = "This exists already, or is in a state that If-None-Match excludes."
REQUIRED = "Say by If-Match which state you mean to change: the ETag with which you have read it."

# What every write must say where `require_if_match` is set. A POST makes something new.
GUARDED_METHODS = ("PUT", "PATCH", "DELETE")


def _parameter(header: str, description: str) -> dict[str, dict[str, str]]:
    return {header: {"in": "header", "type": "string", "pattern": etags.PATTERN, "description": description}}


_READ_PARAMETERS = _parameter(IF_NONE_MATCH, "The ETag of a copy that you have: 304 if it still holds.")
_WRITE_PARAMETERS = _parameter(
    IF_MATCH, "Only if the resource still has this ETag, else 412; `*` for any. Some installations demand it."
)
_CREATE_PARAMETERS = _parameter(IF_NONE_MATCH, "`*`: only if there is none yet, else 412.")


def document_read(verb: Verb) -> None:
    """Document the headers of every read in Swagger."""
    document(verb, params=_READ_PARAMETERS, responses={304: ("Your copy still holds.", None, {})})
    _document_tag(verb)


def document_write(verb: Verb) -> None:
    """Document the headers of every write of a resource with a state in Swagger."""
    creates = 201 in documented_responses(verb)
    document(verb, params=_WRITE_PARAMETERS | (_CREATE_PARAMETERS if creates else {}))
    _document_tag(verb)


def _document_tag(verb: Verb) -> None:
    responses = documented_responses(verb)
    for code in (200, 201):
        if code in responses:
            text, model, options = responses[code]
            headers = {"ETag": {"description": "Its state.", "type": "string"}, **options.get("headers", {})}
            responses[code] = (text, model, {**options, "headers": headers})


# --- reads ------------------------------------------------------------------------


def answer_read(response: Response) -> Response:
    """Give a good answer to a read its tag, or return 304 if the caller's copy still holds.

    Raises PreconditionFailed, and Malformed for headers that cannot be read.
    """
    wanted, known = etags.named_by(IF_MATCH), etags.named_by(IF_NONE_MATCH)
    if response.status_code != 200:
        return response  # A part of a file has been judged before it was cut.
    tag = response.headers.get("ETag")
    if tag is None:
        tag = etags.strong(response.get_data())
        response.headers["ETag"] = tag
    if wanted is not None and not wanted.match_strongly(tag):
        raise PreconditionFailed(CHANGED, current=tag)
    if known is not None and known.match_weakly(tag):
        response.close()
        return not_modified(tag, response)
    return response


def not_modified(tag: str, response: Response | None = None) -> Response:
    """Return 304 with the headers that the whole answer would have had, but those about its body."""
    short: Response = current_app.response_class(status=304)
    if response is not None:
        short.headers.extend((name, value) for name, value in response.headers if name.lower() not in _ABOUT_THE_BODY)
    short.headers.pop("Content-Type", None)
    short.headers["ETag"] = tag
    return short


_ABOUT_THE_BODY = frozenset(
    {"content-type", "content-length", "content-range", "content-disposition", "content-encoding", "content-language"}
)


# --- writes -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NamedStates:
    """The states that the headers of a request name: those of If-Match and none of If-None-Match.

    `model` is what a read of the resource shows, and so what its tags are made of.
    """

    model: ModelBase
    wanted: etags.Tags | None
    unwanted: etags.Tags | None

    def require(self, read: Callable[[], Any]) -> None:
        """Raise PreconditionFailed unless the resource is in such a state, PreconditionRequired if none is named."""
        if self.wanted is None and self.unwanted is None:
            raise PreconditionRequired(REQUIRED)
        value = read()
        if value is None:
            if self.wanted is not None:
                raise PreconditionFailed(ABSENT)
            return
        tag = etags.strong(representation(self.model, value))
        if self.wanted is not None and not self.wanted.match_strongly(tag):
            raise PreconditionFailed(CHANGED, current=tag)
        if self.unwanted is not None and self.unwanted.match_weakly(tag):
            raise PreconditionFailed(PRESENT, current=tag)


def expected_by_request(model: ModelBase) -> Expected:
    """Return in which states of the resource the request wants it changed. Raises Malformed."""
    wanted, unwanted = etags.named_by(IF_MATCH), etags.named_by(IF_NONE_MATCH)
    is_required = request.method in GUARDED_METHODS and current_settings().require_if_match
    if wanted is None and unwanted is None and not is_required:
        return ANY_STATE
    return NamedStates(model, wanted, unwanted)


def answer_write(response: Response, *, place: str | None) -> Response:
    """Give the answer to a write, which shows the resource as it is now, its tag and its place.

    The place, by its endpoint, is another URL than that of the request where
    only a part was written. It says that the body is what a read of it would
    show, so that the tag counts there (RFC 9110, sections 8.7 and 9.3.4).
    """
    if response.status_code in (200, 201):
        response.headers["ETag"] = etags.strong(response.get_data())
        response.headers["Content-Location"] = url_for(place, **(request.view_args or {})) if place else request.path
    return response
