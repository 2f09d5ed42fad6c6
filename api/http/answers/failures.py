"""Failures: the part of an exception, of any layer, that a caller may see.

Of an unexpected one that is nothing but the request id, by which it is found
in the log.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import request
from flask_limiter import RateLimitExceeded
from redis.exceptions import DataError as RedisDataError
from redis.exceptions import RedisError
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.exceptions import HTTPException, TooManyRequests
from werkzeug.http import HTTP_STATUS_CODES

from core.platform import errors as domain
from core.platform.database import outage_log
from core.platform.database.trouble import is_outage

log = logging.getLogger("tasklane.http")

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
AWAY = "A part of the service does not answer. Try again."
INTERNAL = ("internal_error", "Something went wrong. The request id helps to find out what.")


class RequestsExceeded(TooManyRequests):
    """A caller has asked more often than the limit of all requests allows."""

    scope = "requests"


@dataclass(frozen=True, slots=True)
class Failure:
    """Content of an error answer."""

    status: int
    code: str
    message: str
    details: Mapping[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    unnamed: int = 0


def describe(error: Exception) -> Failure:
    """Return the part of an exception that the caller may see."""
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
        return Failure(503, "unavailable", AWAY, headers=headers_of(503))
    log.error("Unexpected error", exc_info=error)
    return Failure(500, *INTERNAL)


def _from_framework(error: HTTPException) -> Failure:
    status = error.code or 500
    code, message = framework_words(status)
    message = getattr(error, "sentence", message)
    if status == 404 and not request.path.startswith("/api/v1/"):
        message = ELSEWHERE
    if status >= 500:
        log.error("Unexpected error", exc_info=error)
    headers = headers_of(status) | getattr(error, "extra_headers", {})
    for name, value in error.get_headers():
        if name in ("Allow", "Content-Range", "Retry-After"):
            headers[name] = value
    if isinstance(error, RateLimitExceeded):
        headers.pop("Retry-After", None)  # The limiter adds the exact one.
    # Flask-RESTX's parsers leave a sentence a parameter here.
    data = getattr(error, "data", None) or {}
    details = {name: [text] for name, text in data.get("errors", {}).items()} or None
    return Failure(status, code, message, details, headers)


def framework_words(status: int) -> tuple[str, str]:
    """Return code and sentence for a status that the framework, or the server below it, refuses with."""
    # Not Python's own names for them, which differ from one version to the next.
    default = HTTP_STATUS_CODES[status]
    return FRAMEWORK.get(status, (default.lower().replace(" ", "_"), f"{default}."))


def code_of(status: int) -> str:
    """Return the code that most refusals with this status have."""
    if status == 500:
        return INTERNAL[0]
    return next((kind.code for kind, code in STATUS.items() if code == status), framework_words(status)[0])


def headers_of(status: int) -> dict[str, str]:
    """Return what an answer with this status has to say besides."""
    if status == 401:
        return {"WWW-Authenticate": 'Bearer realm="tasklane"'}  # RFC 9110, section 11.6.1
    if status == 503:
        return {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return {}
