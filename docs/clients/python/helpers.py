"""Three things that no generator makes: an error with words, every page of a list, and a request that is sent again."""

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import httpx
from tasklane_client import AuthenticatedClient, Client
from tasklane_client.api.auth import log_in
from tasklane_client.models import ErrorResponse, Login, Tokens

TRIES = 5

Wanted = TypeVar("Wanted")


class Refused(Exception):
    """A refusal of the server, in its own words."""

    def __init__(self, refusal: ErrorResponse) -> None:
        super().__init__(f"{refusal.error.code}: {refusal.error.message} (request {refusal.error.request_id})")
        self.error = refusal.error


def got(kind: type[Wanted], answer: object) -> Wanted:
    """Return an answer of this kind, or raise Refused."""
    if isinstance(answer, ErrorResponse):
        raise Refused(answer)
    assert isinstance(answer, kind), answer
    return answer


def every_page(list_page: Callable[..., Any], **options: Any) -> Iterator[Any]:
    """Yield each thing of a list, by cursors, so that none is lost or met twice while others come and go."""
    cursor: str | None = ""
    while cursor is not None:
        page = list_page(cursor=cursor, **options)
        if isinstance(page, ErrorResponse):
            raise Refused(page)
        yield from page.data
        cursor = page.meta.pagination.next_cursor


class Retrying(httpx.BaseTransport):
    """Sends a request again after a lost connection, and after 429 and 503 when `Retry-After` says so.

    A POST gets an idempotency key, and keeps it, so it has its effect once however often it is sent.
    """

    def __init__(self, inner: httpx.BaseTransport | None = None) -> None:
        self.inner = inner or httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Return the answer of the server, the last one if it goes on refusing."""
        if request.method == "POST":
            request.headers.setdefault("Idempotency-Key", str(uuid.uuid4()))
        for attempt in range(1, TRIES):
            try:
                response = self.inner.handle_request(request)
            except httpx.TransportError:
                time.sleep(2**attempt / 8)
                continue
            if response.status_code not in (429, 503):
                return response
            response.close()
            time.sleep(float(response.headers.get("Retry-After", 1)))
        return self.inner.handle_request(request)


def client_of(url: str, username: str, password: str) -> AuthenticatedClient:
    """Log in, and return a client that repeats what may be repeated."""
    tokens = got(Tokens, log_in.sync(client=Client(url), body=Login(username=username, password=password)))
    return AuthenticatedClient(url, tokens.access_token, httpx_args={"transport": Retrying()})
