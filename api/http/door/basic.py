"""HTTP Basic credentials (RFC 7617), which only a login takes."""

from ipaddress import IPv6Address, ip_address

from flask import request

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
    if not (request.is_secure or _is_loopback(request.remote_addr)):
        raise Malformed("Basic credentials are only accepted over HTTPS.")


def _is_loopback(address: str | None) -> bool:
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return False  # A unix socket has a proxy behind it, and whoever behind that.
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        return parsed.ipv4_mapped.is_loopback
    return parsed.is_loopback
