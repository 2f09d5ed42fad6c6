"""Turns of those who write to SQLite: who waits gets in, and no process keeps the others out."""

import sqlite3
import threading
import time
from pathlib import Path

import pytest

from core.platform.database import writer_turns
from tests.support.processes import wait_for

FAR = 60.0


@pytest.fixture
def database(tmp_path: Path) -> Path:
    with sqlite3.connect(tmp_path / "turns.db") as connection:
        connection.execute("CREATE TABLE things (id INTEGER)")
    connection.close()
    return tmp_path / "turns.db"


def test_who_waits_for_another_process_begins_when_that_has_ended(database: Path) -> None:
    other = sqlite3.connect(database, isolation_level=None, check_same_thread=False)
    mine = sqlite3.connect(database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert not writer_turns.begin_to_write(mine, time.monotonic() + 0.05)
    timer = threading.Timer(0.1, other.execute, ["COMMIT"])
    timer.start()
    assert writer_turns.begin_to_write(mine, time.monotonic() + FAR)
    mine.execute("INSERT INTO things VALUES (1)")
    mine.execute("COMMIT")
    timer.join()
    for connection in (mine, other):
        connection.close()


def test_what_is_wrong_otherwise_is_not_waited_for(database: Path) -> None:
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("BEGIN")
    assert not writer_turns.begin_to_write(connection, time.monotonic() + FAR)
    connection.close()


class Watched:
    """Lock that knows how often somebody found it taken."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.refusals = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        found = self.lock.acquire(blocking, timeout)
        self.refusals += not found
        return found

    def release(self) -> None:
        self.lock.release()


def test_a_process_whose_threads_queue_lets_others_in_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = writer_turns._Turns()
    watched = Watched()
    monkeypatch.setattr(turns, "lock", watched)
    monkeypatch.setattr(writer_turns, "_turns", turns)
    pauses: list[float] = []
    monkeypatch.setattr(writer_turns, "pause", pauses.append)

    def write() -> None:
        with writer_turns.turn(time.monotonic() + FAR):
            pass

    threads = [threading.Thread(target=write) for _ in range(2 * writer_turns.IN_A_ROW)]
    watched.acquire()
    for thread in threads:
        thread.start()
    wait_for(lambda: watched.refusals, lambda refusals: refusals == len(threads))
    watched.release()
    for thread in threads:
        thread.join()
    assert pauses == [writer_turns.LETTING_IN] * 2


def test_who_finds_nobody_waiting_never_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_turns, "pause", lambda seconds: pytest.fail("It has paused."))
    for _ in range(3 * writer_turns.IN_A_ROW):
        with writer_turns.turn(time.monotonic() + FAR):
            pass
