"""Decorators that make an answer of what a verb returns: marshalled once, enveloped, documented.

Each both shapes the answer and documents it, so that the document
cannot say something else than the code does.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import orjson
from flask import Response, current_app, g, url_for
from flask_restx.model import ModelBase

from api.http.answers import etags
from api.http.answers.failures import headers_of
from api.http.answers.marshalling import json_response, marshal, success
from api.http.answers.models import accepted_out, anything_out, envelope
from api.http.answers.urls import own_url
from api.http.documentation import Verb, document
from core.jobs.model import Job

_CHANGES = "answer_changes"


def on_answer(change: Callable[[Response], None]) -> None:
    """Apply `change` to the answer of the verb that is running, such as setting a cookie."""
    if _CHANGES not in g:
        setattr(g, _CHANGES, [])
    getattr(g, _CHANGES).append(change)


def answering(
    shape: Callable[[Any], Response], status: int, text: str, model: ModelBase | None, **headers: str
) -> Callable[[Verb], Verb]:
    """Make what a verb returns an answer by `shape`, and document it."""

    def decorate(verb: Verb) -> Verb:
        @wraps(verb)
        def respond(*args: Any, **kwargs: Any) -> Response:
            response = shape(verb(*args, **kwargs))
            for change in g.pop(_CHANGES, ()):
                change(response)
            return response

        documented = {
            name.replace("_", "-"): {"description": words, "type": "string"} for name, words in headers.items()
        }
        return document(respond, responses={status: (text, model, {"headers": documented})})

    return decorate


def returns(model: ModelBase, text: str = "Success.") -> Callable[[Verb], Verb]:
    """Answer 200 with the returned object as `data`."""
    return answering(lambda value: success(marshal(model, value)), 200, text, envelope(model))


def returns_polled(model: ModelBase, text: str) -> Callable[[Verb], Verb]:
    """Answer 200 with something that is `is_open` for a while: Retry-After says when to look again, in seconds."""

    def shape(value: Any) -> Response:
        headers = {"Retry-After": str(value.retry_after)} if value.is_open else None
        return success(marshal(model, value), headers=headers)

    return answering(shape, 200, text, envelope(model), Retry_After="When to look again, in seconds, if it is open.")


def returns_bare(model: ModelBase, text: str = "Success.") -> Callable[[Verb], Verb]:
    """Answer with the returned object and no envelope. A verb may return a status beside it."""

    def shape(value: Any) -> Response:
        body, code = value if isinstance(value, tuple) else (value, 200)
        return json_response(marshal(model, body), code, headers_of(code))

    return answering(shape, 200, text, model)


def returns_text(text: str) -> Callable[[Verb], Verb]:
    """Answer 200 with the returned JSON text, which must be valid, as `data`: no number loses a digit."""
    return answering(lambda value: success(orjson.Fragment(value)), 200, text, anything_out)


def created(
    model: ModelBase, *, at: Callable[[Any], str] | None = None, is_whole: bool = True
) -> Callable[[Verb], Verb]:
    """Answer 201 with the returned object; it lives at `at(object)`, else below the collection.

    Unless the answer is not what a read will show (`is_whole`), it has the tag of the new resource.
    """

    def shape(value: Any) -> Response:
        place = at(value) if at else f"{own_url().rstrip('/')}/{value.id}"
        response = success(marshal(model, value), 201, {"Location": place})
        if is_whole:
            response.headers["ETag"] = etags.strong(response.get_data())
        return response

    headers = {"ETag": "Its state."} if is_whole else {}
    return answering(shape, 201, "Created.", envelope(model), Location="Where the new resource is.", **headers)


def created_or_replaced(model: ModelBase) -> Callable[[Verb], Verb]:
    """Answer 201 at this very URL if the object that is returned with this is new, else 200 (RFC 9110, 9.3.4)."""

    def shape(found: tuple[Any, bool]) -> Response:
        value, is_new = found
        if is_new:
            return success(marshal(model, value), 201, {"Location": own_url()})
        return success(marshal(model, value))

    def decorate(verb: Verb) -> Verb:
        replaced = answering(shape, 200, "Changed.", envelope(model))(verb)
        location = {"Location": {"description": "Where the new resource is.", "type": "string"}}
        return document(replaced, responses={201: ("Created.", envelope(model), {"headers": location})})

    return decorate


def accepted(verb: Verb) -> Verb:
    """Answer 202 with where to follow the returned job."""

    def shape(job: Job) -> Response:
        url = url_for("api.jobs_job", job_id=job.id, _external=True)
        return success({"job_id": job.id, "job_url": url}, 202, {"Location": url})

    text = "Accepted; a worker does it."
    return answering(shape, 202, text, envelope(accepted_out), Location="The job.")(verb)


def no_content(verb: Verb) -> Verb:
    """Answer 204, whatever the verb returns."""
    return answering(lambda _: current_app.response_class(status=204), 204, "Done; no body.", None)(verb)
