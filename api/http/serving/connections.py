"""Connections of waitress: read with suspicion, answered before a body that nobody wants, refused in the envelope."""

import copy
import errno
import logging
import re
import select
import socket
import time
from typing import Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, WSGITask
from waitress.utilities import Error

from api.http.answers import errors, headers
from api.http.answers.negotiation import JSON
from api.http.input import request_id
from api.http.input.continuation import ASKED, GO_ON
from api.http.serving.chunks import Chunks
from core.platform.logs import context

log = logging.getLogger("tasklane.server")

# A connection may be silent for this long, and a request's header may take this long to arrive.
SILENCE_SECONDS = 30


# A connection that was refused before its body was read is heard for so long and so much: closed
# at once, it would be reset, and its client would never see the answer (RFC 9112, section 9.6).
LINGER_SECONDS = 2.0
LINGER_BYTES = 16 * 1024 * 1024
# What `accept` fails with while this process or machine has no room for another connection.
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
REST_SECONDS = 0.2
REPORT_SECONDS = 1.0


# What is said of the coding of a body, in each header of this name. Waitress forgets what is empty.
_ENCODING = re.compile(rb"\ntransfer-encoding:(.*)", re.IGNORECASE)
_GO_AHEAD = "100-continue"


class ExpectationFailed(Error):
    """The client waits for something else than leave to send its body."""

    code = 417
    reason = "Expectation Failed"


class Parser(HTTPRequestParser):
    """Knows when its request began, and refuses what waitress would choke on or another server would read otherwise."""

    error: Any
    body_rcv: Any

    def __init__(self, adj: Adjustments) -> None:
        super().__init__(adj)
        self.began_at = time.time()
        self.is_question = False
        self.expected: set[str] = set()

    def received(self, data: bytes) -> int:
        count: int = super().received(data)
        if self.error is None and self.expected - {_GO_AHEAD}:
            self.error = ExpectationFailed(f"Only {_GO_AHEAD} is understood.")
            self.completed = True
        if self.error is not None:
            # Waitress would first ask for the body, and then wait for it.
            self.expect_continue = False
        return count

    def without_body(self) -> "Parser":
        """Return the request as it is before its body: a question whether that is welcome."""
        question = copy.copy(self)
        question.headers = dict(self.headers)
        question.body_rcv = None
        question.completed = True
        question.is_question = True
        return question

    def parse_header(self, header_plus: bytes) -> None:
        try:
            super().parse_header(header_plus)
        except ValueError as error:
            # For example a host in brackets that is no address, or a length of 5,000 digits.
            raise ParsingError("The request line or the length is invalid.") from error
        encodings = [value.strip(b" \t\r").lower() for value in _ENCODING.findall(header_plus)]
        if encodings and (encodings != [b"chunked"] or not self.chunked or "CONTENT_LENGTH" in self.headers):
            # RFC 9112, section 6.1: whoever is in front may have found another end of this request.
            raise ParsingError("The end of the body is not clear.")
        if self.version == "1.1" and "HOST" not in self.headers:
            raise ParsingError("HTTP/1.1 needs a Host.")  # RFC 9112, section 3.2
        if self.chunked:
            self.body_rcv = Chunks(self.body_rcv.buf)
        if self.version == "1.1":
            self.expected = {word.strip().lower() for word in self.headers.get("EXPECT", "").split(",")} - {""}
            # Waitress knows it only where it stands alone.
            self.expect_continue = _GO_AHEAD in self.expected
        if self.body_rcv is None:
            # Nobody waits for leave to send nothing. Waitress would take the next request for a part of this one.
            self.expect_continue = False


class Task(WSGITask):
    """Says `Connection: close` with the last answer on a connection of a process that leaves."""

    def build_response_header(self) -> bytes:
        if self.channel.is_leaving():
            self.request.headers["CONNECTION"] = "close"
        header: bytes = super().build_response_header()
        return header


class Question(Task):
    """Asks the application whether it wants the body, and answers if it does not."""

    def execute(self) -> None:
        self.get_environment()[ASKED] = True
        super().execute()

    def build_response_header(self) -> bytes:
        # What the client does with the body now is not known, so the next request could not be found.
        self.set_close_on_finish()
        self.channel.leaves_unread = True
        return super().build_response_header()

    def finish(self) -> None:
        if self.status.startswith(str(GO_ON)):
            self.channel.ask_for_body()
        else:
            super().finish()


