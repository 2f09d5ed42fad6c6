"""Refusals of the password grant, as clients of OAuth 2 read them (RFC 6749): two strings, not our envelope.

Where a caller sends JSON, or Basic credentials without a body, errors are those of every other operation.
"""

import re
from collections.abc import Mapping
from typing import Any

from api.http.input.grants import InvalidScope, UnsupportedGrant

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
