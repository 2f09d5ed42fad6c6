"""Turns of those who write to SQLite, which has one writer at a time.

Threads of a process queue here in order of arrival; processes can only look again and again. SQLite itself looks
after longer and longer pauses, up to 0.1 s, and a process whose threads follow one another at once would hardly ever
let another one in: so pauses are short, and after some turns in a row a process lets the others have one.
"""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from time import sleep as pause
from typing import Any

from core.platform.database.trouble import Trouble, locked, trouble_of

# Seconds between two looks: short while another request writes, longer while an import does.
PAUSE, LONG_PAUSE, SHORT_WAIT = 0.001, 0.01, 0.1
# Threads of one process that write one after the other before the others are let in, and for how long nobody begins.
IN_A_ROW, LETTING_IN = 8, 0.002


class _Turns:
    """Lock of this process, and how many of those who had to wait for it have had it one after the other."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.in_a_row = 0

    def take(self, deadline: float) -> None:
        """Wait for a turn."""
        if self.lock.acquire(blocking=False):
            self.in_a_row = 0
            return
        if not self.lock.acquire(timeout=max(deadline - time.monotonic(), 0)):
            raise locked()
        self.in_a_row += 1

    def let_others_in(self) -> None:
        """Begin a little later where the threads of this process have had several turns in a row."""
        if self.in_a_row >= IN_A_ROW:
            self.in_a_row = 0
            pause(LETTING_IN)


_turns = _Turns()


@contextmanager
def turn(deadline: float) -> Iterator[None]:
    """Wait for the turn of this thread among those of its process. Waiting is a part of what a transaction may wait."""
    _turns.take(deadline)
    try:
        _turns.let_others_in()
        yield
    finally:
        _turns.lock.release()


def begin_to_write(driver: Any, deadline: float) -> bool:
    """Begin a transaction that writes, as soon as no other process does; return False if that did not succeed."""
    driver.execute("PRAGMA busy_timeout = 0")
    start = time.monotonic()
    while True:
        try:
            driver.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            now = time.monotonic()
            if trouble_of(error) is not Trouble.LOCKED or now >= deadline:
                return False
            pause(min(PAUSE if now - start < SHORT_WAIT else LONG_PAUSE, deadline - now))
        else:
            return True
