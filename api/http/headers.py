"""Headers that every answer has."""

from flask import Flask, Response, request

# Retry-After means "come back later" (RFC 9110, section 10.2.3), never "you may stay".
RETRY_STATUSES = (202, 413, 429, 503)
# Where a good answer may say when to look again.
POLLED_ENDPOINTS = ("api.jobs_job", "api.jobs_job_alias")


def init_headers(app: Flask) -> None:
    """Say how an answer may be cached, and by what it varies."""

    @app.after_request
    def add_headers(response: Response) -> Response:
        if response.status_code not in RETRY_STATUSES and request.endpoint not in POLLED_ENDPOINTS:
            response.headers.pop("Retry-After", None)
        if response.status_code in (204, 304):
            response.headers.pop("Content-Type", None)  # Of a body that is not there.
        if request.path.startswith("/api/v1"):
            for name in ("Authorization", "Cookie", "X-API-Key", "Accept"):
                response.vary.add(name)
            if "Cache-Control" not in response.headers:
                # A reader may keep its copy, but has to ask whether it still holds.
                is_read = request.method in ("GET", "HEAD")
                response.headers["Cache-Control"] = "private, no-cache" if is_read else "no-store"
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        return response
