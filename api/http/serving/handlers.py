"""Handlers of a request that has arrived: one asks the application, one only whether it wants the body, one refuses."""

import logging
from functools import lru_cache
from operator import itemgetter

from waitress.task import ErrorTask, WSGITask
from waitress.utilities import build_http_date

from api.http.answers import errors, headers
from api.http.answers.negotiation import JSON
from api.http.input import request_id
from api.http.input.continuation import ASKED, GO_ON
from core.platform.logs import context

log = logging.getLogger("tasklane.server")


# What waitress adds to a head, or has to know of it.
_ITS_OWN = frozenset({"Connection", "Date", "Server"})


class Handler(WSGITask):
    """Says `Connection: close` with the last answer on a connection of a process that leaves."""

    wrote_header: bool
    _ends_with_its_head = False

    def write(self, data: bytes) -> None:
        """Send the head together with a body that is whole."""
        if self.wrote_header or not self.complete or not self.has_body or self.content_length != len(data):
            super().write(data)
            return
        head = self.build_response_header()
        # Before it is sent: whatever fails then comes after a part of it, and must not begin another answer.
        self.wrote_header = True
        self.channel.write_soon(head + data)
        self.content_bytes_written = len(data)

    def build_response_header(self) -> bytes:
        if self.channel.is_leaving():
            self.request.headers["CONNECTION"] = "close"
        wants_to_stay = self.version == "1.1" and self.request.headers.get("CONNECTION", "").lower() != "close"
        self._ends_with_its_head = wants_to_stay and not self.has_body
        common = self._common_head() if wants_to_stay else None
        header: bytes = super().build_response_header() if common is None else common
        self._ends_with_its_head = False
        return header

    def _common_head(self) -> bytes | None:
        """Return what waitress would, sooner, where the connection stays and the end of the answer is clear."""
        headers = [(_spelled(name), value) for name, value in self.response_headers]
        names = {name for name, _ in headers}
        is_clear = self._ends_with_its_head or "Content-Length" in names
        if not is_clear or not _ITS_OWN.isdisjoint(names):
            return None
        headers.append(("Date", _date(int(self.start_time))))
        headers.sort(key=itemgetter(0))
        lines = [f"{name}: {value}" for name, value in headers if self.has_body or name != "Content-Length"]
        return "\r\n".join([f"HTTP/1.1 {self.status}", *lines, "\r\n"]).encode("latin-1")

    def set_close_on_finish(self) -> None:
        # Waitress would close after each 204 and 304, which have no length, and need none (RFC 9112, section 6.3).
        if not self._ends_with_its_head:
            super().set_close_on_finish()


@lru_cache(maxsize=256)
def _spelled(name: str) -> str:
    """Return the name of a header as waitress spells it."""
    return "-".join([part.capitalize() for part in name.split("-")])


@lru_cache(maxsize=4)
def _date(second: int) -> str:
    return str(build_http_date(second))


class Question(Handler):
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
        # This thread may have answered another caller before.
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