class Refusal(ErrorTask):
    """Answers what never reaches the application in the same shape as everything else."""

    def execute(self) -> None:
        own_id = request_id.choose(self.request.headers.get("X_REQUEST_ID", ""))
        error = self.request.error
        body = errors.server_refusal(error.code, own_id)
        # This thread may have answered somebody before.
        context.request_id.set(own_id)
        context.user_id.set(None)
        context.key_id.set(None)
        fields = {"status": error.code, "address": self.channel.addr[0]}
        log.info("Refused before the application saw it: %s %s", error.code, error.reason, extra=fields)
        self.status = f"{error.code} {error.reason}"
        self.response_headers += [
            ("Content-Type", JSON),
            ("Cache-Control", "no-store"),
            *headers.ALWAYS.items(),
            (request_id.HEADER, own_id),
        ]
        self.set_close_on_finish()
        self.channel.leaves_unread = True
        self.content_length = len(body)
        self.write(body)


class Channel(HTTPChannel):
    """One connection."""

    error_task_class = Refusal
    parser_class = Parser
    close_when_flushed: bool
    # Whether the client may still be sending what nobody will read.
    leaves_unread = False
    _heard_until: float | None = None
    _heard_bytes = 0

    @staticmethod
    def task_class(channel: "Channel", request: Parser) -> Task:
        """Return what answers a request; waitress has a class here."""
        return (Question if request.is_question else Task)(channel, request)

    def send_continue(self) -> None:
        """Ask the application first. Called with the lock on the requests, of which there are none."""
        self.request.expect_continue = False
        self.requests.append(self.request.without_body())
        self.server.add_task(self)

    def ask_for_body(self) -> None:
        """Tell the client to go on, unless it has not waited for that."""
        with self.requests_lock:
            is_waited_for = len(self.requests) == 1
        if is_waited_for:
            self.write_soon(b"HTTP/1.1 100 Continue\r\n\r\n")

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
        """Whether all is said, and nothing that comes counts any more."""
        return self._heard_until is not None

    def is_heard_enough(self, now: float) -> bool:
        """Whether a client that was told the end has had the time to hear it."""
        return self._heard_until is not None and self._heard_until < now

    def is_leaving(self) -> bool:
        """Whether the request in work is the last one of a process that leaves."""
        with self.requests_lock:
            return bool(self.server.is_draining and len(self.requests) <= 1)

    def is_idle_since(self, moment: float) -> bool:
        """Whether nothing has arrived, is in work or has to be sent, and nothing was since `moment`."""
        if self.is_heard_out:
            return True
        if self.requests or self.request is not None or self.total_outbufs_len or self.last_activity > moment:
            return False
        try:
            # Perhaps something has arrived since the loop looked.
            return bool(self.socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b"")
        except OSError:
            return True


class Listener(TcpWSGIServer):
    """One listening socket, shared with other processes."""

    channel_class = Channel
    is_draining = False
    _rests_until = 0.0
    _reported_at = 0.0
    _refused = 0

    def readable(self) -> bool:
        return bool(super().readable()) and time.monotonic() >= self._rests_until

    def accept(self) -> Any:
        """Take a connection. When there is no room for one, rest a little: it stays in the kernel's queue."""
        try:
            return super().accept()
        except OSError as error:
            if error.errno not in _EXHAUSTED:
                raise
            self._rest(error)
            return None

    def _rest(self, error: OSError) -> None:
        now = time.monotonic()
        self._rests_until = now + REST_SECONDS
        self._refused += 1
        if now - self._reported_at >= REPORT_SECONDS:
            log.error(
                "No room for another connection: %s. It was tried %s times; those who wait are served when there is.",
                error.strerror,
                self._refused,
            )
            self._reported_at, self._refused = now, 0

    def maintenance(self, now: float) -> None:
        """Close what is silent, and what has been sending a header for too long, drop by drop."""
        super().maintenance(now)
        for channel in self.active_channels.values():
            arriving = channel.request
            if channel.is_heard_enough(now):
                channel.will_close = True
            if arriving is not None and not arriving.headers_finished and arriving.began_at < now - SILENCE_SECONDS:
                channel.will_close = True

    def leave(self) -> None:
        """Take what the kernel has accepted already, then close this process's copy of the socket."""
        self.is_draining = True
        poller = select.poll()
        poller.register(self.socket, select.POLLIN)
        # At most as many as fit into the queue: a process out of files would otherwise try for ever.
        for _ in range(self.adj.backlog):
            if not poller.poll(0):
                break
            self.handle_accept()
        # Not `self.close()`: that would also close the trigger by which threads wake the loop.
        wasyncore.dispatcher.close(self)
