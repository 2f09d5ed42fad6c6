"""The one place that turns an exception of any layer into an answer."""

from dataclasses import replace
from typing import Any

from flask import Flask, Response, current_app
from flask_limiter import RateLimitExceeded
from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.routing import RequestRedirect

from api.http.answers import grant_refusals
from api.http.answers.failures import INTERNAL, Failure, RequestsExceeded, describe, framework_words
from api.http.answers.negotiation import JSON, PROBLEM, preferred_type
from api.http.input import grants
from api.http.input.request_id import current_request_id
from core.platform.cache.answers import METERS
from core.platform.database.base import db
from core.platform.text.faults import MAX_FAULTS
from core.platform.text.json_out import dump


def init_errors(app: Flask) -> None:
    """Answer every error of the application in the envelope."""
    app.register_error_handler(Exception, respond)


def respond(error: Exception) -> Response:
    """Return the answer to a request that failed with `error`."""
    if isinstance(error, RequestRedirect):
        return Response(status=error.code, headers={"Location": error.new_url})
    failure = describe(error)
    if failure.status == 429:
        _count_refusal(error)
    # A failed request must leave no half-read transaction to the code that runs after it.
    db.session.remove()
    return render(failure)


def _count_refusal(error: Exception) -> None:
    meters = current_app.extensions.get(METERS)
    if meters is not None:
        meters.count_refusal(_refusing(error))


def _refusing(error: Exception) -> str:
    """Return the name of what was exceeded. A refusal of no limiter is one of the lock of an account."""
    if isinstance(error, RequestsExceeded):
        return error.scope
    return str(error.limit.scope) if isinstance(error, RateLimitExceeded) else "lockout"


def server_refusal(status: int, request_id: str) -> bytes:
    """Return the body with which the server refuses what it cannot hand to the application."""
    code, message = INTERNAL if status == 500 else framework_words(status)
    return dump(envelope(Failure(status, code, message), request_id))


def envelope(failure: Failure, request_id: str | None = None) -> dict[str, Any]:
    """Return the failure in the shape that every error of ours has."""
    failure = _shortened(failure)
    error: dict[str, Any] = {
        "message": failure.message,
        "code": failure.code,
        "request_id": request_id or current_request_id(),
    }
    if failure.details:
        error["details"] = failure.details
    return {"status": "error", "error": error}


# What a refusal may take, whatever was sent; the rest of it takes less than 2,000 octets.
MAX_DETAILS_BYTES = 15_000
LONGEST_SENTENCE = 1_000


def _shortened(failure: Failure) -> Failure:
    """Return the failure with as many of its faults as help, and the number of the others."""
    message = _cut(failure.message)
    if not failure.details:
        return replace(failure, message=message)
    shown: dict[str, list[str]] = {}
    count = size = 0
    for name, sentence in ((name, text) for name, found in failure.details.items() for text in found):
        entry = (_cut(name), _cut(sentence))
        size += len(dump(entry))
        if count == MAX_FAULTS or size > MAX_DETAILS_BYTES:
            break
        shown.setdefault(entry[0], []).append(entry[1])
        count += 1
    more = sum(len(found) for found in failure.details.values()) - count + failure.unnamed
    if more:
        message = f"{message} The first {count} faults are named, and {more} more are not."
    return replace(failure, message=message, details=shown, unnamed=0)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_SENTENCE else f"{text[:LONGEST_SENTENCE]}..."


def render(failure: Failure) -> Response:
    """Return the failure as the client likes to read it."""
    status = failure.status
    if preferred_type() == PROBLEM:
        failure = _shortened(failure)
        mimetype = PROBLEM
        body: dict[str, Any] = {
            "type": "about:blank",
            "title": HTTP_STATUS_CODES[failure.status],
            "status": failure.status,
            "detail": failure.message,
            "code": failure.code,
            "request_id": current_request_id(),
        }
        if failure.details:
            body["errors"] = failure.details
    elif grants.is_grant():
        mimetype = JSON
        status, body = grant_refusals.refusal(status, failure.code, failure.message, failure.details)
    else:
        mimetype = JSON
        body = envelope(failure)
    response = current_app.response_class(dump(body), status, failure.headers, mimetype=mimetype)
    response.headers["Cache-Control"] = "no-store"
    return response
