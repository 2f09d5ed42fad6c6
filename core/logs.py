"""Logging: one line an event, with the request, user and job it belongs to, and without secrets.

What is written goes through `core.redaction` in the formatter, so that it does not
matter whether a secret came in the message, its arguments, a traceback or a field.
"""

import errno
import importlib
import logging
import os
import re
import sys
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any, TextIO

from pythonjsonlogger.orjson import OrjsonFormatter

from core.config import ConfigError, secret_values
from core.redaction import Redactor
from core.settings import Settings

# Libraries that tell at INFO what nobody has asked.
CHATTY = ("alembic", "concurrent_log_handler", "fontTools", "httpcore", "httpx", "matplotlib", "rq")

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
user_id: ContextVar[int | None] = ContextVar("user_id", default=None)
key_id: ContextVar[int | None] = ContextVar("key_id", default=None)
job_id: ContextVar[str | None] = ContextVar("job_id", default=None)
job_kind: ContextVar[str | None] = ContextVar("job_kind", default=None)
job_attempt: ContextVar[int | None] = ContextVar("job_attempt", default=None)
# Not on every line: the access log and security events have it.
address: ContextVar[str | None] = ContextVar("address", default=None)

_CONTEXT: dict[str, ContextVar[str | None] | ContextVar[int | None]] = {
    "request_id": request_id,
    "user_id": user_id,
    "key_id": key_id,
    "job_id": job_id,
    "job_kind": job_kind,
    "job_attempt": job_attempt,
}
# JSON lines have these even where there is none; the others only where there is one.
_ALWAYS = ("request_id", "user_id")

_COLOURS = {"DEBUG": "2", "INFO": "32", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}
# What moves a terminal's cursor, or looks like the beginning of another line.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


class ContextFilter(logging.Filter):
    """Put the ids of the current request, user and job on every record."""

    def filter(self, record: logging.LogRecord) -> bool:
        for name, variable in _CONTEXT.items():
            setattr(record, name, variable.get())
        return True


class JsonLines(OrjsonFormatter):
    """One JSON object a line. Fields of `extra` are fields of it."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__(
            ["asctime", "levelname", "name", "message", "process", *_CONTEXT],
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger", "process": "pid"},
        )
        self._redactor = redactor

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - logging's name
        """Return the moment in UTC (RFC 3339)."""
        moment = datetime.fromtimestamp(record.created, UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        """Leave out what is not known, and secrets."""
        known = {name: value for name, value in log_data.items() if value is not None or name in _ALWAYS}
        redacted: dict[str, Any] = self._redactor.structure(known)
        return redacted


class TextLines(logging.Formatter):
    """Lines for people, with colours if there is somebody to see them."""

    def __init__(self, redactor: Redactor, *, colours: bool = False) -> None:
        super().__init__()
        self._redactor = redactor
        self._colours = colours

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and below it, indented, where an error came from."""
        level = self._coloured(f"{record.levelname:<7}", _COLOURS.get(record.levelname, "0"))
        shown = " ".join(
            f"{name}={getattr(record, name)}" for name in _CONTEXT if getattr(record, name, None) is not None
        )
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


def configure_logging(settings: Settings, stream: TextIO | None = None) -> None:
    """Send the logs of this process to `stream` in the configured format, and to the file if there is to be one.

    Long-running processes log to standard output; a command, whose standard
    output is its answer, to standard error, which is the default. Raises
    ConfigError when the file cannot be written.
    """
    stream = stream or sys.stderr
    redactor = Redactor(secret_values(settings))
    handlers: list[logging.Handler] = [logging.StreamHandler(stream)]
    if settings.log.file:
        handlers.append(_file_handler(settings))
    for handler in handlers:
        handler.addFilter(ContextFilter())
        if settings.log_format == "json":
            handler.setFormatter(JsonLines(redactor))
        else:
            handler.setFormatter(TextLines(redactor, colours=handler is handlers[0] and shows_colours(stream)))
    logging.basicConfig(level=settings.log_level, handlers=handlers, force=True)
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))


def shows_colours(stream: TextIO) -> bool:
    """Return whether to write colours there. NO_COLOR forbids them, FORCE_COLOR wants them, a terminal shows them."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or stream.isatty()


# Passes when somebody makes room. Everything else, such as a folder that is not ours, has to be told at once.
_FULL = (errno.ENOSPC, errno.EDQUOT)


def _file_handler(settings: Settings) -> logging.Handler:
    path = Path(settings.instance_path, settings.log.file)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # So that a file that cannot be written is told now. A full disk is tried again with each line.
        with path.open("ab"):
            pass
    except OSError as error:
        if error.errno not in _FULL:
            raise ConfigError(f"The log file {path} cannot be written: {error.strerror}.") from None
    try:
        handler = _opened(settings, path)
    except OSError as error:
        raise ConfigError(f"The log file {path} cannot be written: {error.strerror}.") from None
    handler.handleError = _lose_quietly(handler)  # type: ignore[method-assign, assignment]
    return handler


def _opened(settings: Settings, path: Path) -> logging.Handler:
    if not settings.log.max_bytes:
        # Somebody else, such as logrotate, moves it away; this notices.
        return WatchedFileHandler(path, encoding="utf-8", delay=True)
    # The one of the standard library loses lines when several processes write to the same file. This
    # one holds a lock while it writes. Loaded only where it is wanted.
    handler: logging.Handler = importlib.import_module("concurrent_log_handler").ConcurrentRotatingFileHandler(
        str(path),
        maxBytes=settings.log.max_bytes,
        backupCount=settings.log.backups,
        encoding="utf-8",
        keep_file_open=True,
    )
    return handler


def _lose_quietly(handler: logging.Handler) -> Callable[[logging.LogRecord], None]:
    """Return what happens to a line that finds no room: nothing, because standard output has it too."""
    tell = handler.handleError

    def lose(record: logging.LogRecord) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            tell(record)

    return lose
