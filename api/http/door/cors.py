"""Pages of other origins that may call the API from a browser (CORS)."""

from flask import Flask, Response, request
from flask_cors import CORS

from api.http.answers import etags
from api.http.door import deprecation, idempotency, limit_headers
from api.http.input import request_id
from core.platform.config.settings import Settings

# What a page may send. `Accept` and the like need no permission.
SENT_HEADERS = (
    "Authorization",
    "Content-Type",
    etags.IF_MATCH,
    etags.IF_NONE_MATCH,
    "X-API-Key",
    "X-CSRF-TOKEN",
    idempotency.HEADER,
    request_id.HEADER,
)
# What a page may read of an answer, beside what every page may.
SHOWN_HEADERS = (
    "Accept-Ranges",
    "Content-Disposition",
    "Content-Range",
    "ETag",
    "Link",
    "Location",
    "Accept-Patch",
    "Retry-After",
    "WWW-Authenticate",
    *limit_headers.NAMES,
    *deprecation.HEADERS,
    idempotency.REPLAYED,
    request_id.HEADER,
)
# For how long a browser need not ask again; Chromium takes no more than two hours.
PREFLIGHT_SECONDS = 7200


def init_cors(app: Flask, settings: Settings) -> None:
    """Let pages of the configured origins in; without any, no answer says a word about it."""
    if not settings.cors_origins:
        return
    CORS(
        app,
        resources=r"/api/.*",
        origins=settings.cors_origins,
        methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=list(SENT_HEADERS),
        expose_headers=list(SHOWN_HEADERS),
        supports_credentials=settings.cors_credentials,
        send_wildcard="*" in settings.cors_origins,
        always_send=False,
        max_age=PREFLIGHT_SECONDS,
    )

    # Also where Flask-Cors has nothing to say, because the origin is another one.
    @app.after_request
    def vary(response: Response) -> Response:
        if request.path.startswith("/api/"):
            response.vary.add("Origin")
        return response


def is_preflight() -> bool:
    """Return whether a browser only asks what it may ask (Fetch standard, section 3.3.2)."""
    return request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
