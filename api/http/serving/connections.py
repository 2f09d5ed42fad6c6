"""Connections of waitress: answered before a body that is not wanted, and read to the end after a refusal."""

import socket
import time
from contextlib import suppress
from typing import Any

from waitress.channel import HTTPChannel

from api.http.serving.handlers import Handler, Question, Refusal
from api.http.serving.request_parser import Parser

# A connection that was refused before its body was read is heard for so long and so much: closed
# at once, it would be reset, and its client would never see the answer (RFC 9112, section 9.6).
LINGER_SECONDS = 2.0
LINGER_BYTES = 16 * 1024 * 1024


class Channel(HTTPChannel):
    """One connection."""

    error_task_class = Refusal
    parser_class = Parser
    close_when_flushed: bool
    last_activity: float
    # Whether the client may still be sending what will not be read.
    leaves_unread = False
    _heard_until: float | None = None
    _heard_bytes = 0

    def __init__(self, server: Any, *args: Any, **options: Any) -> None:
        super().__init__(server, *args, **options)
        server.loop.look_at(self)

    def del_channel(self, map: Any = None) -> None:  # noqa: A002 - waitress's name
        descriptor = self._fileno
        super().del_channel(map)
        self.server.loop.forget(descriptor)

    @staticmethod
    def task_class(channel: "Channel", request: Parser) -> Handler:
        """Return what answers a request; waitress has a class here."""
        return (Question if request.is_question else Handler)(channel, request)

    def send_continue(self) -> None:
        """Ask the application first. Called with the lock on the requests, of which there are none."""
        self.request.expect_continue = False
        self.requests.append(self.request.without_body())
        self.server.add_task(self)

    def ask_for_body(self) -> None:
        """Ask the client to go on, unless it has not waited for that."""
        with self.requests_lock:
            is_waited_for = len(self.requests) == 1
        if is_waited_for:
            self.write_soon(b"HTTP/1.1 100 Continue\r\n\r\n")

    def write_soon(self, data: Any) -> int:
        """Send at once what can be sent so, which is almost everything, and the rest by way of the buffers."""
        sent = 0
        if type(data) is bytes:
            with self.outbuf_lock:
                # Whoever closes the connection says so under this lock, before the socket goes.
                if self.connected and not self.total_outbufs_len:
                    with suppress(OSError):  # The buffers run into it again, and know what to do.
                        sent = self.send(data, do_close=False)
        if sent == len(data):
            self.last_activity = time.time()
            return sent
        return sent + int(super().write_soon(data[sent:] if sent else data))

    def handle_write(self) -> None:
        """Send; after the last answer, hear out who may still be sending."""
        if not (self.close_when_flushed and self.leaves_unread):
            super().handle_write()
            return
        self._flush_exception(self._flush_some)
        if self.will_close:
            self.handle_close()
        elif not self.total_outbufs_len:
            self.close_when_flushed = False
            self._heard_until = time.time() + LINGER_SECONDS
            try:
                self.socket.shutdown(socket.SHUT_WR)
            except OSError:
                self.handle_close()

    def readable(self) -> bool:
        return not self.will_close if self.is_heard_out else bool(super().readable())

    def handle_read(self) -> None:
        if not self.is_heard_out:
            super().handle_read()
            return
        try:
            data = self.recv(self.adj.recv_bytes)
        except OSError:
            data = b""
        self._heard_bytes += len(data)
        if not data or self._heard_bytes > LINGER_BYTES:
            self.handle_close()

    @property
    def is_heard_out(self) -> bool:
        """Return whether all is said, and nothing that comes counts any more."""
        return self._heard_until is not None

    def is_over(self, now: float, cutoff: float) -> bool:
        """Return whether it is to be closed: silent, unread or dripping since `cutoff`, or heard out until `now`."""
        if self.will_close or (self._heard_until is not None and self._heard_until < now):
            return True
        if self.total_outbufs_len and self.last_activity < cutoff:
            # Its client does not read. A thread that waits for that is set free.
            return True
        # While a request is answered nothing is read, so the next one cannot come any sooner.
        is_arriving = self.request is not None and not self.request.headers_finished and not self.requests
        return is_arriving and bool(self.request.began_at < cutoff)

    def is_leaving(self) -> bool:
        """Return whether the request in work is the last one of a process that leaves."""
        if not self.server.is_draining:
            return False
        with self.requests_lock:
            return len(self.requests) <= 1

    def is_idle_since(self, moment: float) -> bool:
        """Return whether nothing has arrived, is in work or has to be sent, and nothing was since `moment`."""
        if self.is_heard_out:
            return True
        if self.requests or self.request is not None or self.total_outbufs_len or self.last_activity > moment:
            return False
        try:
            # Perhaps something has arrived since the loop looked.
            return bool(self.socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b"")
        except OSError:
            return True
