"""Waitress with an end that loses nothing, and refusals in the envelope.

Waitress itself answers only what its threads are working on when it is asked to
end, and drops what waits. Here one loop goes on until every request that has
arrived is answered, every answer sent, and every connection closed at a moment
at which its client cannot be sending.
"""

import logging
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from waitress.adjustments import Adjustments

from api.http.serving.connections import Channel
from api.http.serving.listener import SILENCE_SECONDS, Listener
from api.http.serving.loop import Loop, Threads

log = logging.getLogger("tasklane.server")

# Waitress reads a whole body before the application sees it; above this it refuses by itself.
MAX_REQUEST_BYTES = 52 * 1024 * 1024
MAX_HEADER_BYTES = 32 * 1024
CONNECTIONS = 1000
# While draining: a connection without a request is left open for this share of the time to
# drain, at most for so long, so that a request on its way still arrives.
IDLE_SHARE = 0.1
LONGEST_IDLE_SECONDS = 2.0
LOOP_SECONDS = 1.0
DRAINING_LOOP_SECONDS = 0.05
HARDENED: dict[str, Any] = {
    "ident": None,
    "backlog": 1024,
    "connection_limit": CONNECTIONS,
    "channel_timeout": SILENCE_SECONDS,
    "cleanup_interval": 5,
    # More would keep reading while a request is in work (CVE-2024-49768).
    "channel_request_lookahead": 0,
    "max_request_header_size": MAX_HEADER_BYTES,
    "max_request_body_size": MAX_REQUEST_BYTES,
}


class Server:
    """Serves an application on sockets that listen already, until `stop` is called.

    `on_drain` is called when the end begins, so that answers which wait for
    something come at once. After `drain_seconds` whatever is left is cut.
    """

    def __init__(
        self,
        app: Callable[..., Any],
        sockets: Sequence[socket.socket],
        *,
        threads: int,
        trusted_proxies: int = 0,
        drain_seconds: float = 20,
        on_drain: Callable[[], None] = lambda: None,
    ) -> None:
        options: dict[str, Any] = {"sockets": sockets, "threads": threads, **HARDENED}
        if trusted_proxies:
            options |= {
                "trusted_proxy": "*",
                "trusted_proxy_count": trusted_proxies,
                "trusted_proxy_headers": "x-forwarded-for x-forwarded-proto x-forwarded-port",
            }
        adjustments = Adjustments(**options)
        self._drain_seconds = drain_seconds
        self._on_drain = on_drain
        self._is_stopping = False
        # Who stops the server writes into a pipe that the loop closes at its end. Reentrant, because a signal
        # handler runs in the thread of the loop.
        self._ending = threading.RLock()
        self._loop = Loop()
        self._threads = Threads(threads)
        self._listeners = [
            Listener(
                app,
                self._loop,
                _sock=each,
                dispatcher=self._threads,
                adj=adjustments,
                bind_socket=False,
                sockinfo=(each.family, each.type, each.proto, each.getsockname()),
            )
            for each in sockets
        ]

    def run(self) -> None:
        """Serve until `stop`, then answer what has come in, and return."""
        while not self._is_stopping:
            self._turn(LOOP_SECONDS)
        self._drain()
        self._threads.end(0.5)
        with self._ending:
            self._loop.close()

    def stop(self) -> None:
        """Begin to end. Signal handlers and other threads may call it, and more than once."""
        with self._ending:
            if self._is_stopping:
                return
            self._is_stopping = True
            self._listeners[0].pull_trigger()

    def _turn(self, seconds: float) -> None:
        for listener in self._listeners:
            # It rests for a while, or does what is to be done now and then.
            self._loop.look_at(listener)
            listener.sweep()
        self._loop.turn(seconds)

    def _drain(self) -> None:
        began = time.time()
        until = time.monotonic() + self._drain_seconds
        patience = min(self._drain_seconds * IDLE_SHARE, LONGEST_IDLE_SECONDS)
        for listener in self._listeners:
            listener.leave()
        self._on_drain()
        while self._has_work() and time.monotonic() < until:
            self._turn(DRAINING_LOOP_SECONDS)
            now = time.time()
            if now - began >= patience:
                self._close_idle(now - patience)
        if self._has_work():
            log.warning("%s connections are cut after %g s.", len(self._channels()), self._drain_seconds)

    def _channels(self) -> list[Channel]:
        return [channel for listener in self._listeners for channel in listener.active_channels.values()]

    def _has_work(self) -> bool:
        # A request is worked on to its end even if its client has gone.
        return self._threads.has_work() or bool(self._channels())

    def _close_idle(self, since: float) -> None:
        for channel in self._channels():
            if channel.is_idle_since(since):
                channel.handle_close()
