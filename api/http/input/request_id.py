"""The id by which a request is known in its answer, in errors and in the logs."""

import re
from secrets import token_hex

from flask import Flask, Response, g, request

from core.platform.logs import context
from core.platform.text import redaction

HEADER = "X-Request-ID"
_SANE = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")


def init_request_ids(app: Flask) -> None:
    """Give every request an id: the caller's if it is sane, else a new one."""

    @app.before_request
    def assign() -> None:
        g.request_id = begin(request.headers.get(HEADER, ""), request.remote_addr)

    @app.after_request
    def echo(response: Response) -> Response:
        response.headers[HEADER] = current_request_id()
        return response


def begin(sent: str, address: str | None) -> str:
    """Let this thread work for a new request from this address, of which nothing is known yet; return its id."""
    own_id = choose(sent)
    context.request_id.set(own_id)
    context.user_id.set(None)
    context.key_id.set(None)
    redaction.forget_confided()
    context.address.set(address)
    return own_id


def choose(sent: str) -> str:
    """Return the id that a caller sent if it is sane, else a new one."""
    return sent if _SANE.fullmatch(sent) else token_hex(16)


def current_request_id() -> str:
    """Return the id of the request being answered."""
    if "request_id" not in g:
        # The request failed before `assign` could run.
        g.request_id = token_hex(16)
    return str(g.request_id)
