"""One line a request: what was asked, what was answered, how long it took."""

import logging
import time
from urllib.parse import quote

from flask import Flask, Response, g, request

log = logging.getLogger("tasklane.access")


def init_access_log(app: Flask) -> None:
    """Log every request when it has been answered."""

    @app.before_request
    def begin() -> None:
        g.began_at = time.perf_counter()

    @app.after_request
    def write(response: Response) -> Response:
        milliseconds = (time.perf_counter() - g.get("began_at", time.perf_counter())) * 1000
        # Quoted again, so that no path can forge a line; without the query, which may hold anything.
        log.info("%s %s %s %.1f ms", request.method, quote(request.path), response.status_code, milliseconds)
        return response
