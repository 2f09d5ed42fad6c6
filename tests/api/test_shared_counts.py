"""The counts that web processes share, on a disk that refuses for a while."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

from api.http.serving.shared_counts import Counts
from core.platform import clock
from core.platform.process import numbering


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def passing(monkeypatch: pytest.MonkeyPatch) -> Clock:
    moving = Clock()
    monkeypatch.setattr(clock, "monotonic", moving)
    return moving


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """A function that fills the disk, or makes room on it."""
    write = os.pwrite

    def refuse(file: int, content: bytes, at: int) -> int:
        # What has its blocks is changed; what is new finds room for half of it.
        room = os.fstat(file).st_size - at
        if room >= len(content):
            return write(file, content, at)
        if room > 0:
            return write(file, content[:room], at)
        raise OSError(errno.ENOSPC, "No space left on device")

    return lambda is_full: monkeypatch.setattr(os, "pwrite", refuse if is_full else write)


def counter(counts: Counts, label: str, kind: str = "counter", mode: str = "") -> Any:
    return counts.new_value(kind, "seen", f"seen_{kind}", ["of"], [label], "What was seen.", multiprocess_mode=mode)


def read(folder: Path) -> dict[str, float]:
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(folder))
    return {sample.labels["of"]: sample.value for metric in registry.collect() for sample in metric.samples}


def leave(folder: Path) -> None:
    """Do as a process that ends: its numbers are free again."""
    while numbering._held_here:
        os.close(numbering._held_here.pop())


def test_the_library_reads_what_is_counted_of_all_processes(tmp_path: Path) -> None:
    first, second = Counts(tmp_path), Counts(tmp_path)
    for index in range(300):
        # Long enough for more than one page, and with text that takes more bytes than letters.
        counter(first, f"{index} ü").inc(index)
    counter(second, "7 ü").inc(0.5)
    counter(second, "lives", "gauge", "livesum").set(3)
    found = read(tmp_path)
    assert (found["7 ü"], found["299 ü"], found["lives"], len(found)) == (7.5, 299, 3, 301)
    leave(tmp_path)


def test_counting_goes_on_while_the_disk_is_full_and_is_read_when_there_is_room(
    tmp_path: Path, passing: Clock, full: Callable[[bool], None]
) -> None:
    counts = Counts(tmp_path)
    old = counter(counts, "old")
    old.inc(1)
    full(True)
    old.inc(1)
    assert read(tmp_path) == {"old": 2}
    new = counter(counts, "new")
    for _ in range(5):
        passing.now += 1
        old.inc(1)
        new.inc(1)
    # What has a place in the file goes on, and nobody reads half an entry.
    assert read(tmp_path)["old"] >= 6
    assert "new" not in read(tmp_path)
    assert (old.get(), new.get()) == (7, 5)
    full(False)
    passing.now += 1
    new.inc(1)
    assert read(tmp_path) == {"old": 7, "new": 6}
    leave(tmp_path)


def test_a_successor_counts_on_also_if_it_began_without_room(
    tmp_path: Path, passing: Clock, full: Callable[[bool], None]
) -> None:
    counter(Counts(tmp_path), "old").inc(5)
    leave(tmp_path)
    full(True)
    successor = Counts(tmp_path)
    old = counter(successor, "old")
    for _ in range(4):
        passing.now += 1
        old.inc(1)
    assert read(tmp_path) == {"old": 5}
    assert sorted(path.suffix for path in tmp_path.iterdir()) == ["", ".db"]
    full(False)
    passing.now += 1
    old.inc(1)
    assert read(tmp_path) == {"old": 10}
    assert old.get() == 10
    leave(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\x00", b"\xff" * 40, b"\x40\x00\x00\x00" * 30])
def test_a_damaged_file_of_a_predecessor_is_replaced(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "counter_1.db").write_bytes(content)
    counter(Counts(tmp_path), "new").inc(2)
    assert read(tmp_path) == {"new": 2}
    leave(tmp_path)


def test_a_folder_that_cannot_be_made_costs_nothing_but_the_sharing(tmp_path: Path, passing: Clock) -> None:
    (tmp_path / "file").touch()
    seen = counter(Counts(tmp_path / "file" / "family"), "new")
    seen.inc(2)
    (tmp_path / "file").unlink()
    passing.now += 1
    seen.inc(2)
    assert read(tmp_path / "file" / "family") == {"new": 4}
    leave(tmp_path)
