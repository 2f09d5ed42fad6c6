"""Logging: one line an event, with the request, user and job it belongs to, and without secrets.

What is written goes through `core.platform.text.redaction` in the formatter, so that it does not
matter whether a secret came in the message, its arguments, a traceback or a field.
"""

import logging
import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.orjson import OrjsonFormatter

from core.platform.logs.context import ALWAYS, IDS
from core.platform.text.redaction import Redactor

_COLOURS = {"DEBUG": "2", "INFO": "32", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}

# What moves a terminal's cursor, or looks like the beginning of another line.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


# What each line has, by the names of the standard library.
_SHOWN = {
    "asctime": "time",
    "levelname": "level",
    "name": "logger",
    "message": "message",
    "process": "pid",
    **{name: name for name in IDS},
}
_NOT_OF_ITS_OWN = frozenset({*RESERVED_ATTRS, *_SHOWN})


@lru_cache(maxsize=4)
def _spelled(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat()[:19]


class JsonLines(OrjsonFormatter):
    """One JSON object a line. Fields of `extra` are fields of it."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__(list(_SHOWN))
        self._redactor = redactor

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - logging's name
        """Return the moment in UTC (RFC 3339)."""
        second = int(record.created)
        return f"{_spelled(second)}.{int((record.created - second) * 1000):03d}Z"

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        """Take over what is known of an event: first what each line has, then what this one has of its own.

        The library asks of each attribute of each record anew what it is, which takes as long as all the rest.
        """
        known = record.__dict__
        for name, shown in _SHOWN.items():
            value = known.get(name)
            if value is not None or shown in ALWAYS:
                log_data[shown] = value
        log_data.update(message_dict)
        log_data |= {
            name: value
            for name, value in known.items()
            if value is not None and name not in _NOT_OF_ITS_OWN and not name.startswith("_")
        }

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        """Leave out secrets."""
        redacted: dict[str, Any] = self._redactor.structure(log_data)
        return redacted


class TextLines(logging.Formatter):
    """Lines for people, with colours if the output is a terminal."""

    def __init__(self, redactor: Redactor, *, colours: bool = False) -> None:
        super().__init__()
        self._redactor = redactor
        self._colours = colours

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and below it, indented, where an error came from."""
        level = self._coloured(f"{record.levelname:<7}", _COLOURS.get(record.levelname, "0"))
        shown = " ".join(f"{name}={getattr(record, name)}" for name in IDS if getattr(record, name, None) is not None)
        # Whoever puts a line break into a value must not be able to forge a line.
        message = _CONTROL.sub(_escape, self._redactor.text(record.getMessage()).replace("\n", "\\n"))
        context = self._coloured(f" [{shown}]", "2") if shown else ""
        line = f"{self.formatTime(record)} {level} {record.name}: {message}{context}"
        below = [self.formatException(record.exc_info)] if record.exc_info else []
        below += [self.formatStack(record.stack_info)] if record.stack_info else []
        for text in below:
            lines = _CONTROL.sub(_escape, self._redactor.text(text)).split("\n")
            line += "".join(f"\n    {each}" for each in lines)
        return line

    def _coloured(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._colours else text


def _escape(match: re.Match[str]) -> str:
    return ascii(match.group())[1:-1]
