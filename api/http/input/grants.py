"""The password grant of OAuth 2 (RFC 6749, section 4.3), which only a login takes."""

import re
from collections.abc import Mapping
from typing import Any

from flask import request

from api.http.input.media import URLENCODED
from core.platform.errors import Malformed

TOKEN_ENDPOINT = "api.auth_login"  # noqa: S105 - the name of a route

_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+( [\x21\x23-\x5b\x5d-\x7e]+)*")


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
