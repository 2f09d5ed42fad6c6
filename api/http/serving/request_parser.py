"""Requests as they arrive, read with suspicion: what waitress would choke on or another server would read otherwise."""

import copy
import re
import time
from typing import Any

from waitress.adjustments import Adjustments
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.utilities import Error

from api.http.serving.chunks import Chunks

# What is said of the coding of a body, in each header of this name. Waitress forgets what is empty.
_ENCODING = re.compile(rb"\ntransfer-encoding:(.*)")
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
        encodings = [value.strip(b" \t\r") for value in _ENCODING.findall(header_plus.lower())]
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
            # No client waits for leave to send nothing. Waitress would take the next request for a part of this one.
            self.expect_continue = False
