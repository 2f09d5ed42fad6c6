"""Credentials in the document: what Swagger 2.0 cannot say of a Bearer token, and of the cookie of a browser."""

from collections.abc import Mapping
from typing import Any

Requirements = list[dict[str, list[str]]]

PASSWORD, BEARER, API_KEY, SESSION, CSRF = "Password", "Bearer", "ApiKey", "Session", "CsrfToken"
_READS = ("get",)


def requirements(method: str, old: Requirements) -> Requirements:
    """Return by which credentials an operation is reached: where a log-in opens it, so does the cookie of a browser.

    The cookie needs its token in a header beside it, where something is changed.
    """
    if {PASSWORD: []} not in old:
        return old
    return [*old, {SESSION: []} if method in _READS else {SESSION: [], CSRF: []}]


def schemes(old: Mapping[str, Any], *, cookie: str, header: str, log_in: str) -> dict[str, Any]:
    """Return all ways to say who asks, with the name of the cookie and of the header beside it, and where to log in."""
    return {
        PASSWORD: {
            "type": "oauth2",
            "description": "Log in with your username, or e-mail address, and your password.",
            "flows": {"password": {"tokenUrl": log_in, "scopes": {}}},
        },
        BEARER: {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "An access token of POST /v1/auth/login; for POST /v1/auth/refresh its refresh token.",
        },
        API_KEY: old[API_KEY],
        SESSION: {
            "type": "apiKey",
            "in": "cookie",
            "name": cookie,
            "description": "The cookie of POST /v1/auth/session. The browser sends it by itself.",
        },
        CSRF: {
            "type": "apiKey",
            "in": "header",
            "name": header,
            "description": "The csrf_token of POST /v1/auth/session, for requests by its cookie that change something.",
        },
    }
