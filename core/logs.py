"""Logging: one line an event, with the request, user and job it belongs to."""

import logging
from contextvars import ContextVar
from typing import TextIO

from pythonjsonlogger.json import JsonFormatter

from core.config import Settings

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
user_id: ContextVar[int | None] = ContextVar("user_id", default=None)
job_id: ContextVar[str | None] = ContextVar("job_id", default=None)
job_kind: ContextVar[str | None] = ContextVar("job_kind", default=None)
job_attempt: ContextVar[int | None] = ContextVar("job_attempt", default=None)
# Not on every line: the access log and security events have it.
address: ContextVar[str | None] = ContextVar("address", default=None)

_CONTEXT: dict[str, ContextVar[str | None] | ContextVar[int | None]] = {
    "request_id": request_id,
    "user_id": user_id,
    "job_id": job_id,
    "job_kind": job_kind,
    "job_attempt": job_attempt,
}


class ContextFilter(logging.Filter):
    """Put the ids of the current request, user and job on every record."""

    def filter(self, record: logging.LogRecord) -> bool:
        shown = []
        for name, variable in _CONTEXT.items():
            value = variable.get()
            setattr(record, name, value)
            if value is not None:
                shown.append(f"{name}={value}")
        record.context = f" [{' '.join(shown)}]" if shown else ""
        return True


def configure_logging(settings: Settings, stream: TextIO | None = None) -> None:
    """Send the logs of this process to `stream` in the configured format.

    Long-running processes log to standard output; a command, whose standard
    output is its answer, to standard error, which is the default.
    """
    handler = logging.StreamHandler(stream)
    handler.addFilter(ContextFilter())
    if settings.log_format == "json":
        handler.setFormatter(
            JsonFormatter(
                " ".join(f"%({name})s" for name in ("asctime", "levelname", "name", "message", *_CONTEXT)),
                rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
                datefmt="%Y-%m-%dT%H:%M:%S%z",
            )
        )
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s%(context)s"))
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)
    for chatty in ("alembic", "fontTools", "httpcore", "httpx", "matplotlib", "rq"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLogger().level))
