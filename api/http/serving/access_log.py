"""One line a request: what was asked, what was answered, how long it took."""

import logging
import time
from urllib.parse import quote

from flask import Flask, Response, g, request

from api.http.input.continuation import GO_ON
from core.platform.logs import context
from core.platform.text.redaction import REDACTED, is_secret_name

log = logging.getLogger("tasklane.access")

# What answered a path that there is not.
UNMATCHED = "unmatched"


def init_access_log(app: Flask) -> None:
    """Log every request when it has been answered."""

    @app.before_request
    def begin() -> None:
        g.began_at = time.perf_counter()

    @app.after_request
    def write(response: Response) -> Response:
        if log.isEnabledFor(logging.INFO) and response.status_code != GO_ON:
            _write(response)
        return response


def _write(response: Response) -> None:
    # An answer in pieces says itself how long it will be, or it is not known yet.
    size = response.content_length if response.is_streamed else response.calculate_content_length()
    if request.method == "HEAD":
        size = 0
    write_line(request.method, route(), shown_path(), response.status_code, seconds_so_far(), size)


def write_line(method: str, route: str, path: str, status: int, seconds: float, size: int | None) -> None:
    """Log an answer. The path is as `shown_path` returns it."""
    milliseconds = round(seconds * 1000, 1)
    fields = {
        "method": method,
        "route": route,
        "path": path,
        "status": status,
        "duration_ms": milliseconds,
        "bytes": size,
        "address": context.address.get(),
    }
    words = f"{method} {path} {status} {milliseconds} ms"
    text = words if size is None else f"{words} {size} B"
    # As the library does it, but for the look at the stack, which would find this very line each time.
    log.handle(log.makeRecord(log.name, logging.INFO, __file__, 0, text, (), None, extra=fields))


def seconds_so_far() -> float:
    """Return how long the request being answered has taken."""
    now = time.perf_counter()
    return now - float(g.get("began_at", now))


def route() -> str:
    """Return the template of the route that answers, of which there are only so many."""
    return UNMATCHED if request.url_rule is None else request.url_rule.rule


def shown_path() -> str:
    """Return the path for a log: quoted again, so that it cannot forge a line, and without its query and its tokens."""
    path = quote(request.path)
    for name, value in (request.view_args or {}).items():
        if is_secret_name(name):
            path = path.replace(quote(str(value)), REDACTED)
    return path
