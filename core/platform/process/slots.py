"""Small numbers for processes that run at the same time, each given again when its holder is gone.

The library for metrics keeps files for each process. Named by process ids, they
would become more with every restart, and every scrape slower; named by slots
there are never more than processes at once, and a successor counts on where its
predecessor stopped. The kernel gives a slot back, also after kill -9.
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
# What holds the slots of this process for as long as it lives.
_held_here: list[int] = []


def claim(folder: Path, prepare: Callable[[int], None] = lambda slot: None) -> int:
    """Take the lowest free number for as long as this process lives. `prepare` tidies up behind its last holder.

    Raises OSError when the folder cannot be written, RuntimeError when all are taken.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for slot in range(1, MOST + 1):
        descriptor = _lock(_path(folder, slot))
        if descriptor is not None:
            # The lock is held until this process ends.
            _held_here.append(descriptor)
            prepare(slot)
            return slot
    raise RuntimeError(f"More than {MOST} processes share {folder}.")


@contextmanager
def _held(folder: Path, slot: int) -> Iterator[bool]:
    """Hold a slot for a moment, if no other process does."""
    descriptor = _lock(_path(folder, slot))
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            os.close(descriptor)


def free(folder: Path, tidy: Callable[[int], None]) -> None:
    """Call `tidy` with every slot that no process holds any more. None can take it meanwhile."""
    for path in folder.glob("slot-*"):
        slot = int(path.name.partition("-")[2])
        with _held(folder, slot) as is_free:
            if is_free:
                tidy(slot)


def new_folder(parent: Path, name: str) -> Path:
    """Return where the slots of a new family of processes will be, and remove what dead families have left.

    Creates nothing yet.
    """
    sweep(parent)
    return parent / name


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
    """Give back the slots of this process, which is about to end, and remove its family if it was the last."""
    while _held_here:
        os.close(_held_here.pop())
    # Two that look at each other's slot in the same moment both take it for one that is held.
    for pause in (0.0, random.uniform(0.05, 0.2), random.uniform(0.2, 0.5)):  # noqa: S311
        time.sleep(pause)
        sweep(parent)
        if not parent.is_dir() or not any(parent.iterdir()):
            return


def _path(folder: Path, slot: int) -> Path:
    return folder / f"slot-{slot}"


def _lock(path: Path) -> int | None:
    """Return an open file with its lock, or None if another process holds that."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
