"""HTTP under a deadline: no upstream, however it misbehaves, holds a thread for longer.

httpx limits each wait, so a peer that sends a byte now and then is never late.
Here every wait also ends with the call that it belongs to. And a connection is
used again only if its last answer was exactly as long as it said: what follows
an answer would otherwise be taken for the answer to another caller's request.

A name is resolved once, here, and the connection goes to one of the addresses that
were looked at: so a name of the internet that suddenly leads into a private network
leads nowhere.
"""

import socket
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

import httpcore
import httpx

from core.platform import addresses, clock

FAILURES = (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError)

_PIECE = 16 * 1024
_ends_at: ContextVar[float] = ContextVar("upstream_deadline")
_allow_private: ContextVar[bool] = ContextVar("upstream_allow_private")


class PrivateAddress(httpcore.ConnectError):
    """A public name leads only to addresses that it must not lead to."""


@contextmanager
def call(*, ends_at: float, allow_private: bool) -> Iterator[None]:
    """Let everything that is sent and received inside end at a moment of the monotonic clock.

    `allow_private` is whether a public name may lead into a private network.
    """
    tokens = _ends_at.set(ends_at), _allow_private.set(allow_private)
    try:
        yield
    finally:
        _ends_at.reset(tokens[0])
        _allow_private.reset(tokens[1])


def seconds_left() -> float:
    """Return how long the present call may still take. Raises httpcore.ReadTimeout when that is over."""
    left = _ends_at.get() - clock.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("The call took too long.")
    return left


def _within(timeout: float | None) -> float:
    return seconds_left() if timeout is None else min(timeout, seconds_left())


class _Stream(httpcore.NetworkStream):
    """A connection on which no wait outlasts the call, and which knows what its last answer has left unread."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner
        self._head = b""
        self._received = 0

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = self._inner.read(max_bytes, _within(timeout))
        if b"\r\n\r\n" not in self._head:
            self._head += data
        self._received += len(data)
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._head, self._received = b"", 0
        # In pieces, because the limit holds for each piece as a whole.
        for start in range(0, len(buffer), _PIECE):
            self._inner.write(buffer[start : start + _PIECE], _within(timeout))

    def has_given_exactly(self, body_bytes: int) -> bool:
        """Return whether the last answer was a head, so many bytes, and nothing after them."""
        head_bytes = self._head.find(b"\r\n\r\n") + 4
        return head_bytes >= 4 and self._received == head_bytes + body_bytes

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, _within(timeout)))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Backend(httpcore.SyncBackend):
    """Opens connections, to whichever address of a name answers in time."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        # A name that cannot be spelled in DNS is no name.
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(str(error)) from error
        failure: Exception = PrivateAddress("The name leads into a private network.")
        for address in dict.fromkeys(str(info[4][0]) for info in found):
            if not addresses.may_connect(host, address, allow_private=_allow_private.get()):
                continue
            try:
                return _Stream(super().connect_tcp(address, port, _within(timeout), local_address, socket_options))
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure


class _Body(httpx.SyncByteStream):
    """The body of an answer, which ends the connection unless it was as long as announced."""

    def __init__(self, response: httpcore.Response) -> None:
        self._response = response
        self._read = 0

    def __iter__(self) -> Iterator[bytes]:
        for part in self._response.iter_stream():
            self._read += len(part)
            yield part

    def close(self) -> None:
        connection = self._response.extensions["network_stream"]
        # Where the end of a chunked answer is on the wire is not known here, so such a connection ends too.
        if not isinstance(connection, _Stream) or not connection.has_given_exactly(self._read):
            connection.close()
        self._response.close()


@cache
def tls_context() -> ssl.SSLContext:
    """Return how certificates are verified: by the public authorities of httpx, and by the system's store.

    All upstreams share it, because reading hundreds of certificates takes 30 ms.
    """
    context = httpx.create_ssl_context(trust_env=False)
    # A company's own authority is in the store of the system.
    context.load_default_certs()
    return context


class DeadlineTransport(httpx.BaseTransport):
    """Sends requests of an httpx.Client over pooled connections. Raises FAILURES."""

    def __init__(self) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=tls_context(), max_connections=None, keepalive_expiry=5, network_backend=_Backend()
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        response = self._pool.handle_request(
            httpcore.Request(
                request.method,
                httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx.Response(
            response.status, headers=response.headers, stream=_Body(response), extensions=response.extensions
        )

    def close(self) -> None:
        self._pool.close()
