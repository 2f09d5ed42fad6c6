"""Refusals in the OpenAPI document: which a verb has, what each status means, and a sample of each."""

from collections.abc import Callable
from typing import Any

from api.http.answers.conditional import CHANGED, REQUIRED
from api.http.answers.errors import envelope
from api.http.answers.failures import AWAY, INTERNAL, Failure, code_of, framework_words
from api.http.answers.models import error_out
from api.http.documentation import Verb, document, documented_responses
from core.platform.text import checks

ERROR = {"$ref": f"#/definitions/{error_out.name}"}
REQUEST_ID = "5f0c7f6e4d8b4d0f9a3c1c0e0e6f7b1a"

REFUSALS = {
    400: "The request cannot be understood, or has a wrong or unknown parameter.",
    401: "Credentials are missing, wrong, expired or revoked.",
    403: "The caller is known, but may not do this.",
    404: "There is no such thing.",
    406: "The answer is only available as application/json.",
    409: "The request contradicts the present state.",
    410: "The cursor is too old.",
    412: "The resource is not in the state that the request demands; ETag has its state.",
    413: "The body is too large.",
    415: "The body is not of the media type that the operation takes, or is encoded.",
    416: "The file has no such part.",
    422: "The body has wrong fields; details names them.",
    428: "This installation wants If-Match on every change.",
    429: "Too many requests.",
    500: "A bug; the request id helps to find it in the log.",
    503: "A part of the service does not answer.",
}

# Sentences as a caller meets them, where they are not those of FRAMEWORK, and the fields that they name.
_SENTENCES = {
    400: "The request has parameters that cannot be used.",
    403: "You may not do this.",
    409: REFUSALS[409],
    410: "This cursor is too old. Start again with an empty cursor.",
    412: CHANGED,
    416: REFUSALS[416],
    422: "The request has invalid fields.",
    428: REQUIRED,
    500: INTERNAL[1],
    503: AWAY,
}
_DETAILS = {400: {"no_such": ["Unknown parameter."]}, 422: {"title": [checks.REQUIRED]}}


def refuses(*codes: int) -> Callable[[Verb], Verb]:
    """Document error codes that an operation has beside those that all have."""

    def decorate(verb: Verb) -> Verb:
        # What a verb has said itself of a code, such as readiness of 503, stays.
        known = documented_responses(verb)
        return document(
            verb, responses={code: (REFUSALS[code], error_out, {}) for code in codes if str(code) not in known}
        )

    return decorate


def error_sample(status: int) -> dict[str, Any]:
    """Return the envelope of a refusal with this status."""
    message = _SENTENCES.get(status) or framework_words(status)[1]
    return envelope(Failure(status, code_of(status), message, _DETAILS.get(status)), REQUEST_ID)


def with_error_samples(document: dict[str, Any]) -> dict[str, Any]:
    """Add to each refusal in a document what it looks like; else all would show the code of one."""
    for item in document.get("paths", {}).values():
        for operation in item.values():
            answers = operation.get("responses", {}) if isinstance(operation, dict) else {}
            for status, answer in answers.items():
                if answer.get("schema") == ERROR:
                    answer["examples"] = {"application/json": error_sample(int(status))}
    return document
