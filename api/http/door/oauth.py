"""The password grant of OAuth 2, as its clients read it (RFC 6749): errors are two strings, not our envelope.

Where a caller sends JSON, or Basic credentials without a body, errors are those of every other operation.
"""

import re
from collections.abc import Mapping
from typing import Any

from flask import request

from api.http.input.media import URLENCODED
from core.platform.errors import Malformed

TOKEN_ENDPOINT = "api.auth_login"  # noqa: S105 - the name of a route

_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*")
# What a description cannot have (section 5.2).
_UNTELLABLE = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e]")
# A failed log-in stays 401, as it is for JSON: section 5.2 asks for it only where the client itself is refused, and
# its clients read the body whatever the status is.
_CODES = {
    401: "invalid_grant",
    # These two are of the authorization endpoint (section 4.1.2.1), as this one has no words for them.
    429: "temporarily_unavailable",
    500: "server_error",
    503: "temporarily_unavailable",
}


class UnsupportedGrant(Malformed):
    """A grant is asked for that is not offered."""

    code = "unsupported_grant_type"


class InvalidScope(Malformed):
    """The scope is not even a list of words. Which words it has does not matter: the role decides."""

    code = "invalid_scope"


def is_grant() -> bool:
    """Return whether the current request comes from a client of OAuth, in whatever it may be wrong."""
    return request.endpoint == TOKEN_ENDPOINT and request.method == "POST" and request.mimetype == URLENCODED


def read_grant(form: Mapping[str, str]) -> dict[str, Any]:
    """Return username (or email) and password. Raises Malformed for what is no password grant.

    Clients send client_id and client_secret too, which a server may ignore.
    """
    # What has no value counts as omitted (section 3.2).
    sent = {name: value for name, value in form.items() if value}
    if "grant_type" not in sent:
        raise Malformed("The form lacks grant_type.", details={"grant_type": ["Must be password."]})
    if sent["grant_type"] != "password":
        raise UnsupportedGrant("Only the password grant is offered.", details={"grant_type": ["Must be password."]})
    if "scope" in sent and not _SCOPE.fullmatch(sent["scope"]):
        raise InvalidScope("The scope must be words with single spaces between them.")
    return {name: sent[name] for name in ("username", "email", "password") if name in sent}


def refusal(status: int, code: str, message: str, details: Mapping[str, Any] | None) -> tuple[int, dict[str, Any]]:
    """Return the status and the body of a refused grant."""
    own = (UnsupportedGrant.code, InvalidScope.code)
    faults = [f"{name}: {' '.join(sentences)}" for name, sentences in (details or {}).items()]
    body = {
        "error": code if code in own else _CODES.get(status, "invalid_request"),
        "error_description": _UNTELLABLE.sub("?", " ".join([message, *faults]).replace('"', "'")),
    }
    # Wrong values are 400 here, like all that is wrong with the request (section 5.2).
    return 400 if status == 422 else status, body
