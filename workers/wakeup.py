"""Message in Redis that wakes a worker: the id of a job row and the number of its attempt, no more.

The row says what to do, and only functions of the allow-list in
`core.jobs.kinds` are ever called: whoever can write to Redis cannot run code.
"""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from rq.job import Job

from core.runs.lifecycle import Attempt

ENTRY = "workers.runner.run_job"


class ForeignMessage(Exception):
    """A message that the relay has not sent."""


class WakeUp(Job):
    """An RQ job that can only be a call of the entry point."""

    @property
    def func(self) -> Callable[..., Any]:
        """Return the entry point. Raises ForeignMessage for any other function."""
        if self.func_name != ENTRY or self.instance is not None:
            raise ForeignMessage(f"Refused to call {self.func_name!r}.")
        function: Callable[..., Any] = super().func
        return function

    @property
    def success_callback(self) -> None:
        """Return None: the row of a job says what is to happen next, not its message."""

    @property
    def failure_callback(self) -> None:
        """Return None, like `success_callback`."""

    @property
    def stopped_callback(self) -> None:
        """Return None, like `success_callback`."""

    def send_webhooks(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: a message must not make a worker call any function."""


def message_id(job_id: UUID, attempt: int) -> str:
    """Return the RQ id of one attempt; RQ then refuses to queue it twice."""
    return f"{job_id}-{attempt}"


def read_message_id(text: str) -> Attempt:
    """Return the attempt at a job that a message asks for. Raises ValueError."""
    job_id, _, number = text.rpartition("-")
    return Attempt(UUID(job_id), int(number))
