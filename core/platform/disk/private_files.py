"""Files that are for their owner only, and writing what has to outlive a power cut."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


@contextmanager
def new_private_file(path: Path) -> Iterator[IO[bytes]]:
    """Write a file that only its owner can read, and that is on the disk in the end. Raises FileExistsError."""
    with os.fdopen(_open_new(path), "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def new_empty_file(path: Path) -> None:
    """Make an empty file that only its owner can read, unless there is one already.

    For a database of SQLite, which gives the two files beside it the same mode, and
    which says itself what is wrong where none can be made.
    """
    with suppress(OSError):
        os.close(_open_new(path))


def _open_new(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)


def sync_folder(folder: Path) -> None:
    """Make sure that new names in a folder outlive it too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
