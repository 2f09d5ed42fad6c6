"""The one place that turns an exception of any layer into an answer.

Nothing of an unexpected error is told but its request id, by which it is found
in the log.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from flask import Flask, Response, current_app, request
from flask_limiter import RateLimitExceeded
from redis.exceptions import DataError as RedisDataError
from redis.exceptions import RedisError
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.exceptions import HTTPException
from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.routing import RequestRedirect

from api.http.door import oauth
from api.http.serving.request_id import current_request_id
from core.platform import errors as domain
from core.platform.cache.answers import METERS
from core.platform.database import outage_log
from core.platform.database.base import db
from core.platform.database.trouble import is_outage
from core.platform.text.faults import MAX_FAULTS
from core.platform.text.json_out import dump

log = logging.getLogger("tasklane.http")

JSON = "application/json"
PROBLEM = "application/problem+json"  # RFC 9457
RETRY_AFTER_SECONDS = 5

STATUS: dict[type[domain.DomainError], int] = {
    domain.Malformed: 400,
    domain.Unauthenticated: 401,
    domain.Forbidden: 403,
    domain.NotFound: 404,
    domain.Conflict: 409,
    domain.Expired: 410,
    domain.PreconditionFailed: 412,
    domain.Invalid: 422,
    domain.PreconditionRequired: 428,
    domain.TooManyAttempts: 429,
    domain.Unavailable: 503,
}

# Code and sentence for what the framework refuses; its own sentences are for browsers.
FRAMEWORK = {
    400: ("bad_request", "The request cannot be understood."),
    401: ("unauthenticated", "Credentials are needed."),
    403: ("forbidden", "This is not allowed."),
    404: ("not_found", "There is no such resource."),
    405: ("method_not_allowed", "This resource does not have this method."),
    406: ("not_acceptable", "The answer is only available as application/json."),
    413: ("content_too_large", "The body is larger than this operation accepts."),
    415: ("unsupported_media_type", "The body must be application/json."),
    429: ("rate_limited", "Too many requests. Try again later."),
    431: ("header_too_large", "The header of the request is larger than the server accepts."),
    501: ("not_implemented", "The server does not know this way of sending a body."),
}
# For those who come with the paths of another service, or without the version.
ELSEWHERE = "There is no such resource. The API is below /api/v1, and its documentation is at /api/."
INTERNAL = ("internal_error", "Something went wrong. The request id helps to find out what.")


@dataclass(frozen=True, slots=True)
class Failure:
    """What an error answer says."""

    status: int
    code: str
    message: str
    details: Mapping[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    unnamed: int = 0


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
        # What the limiters do not refuse was refused because somebody guesses at an account.
        limit = error.limit.scope if isinstance(error, RateLimitExceeded) else "lockout"
        meters.count_refusal(str(limit))


def describe(error: Exception) -> Failure:
    """Return what may be told of an exception."""
    if isinstance(error, domain.DomainError):
        status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 500)
        headers = headers_of(status)
        if isinstance(error, domain.InvalidToken):
            headers["WWW-Authenticate"] += ', error="invalid_token"'  # RFC 6750, section 3.1
        if isinstance(error, domain.Unavailable | domain.TooManyAttempts) and error.retry_after:
            headers["Retry-After"] = str(error.retry_after)
        if isinstance(error, domain.PreconditionFailed) and error.current:
            headers["ETag"] = error.current
        return Failure(status, error.code, error.message, error.details, headers, error.unnamed)
    if isinstance(error, HTTPException):
        return _from_framework(error)
    if isinstance(error, StaleDataError):
        return Failure(409, "conflict", "Somebody else changed this at the same time. Read it again and retry.")
    if isinstance(error, IntegrityError):
        log.warning("A constraint refused a change that the service let through.", exc_info=error)
        return Failure(409, "conflict", "The change contradicts what is stored.")
    if isinstance(error, DataError):
        log.warning("The database refused a value that the service let through.", exc_info=error)
        return Failure(422, "validation_failed", "The request has a value that cannot be stored.")
    if is_outage(error) or (isinstance(error, RedisError) and not isinstance(error, RedisDataError)):
        outage_log.tell(log, error)
        return Failure(503, "unavailable", "A part of the service does not answer. Try again.", headers=headers_of(503))
    log.error("Unexpected error", exc_info=error)
    return Failure(500, *INTERNAL)


def _from_framework(error: HTTPException) -> Failure:
    status = error.code or 500
    code, message = _framework_words(status)
    message = getattr(error, "sentence", message)
    if status == 404 and not request.path.startswith("/api/v1/"):
        message = ELSEWHERE
    if status >= 500:
        log.error("Unexpected error", exc_info=error)
    headers = headers_of(status) | getattr(error, "told", {})
    for name, value in error.get_headers():
        if name in ("Allow", "Content-Range", "Retry-After"):
            headers[name] = value
    if isinstance(error, RateLimitExceeded):
        headers.pop("Retry-After", None)  # The limiter adds the exact one.
    # Flask-RESTX's parsers leave a sentence a parameter here.
    data = getattr(error, "data", None) or {}
    details = {name: [text] for name, text in data.get("errors", {}).items()} or None
    return Failure(status, code, message, details, headers)


def _framework_words(status: int) -> tuple[str, str]:
    # Not Python's own names for them, which differ from one version to the next.
    default = HTTP_STATUS_CODES[status]
    return FRAMEWORK.get(status, (default.lower().replace(" ", "_"), f"{default}."))


def code_of(status: int) -> str:
    """Return the code that most refusals with this status have."""
    if status == 500:
        return INTERNAL[0]
    return next((kind.code for kind, code in STATUS.items() if code == status), _framework_words(status)[0])


def headers_of(status: int) -> dict[str, str]:
    """Return what an answer with this status has to say besides."""
    if status == 401:
        return {"WWW-Authenticate": 'Bearer realm="tasklane"'}  # RFC 9110, section 11.6.1
    if status == 503:
        return {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return {}


def preferred_type() -> str | None:
    """Return how the client wants its errors, or None if it takes no JSON at all (RFC 9110, section 12.5.1).

    Parameters such as charset are ignored: they do not make JSON another type.
    """
    qualities: dict[str, float] = {}
    for value, quality in request.accept_mimetypes:
        name = value.partition(";")[0].strip().lower()
        qualities[name] = max(quality, qualities.get(name, 0))
    if not qualities:
        return JSON
    json_quality = next((qualities[name] for name in (JSON, "application/*", "*/*") if name in qualities), 0)
    problem_quality = qualities.get(PROBLEM, 0)
    if problem_quality > 0 and problem_quality >= json_quality:
        return PROBLEM
    return JSON if json_quality > 0 else None


def server_refusal(status: int, request_id: str) -> bytes:
    """Return the body with which the server refuses what it cannot hand to the application."""
    code, message = INTERNAL if status == 500 else _framework_words(status)
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
    elif oauth.is_grant():
        mimetype = JSON
        status, body = oauth.refusal(status, failure.code, failure.message, failure.details)
    else:
        mimetype = JSON
        body = envelope(failure)
    response = current_app.response_class(dump(body), status, failure.headers, mimetype=mimetype)
    response.headers["Cache-Control"] = "no-store"
    return response
