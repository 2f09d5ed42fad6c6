"""The id by which a request is known in its answer, in errors and in the logs."""

import re
from uuid import uuid4

from flask import Flask, Response, g, request

from core import logs

HEADER = "X-Request-ID"
_SANE = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")


def init_request_ids(app: Flask) -> None:
    """Give every request an id: the caller's if it is sane, else a new one."""

    @app.before_request
    def assign() -> None:
        sent = request.headers.get(HEADER, "")
        g.request_id = sent if _SANE.fullmatch(sent) else uuid4().hex
        logs.request_id.set(g.request_id)
        logs.user_id.set(None)
        logs.address.set(request.remote_addr)

    @app.after_request
    def echo(response: Response) -> Response:
        response.headers[HEADER] = current_request_id()
        return response


def current_request_id() -> str:
    """Return the id of the request being answered."""
    if "request_id" not in g:
        # The request failed before `assign` could run.
        g.request_id = uuid4().hex
    return str(g.request_id)
