"""The request, user and job that this thread works for, as every line of the log names them."""

import logging
from contextvars import ContextVar

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
user_id: ContextVar[int | None] = ContextVar("user_id", default=None)
key_id: ContextVar[int | None] = ContextVar("key_id", default=None)
job_id: ContextVar[str | None] = ContextVar("job_id", default=None)
job_kind: ContextVar[str | None] = ContextVar("job_kind", default=None)
job_attempt: ContextVar[int | None] = ContextVar("job_attempt", default=None)

# Not on every line: the access log and security events have it.
address: ContextVar[str | None] = ContextVar("address", default=None)

IDS: dict[str, ContextVar[str | None] | ContextVar[int | None]] = {
    "request_id": request_id,
    "user_id": user_id,
    "key_id": key_id,
    "job_id": job_id,
    "job_kind": job_kind,
    "job_attempt": job_attempt,
}

# JSON lines have these even where there is none; the others only where there is one.
ALWAYS = ("request_id", "user_id")


class ContextFilter(logging.Filter):
    """Put the ids of the current request, user and job on every record."""

    def filter(self, record: logging.LogRecord) -> bool:
        for name, variable in IDS.items():
            setattr(record, name, variable.get())
        return True
