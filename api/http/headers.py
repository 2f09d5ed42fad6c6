"""Headers that every answer has."""

from flask import Flask, Response, request

# The limiters tell here, with every answer, when their window ends; it stays inside this process.
WINDOW_ENDS = "X-Tasklane-Window-Ends"


def init_headers(app: Flask) -> None:
    """Say how an answer may be cached, and by what it varies."""

    @app.after_request
    def add_headers(response: Response) -> Response:
        window_ends = response.headers.pop(WINDOW_ENDS, None)
        # Retry-After means "come back later" (RFC 9110, section 10.2.3), never "you may stay"; and whoever
        # has said when, such as a job, a lock or an upstream, knows better than a limiter.
        if response.status_code == 429 and window_ends is not None:
            response.headers.setdefault("Retry-After", str(max(1, int(window_ends))))
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
