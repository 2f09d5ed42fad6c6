"""HTTP Basic credentials (RFC 7617), which only a login takes."""

from flask import request

from api.http.input.peer import peer_address
from core.platform.errors import Malformed
from core.platform.text import redaction


def presented_credentials() -> dict[str, str] | None:
    """Return the username and the password of a login that has no body but a Basic header.

    With a body, the header is not looked at: the form of Swagger UI comes with
    an empty one.
    """
    try:
        sent = request.authorization
    except ValueError:
        return None  # Werkzeug only expects ASCII.
    if request.get_data() or sent is None or sent.type != "basic" or sent.username is None:
        return None
    redaction.confide(sent.password)
    return {"username": sent.username, "password": sent.password or ""}


def require_confidential_channel() -> None:
    """Raise Malformed unless the request came by HTTPS or from this machine.

    Says nothing about the credentials, which were not looked at.
    """
    peer = peer_address()
    if not (request.is_secure or (peer is not None and peer.is_loopback)):
        raise Malformed("Basic credentials are only accepted over HTTPS.")
