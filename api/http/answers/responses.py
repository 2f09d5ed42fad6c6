"""What a verb returns becomes an answer here: marshalled once, enveloped, documented.

Each decorator both shapes the answer and tells Swagger about it, so that the
document cannot say something else than the code does.
"""

from collections.abc import Callable
from functools import wraps
from operator import attrgetter
from typing import Any
from urllib.parse import urlencode

import orjson
from flask import Response, current_app, g, request, url_for
from flask_restx import Namespace, fields
from flask_restx.model import ModelBase
from orjson import Fragment

from api.http.answers import errors, etags
from api.http.input.fields import Anything, NullableInteger, NullableText
from api.http.input.query import plain_query
from core.jobs.model import Job
from core.platform import clock
from core.platform.database.paging import Page
from core.platform.text.json_out import dump

Verb = Callable[..., Any]

# Models that belong to no domain. It has no routes, so Swagger UI does not show it.
shared = Namespace("shared")

error_body = shared.model(
    "ErrorBody",
    {
        "message": fields.String(required=True, example="The request has invalid fields."),
        "code": fields.String(required=True, example="validation_failed"),
        "request_id": fields.String(required=True, example="5f0c7f6e4d8b4d0f9a3c1c0e0e6f7b1a"),
        "details": fields.Raw(
            description="Field path to a list of sentences; absent where there is no field to name.",
            example={"title": ["This field is required."]},
        ),
    },
)
error_out = shared.model(
    "Error",
    {
        "status": fields.String(required=True, enum=["error"], example="error"),
        "error": fields.Nested(error_body, required=True),
    },
)

_meta = shared.model(
    "Meta",
    {
        "pagination": fields.Nested(
            shared.model(
                "Pagination",
                {
                    "page": NullableInteger(required=True, description="Null in cursor mode.", example=1),
                    "per_page": fields.Integer(required=True, example=20),
                    "pages": NullableInteger(required=True, description="Null in cursor mode.", example=3),
                    "total": NullableInteger(required=True, description="Null in cursor mode.", example=42),
                    "next_cursor": NullableText(required=True, description="Null on the last page."),
                },
            ),
            required=True,
        )
    },
)

accepted_out = shared.model(
    "Accepted",
    {
        "job_id": fields.String(required=True, example="0b8cfbf8-7a3e-4a57-9a2b-0f2f3f6a3b51"),
        "job_url": fields.String(required=True, description="Where to follow the job."),
    },
)


_anything_out = shared.model(
    "AnythingAnswer",
    {
        "status": fields.String(required=True, enum=["success"], example="success"),
        "data": Anything(required=True, description="Any JSON value."),
    },
)


def _envelope(model: ModelBase, *, is_list: bool = False) -> ModelBase:
    data = fields.List(fields.Nested(model), required=True) if is_list else fields.Nested(model, required=True)
    body: dict[str, Any] = {"status": fields.String(required=True, enum=["success"], example="success"), "data": data}
    if is_list:
        body["meta"] = fields.Nested(_meta, required=True)
    name = f"{model.name}{'List' if is_list else ''}Answer"
    return shared.models.get(name) or shared.model(name, body)


Marshaller = Callable[[Any], dict[str, Any]]

_marshallers: dict[str, Marshaller] = {}


def _marshaller(model: ModelBase) -> Marshaller:
    """Return the function that picks the model's fields; made once for each model."""
    if model.name not in _marshallers:
        names = tuple(model)
        values = attrgetter(*(field.attribute or name for name, field in model.items()))
        _marshallers[model.name] = lambda value: dict(zip(names, values(value), strict=True))
    return _marshallers[model.name]


def marshal(model: ModelBase, value: Any) -> Any:
    """Return the model's fields of an object or a row as plain values; what is plain or JSON already stays."""
    return value if isinstance(value, dict | Fragment) else _marshaller(model)(value)


