"""Small numbers for processes that run at the same time, each given again when its holder is gone.

The library for metrics keeps files for each process. Named by process ids, they
would become more with every restart, and every scrape slower; named by numbers
there are never more than processes at once, and a successor counts on where its
predecessor stopped. The kernel gives a number back, also after kill -9.
"""

import fcntl
import os
import random
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# More processes share no port.
MOST = 256
# File descriptors whose locks hold the numbers of this process for as long as it lives.
_held_here: list[int] = []


def claim(folder: Path, prepare: Callable[[int], None] = lambda number: None) -> int:
    """Take the lowest free number for as long as this process lives. `prepare` tidies up behind its last holder.

    Raises OSError when the folder cannot be written, RuntimeError when all are taken.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(1, MOST + 1):
        descriptor = _lock(_path(folder, number))
        if descriptor is not None:
            # The lock is held until this process ends.
            _held_here.append(descriptor)
            prepare(number)
            return number
    raise RuntimeError(f"More than {MOST} processes share {folder}.")


@contextmanager
def _held(folder: Path, number: int) -> Iterator[bool]:
    """Hold a number for a moment, if no other process does."""
    descriptor = _lock(_path(folder, number))
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            os.close(descriptor)


def free(folder: Path, tidy: Callable[[int], None]) -> None:
    """Call `tidy` with every number that no process holds any more. None can take it meanwhile."""
    for path in folder.glob("slot-*"):
        number = int(path.name.partition("-")[2])
        with _held(folder, number) as is_free:
            if is_free:
                tidy(number)


def new_folder(parent: Path) -> Path:
    """Return where the numbers of this process and its children will be, and remove what dead families have left.

    Creates nothing yet.
    """
    sweep(parent)
    return parent / str(os.getpid())


def sweep(parent: Path) -> None:
    """Remove the families in a folder whose processes have all ended."""
    with suppress(OSError):
        for family in parent.iterdir():
            used: list[bool] = []
            for path in family.glob("slot-*"):
                with _held(family, int(path.name.partition("-")[2])) as is_free:
                    used.append(not is_free)
            if not any(used):
                shutil.rmtree(family, ignore_errors=True)


def leave(parent: Path) -> None:
    """Give back the numbers of this process, which is about to end, and remove its family if it was the last."""
    while _held_here:
        os.close(_held_here.pop())
    # Two that look at each other's number in the same moment both take it for one that is held.
    for pause in (0.0, random.uniform(0.05, 0.2), random.uniform(0.2, 0.5)):  # noqa: S311
        time.sleep(pause)
        sweep(parent)
        if not parent.is_dir() or not any(parent.iterdir()):
            return


def _path(folder: Path, number: int) -> Path:
    # Named as in earlier releases, whose processes may have numbers in the same folder while a deploy replaces them.
    return folder / f"slot-{number}"


def _lock(path: Path) -> int | None:
    """Return an open file with its lock, or None if another process holds that."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
