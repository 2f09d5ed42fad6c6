"""Destinations of this process's log lines: a stream, and a file that never stops the service."""

import errno
import importlib
import logging
import os
import sys
from collections.abc import Callable
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import TextIO

from core.platform.config.errors import ConfigError
from core.platform.config.secret_values import secret_values
from core.platform.config.settings import Settings
from core.platform.logs.context import ContextFilter
from core.platform.logs.lines import JsonLines, TextLines
from core.platform.text.redaction import Redactor

# Libraries that log needless lines at INFO.
CHATTY = ("alembic", "concurrent_log_handler", "fontTools", "httpcore", "httpx", "matplotlib", "rq")


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


# Passes when an operator makes room. Any other fault, such as a folder that is not ours, has to be reported at once.
_FULL = (errno.ENOSPC, errno.EDQUOT)


def _file_handler(settings: Settings) -> logging.Handler:
    path = Path(settings.instance_path, settings.log.file)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # So that a file that cannot be written is reported now. A full disk is tried again with each line.
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
        # Another program, such as logrotate, moves it away; this notices.
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