def json_response(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return `body` as a JSON answer."""
    return current_app.response_class(dump(body), status, headers, mimetype="application/json")


_CHANGES = "answer_changes"


def on_answer(change: Callable[[Response], None]) -> None:
    """Have `change` applied to the answer of the verb that is running, such as setting a cookie."""
    if _CHANGES not in g:
        setattr(g, _CHANGES, [])
    getattr(g, _CHANGES).append(change)


def document(verb: Verb, **doc: Any) -> Verb:
    """Add to what Swagger knows of a verb."""
    verb.__apidoc__ = _merged(getattr(verb, "__apidoc__", {}), doc)  # type: ignore[attr-defined]
    return verb


def _merged(first: dict[Any, Any], second: dict[Any, Any]) -> dict[Any, Any]:
    """Return both as one; `second` counts where they differ.

    Flask-RESTX has such a function, but copies each model each time: a third of
    the time in which a process starts.
    """
    both = {**first, **second}
    for key in first.keys() & second.keys():
        # A model is a dictionary too, and as a whole one value.
        if type(first[key]) is dict and type(second[key]) is dict:
            both[key] = _merged(first[key], second[key])
    return both


def answering(
    shape: Callable[[Any], Response], status: int, text: str, model: ModelBase | None, **headers: str
) -> Callable[[Verb], Verb]:
    """Make what a verb returns an answer by `shape`, and tell Swagger of it."""

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


def _success(data: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return json_response({"status": "success", "data": data}, status, headers)


def representation(model: ModelBase, value: Any) -> bytes:
    """Return the whole body of the answer that shows `value`."""
    return dump({"status": "success", "data": marshal(model, value)})


def returns(model: ModelBase, text: str = "Success.") -> Callable[[Verb], Verb]:
    """Answer 200 with the returned object as `data`."""
    return answering(lambda value: _success(marshal(model, value)), 200, text, _envelope(model))


def returns_polled(model: ModelBase, text: str) -> Callable[[Verb], Verb]:
    """Answer 200 with something that is `is_open` for a while: Retry-After says when to look again, in seconds."""

    def shape(value: Any) -> Response:
        headers = {"Retry-After": str(value.retry_after)} if value.is_open else None
        return _success(marshal(model, value), headers=headers)

    return answering(shape, 200, text, _envelope(model), Retry_After="When to look again, in seconds, if it is open.")


def returns_bare(model: ModelBase, text: str = "Success.", status: int = 200) -> Callable[[Verb], Verb]:
    """Answer with the returned object and no envelope. A verb may return a status beside it."""

    def shape(value: Any) -> Response:
        body, code = value if isinstance(value, tuple) else (value, status)
        return json_response(marshal(model, body), code, errors.headers_of(code))

    return answering(shape, status, text, model)


def returns_text(text: str) -> Callable[[Verb], Verb]:
    """Answer 200 with the returned JSON text, which must be valid, as `data`: no number loses a digit."""
    return answering(lambda value: _success(orjson.Fragment(value)), 200, text, _anything_out)


def listed(model: ModelBase) -> Callable[[Verb], Verb]:
    """Answer 200 with all of a list that is short by nature: one page, without paging parameters."""

    def shape(values: Any) -> Response:
        data = [marshal(model, value) for value in values]
        count = len(data)
        pagination = {"page": 1, "per_page": max(count, 1), "pages": min(count, 1), "total": count, "next_cursor": None}
        return json_response({"status": "success", "data": data, "meta": {"pagination": pagination}})

    return answering(shape, 200, "The whole list.", _envelope(model, is_list=True))


def created(
    model: ModelBase, *, at: Callable[[Any], str] | None = None, is_whole: bool = True
) -> Callable[[Verb], Verb]:
    """Answer 201 with the returned object; it lives at `at(object)`, else below the collection.

    Unless the answer is not what a read will show (`is_whole`), it has the tag of the new resource.
    """

    def shape(value: Any) -> Response:
        place = at(value) if at else f"{request.base_url.rstrip('/')}/{value.id}"
        response = _success(marshal(model, value), 201, {"Location": place})
        if is_whole:
            response.headers["ETag"] = etags.strong(response.get_data())
        return response

    headers = {"ETag": "Its state."} if is_whole else {}
    return answering(shape, 201, "Created.", _envelope(model), Location="Where the new resource is.", **headers)


def created_or_replaced(model: ModelBase) -> Callable[[Verb], Verb]:
    """Answer 201 at this very URL if the returned object `is_new`, else 200 (RFC 9110, section 9.3.4)."""

    def shape(value: Any) -> Response:
        if value.is_new:
            return _success(marshal(model, value), 201, {"Location": request.base_url})
        return _success(marshal(model, value))

    def decorate(verb: Verb) -> Verb:
        replaced = answering(shape, 200, "Changed.", _envelope(model))(verb)
        location = {"Location": {"description": "Where the new resource is.", "type": "string"}}
        return document(replaced, responses={201: ("Created.", _envelope(model), {"headers": location})})

    return decorate


def accepted(verb: Verb) -> Verb:
    """Answer 202 with where to follow the returned job."""

    def shape(job: Job) -> Response:
        url = url_for("api.jobs_job", job_id=job.id, _external=True)
        return _success({"job_id": job.id, "job_url": url}, 202, {"Location": url})

    text = "Accepted; a worker does it."
    return answering(shape, 202, text, _envelope(accepted_out), Location="The job.")(verb)


def no_content(verb: Verb) -> Verb:
    """Answer 204, whatever the verb returns."""
    return answering(lambda _: current_app.response_class(status=204), 204, "Done; no body.", None)(verb)


def paged(model: ModelBase) -> Callable[[Verb], Verb]:
    """Answer 200 with the returned page as a list."""

    def shape(page: Page) -> Response:
        pagination = {
            "page": page.number,
            "per_page": page.size,
            "pages": page.pages,
            "total": page.total,
            "next_cursor": page.next_cursor,
        }
        data = dump([marshal(model, item) for item in page.items])
        body = {"status": "success", "data": Fragment(data), "meta": {"pagination": pagination}}
        return json_response(body, headers={"Link": _links(page), "ETag": _page_tag(page, data)})

    envelope = _envelope(model, is_list=True)
    return answering(shape, 200, "A page of the list.", envelope, Link="Neighbouring pages (RFC 8288).")


def _page_tag(page: Page, data: bytes) -> str:
    """Return a weak tag: two cursors that were signed at different times lead to the same place.

    The day is in it because a cursor ends some days later, and whoever has one
    must get a new one before that.
    """
    has_next = page.next_cursor is not None
    return etags.weak(data, repr((page.number, page.size, page.total, has_next, clock.now().date())).encode())


def _links(page: Page) -> str:
    targets: dict[str, dict[str, Any]] = {}
    if page.number is None:
        targets["first"] = {"cursor": ""}
        if page.next_cursor:
            targets["next"] = {"cursor": page.next_cursor}
    else:
        last = max(page.pages or 1, 1)
        targets["first"] = {"page": 1}
        targets["last"] = {"page": last}
        if page.number > 1:
            targets["prev"] = {"page": min(page.number - 1, last)}
        if page.number < last:
            targets["next"] = {"page": page.number + 1}
    kept = [(name, value) for name, value in plain_query() if name not in ("page", "cursor")]
    return ", ".join(
        f'<{request.base_url}?{urlencode([*kept, *target.items()])}>; rel="{name}"' for name, target in targets.items()
    )


REFUSALS = {
    400: "The request cannot be understood, or has a wrong or unknown parameter.",
    401: "Credentials are missing, wrong, expired or revoked.",
    403: "The caller is known, but may not do this.",
    404: "There is no such thing.",
    406: "The answer is only available as application/json.",
    409: "The request contradicts the present state.",
    410: "The cursor is too old.",
    412: "The resource is not in the state that the request demands; ETag tells its state.",
    413: "The body is too large.",
    415: "The body is not of the media type that the operation takes, or is encoded.",
    416: "The file has no such part.",
    422: "The body has wrong fields; details names them.",
    428: "This installation wants If-Match on every change.",
    429: "Too many requests.",
    500: "A bug; the request id helps to find it in the log.",
    503: "A part of the service does not answer.",
}


def refuses(*codes: int) -> Callable[[Verb], Verb]:
    """Document error codes that an operation has beside those that all have."""

    def decorate(verb: Verb) -> Verb:
        # What a verb has said itself of a code, such as readiness of 503, stays.
        known = getattr(verb, "__apidoc__", {}).get("responses", {})
        return document(
            verb, responses={code: (REFUSALS[code], error_out, {}) for code in codes if str(code) not in known}
        )

    return decorate
