"""Side of a worker on which its child is started, watched and buried."""

import json
import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

from flask import Flask

from workers.child import Assignment, live
from workers.runner import HAND_BACK
from workers.watch import TAKEN

# For how long an idle child that is to leave may take.
FAREWELL_SECONDS = 2.0


class ChildEnded(Exception):
    """The process at the other end of the pipe has ended."""


class Child:
    """Process that does the jobs of a worker. It is forked from the loaded application and opens its own connections.

    It leaves when the pipe ends, so it outlives its parent only for the jobs that it has.
    """

    def __init__(self, app: Flask) -> None:
        self.pipe, theirs = Pipe()
        self._status: int | None = None
        with _signals_blocked():
            self.pid = os.fork()
            if self.pid == 0:
                _be_child(app, self.pipe, theirs)
        theirs.close()

    def is_alive(self) -> bool:
        """Return whether it runs; if not, it is buried."""
        if self._status is None:
            with suppress(ChildProcessError):
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                self._status = status if pid else None
        return self._status is None

    @property
    def is_running(self) -> bool:
        """True until it is buried; unlike `is_alive` it may be asked by any thread."""
        return self._status is None

    def assign(self, assignment: Assignment) -> None:
        """Give it work. Who does not read it any more is found by `next_event`."""
        with suppress(OSError):
            self.pipe.send_bytes(assignment.dump())

    def next_event(self, seconds: float) -> dict[str, Any] | None:
        """Return what it tells within so many seconds. Raises ChildEnded."""
        try:
            if not self.pipe.poll(max(seconds, 0)):
                return None
            event: dict[str, Any] = json.loads(self.pipe.recv_bytes())
        except (EOFError, OSError):
            raise ChildEnded from None
        return event

    def bury(self) -> int:
        """Wait for the end of a process that is ending; return its status as `os.waitpid` gives it."""
        if self._status is None:
            try:
                _, self._status = os.waitpid(self.pid, 0)
            except ChildProcessError:
                self._status = -1
        self.pipe.close()
        return self._status

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to it and to all that it has started."""
        with suppress(ProcessLookupError):
            # Just after the fork the child is still in the group of its parent, which is not meant.
            if os.getpgid(self.pid) == self.pid:
                os.killpg(self.pid, number)
            else:
                os.kill(self.pid, number)

    def dismiss(self) -> None:
        """Let an idle one leave, and wait for it, but not for ever."""
        self.pipe.close()
        until = time.monotonic() + FAREWELL_SECONDS
        while self.is_alive():
            if time.monotonic() > until:
                self.kill()
                self.bury()
                return
            time.sleep(0.005)


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Keep signals away from a new process until it has handlers of its own."""
    numbers = (signal.SIGINT, signal.SIGTERM, HAND_BACK, TAKEN)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _be_child(app: Flask, parents: Connection, pipe: Connection) -> None:
    """Live as the child. Never returns: nothing that its parent has begun is to be ended here."""
    code = os.EX_SOFTWARE
    try:
        os.setpgrp()
        parents.close()
        random.seed()
        code = live(app, pipe)
    finally:
        os._exit(code)
