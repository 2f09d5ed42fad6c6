"""Folders for what is only needed while something is made, which a killed process does not leave for ever."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def scratch_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """Make a folder for this user only, and remove it with all that is in it afterwards.

    Before, what dead processes have left under this prefix is removed. The kernel gives
    back the lock of a folder when its maker ends, also after kill -9, so no other process's
    is taken. Raises OSError.
    """
    _sweep(parent, prefix)
    folder, lock = _make(parent, prefix)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def new_scratch_folder(parent: Path, prefix: str) -> Path:
    """Make one that the caller removes; if this process is killed before, the next that wants one does it."""
    _sweep(parent, prefix)
    return _make(parent, prefix)[0]  # Its lock is held until this process ends.


def _make(parent: Path, prefix: str) -> tuple[Path, int]:
    """Return a new folder and its lock, which no child inherits."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        # Another process may sweep it away in the moment before it is locked.
        with suppress(FileNotFoundError):
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            if _take(lock) and folder.exists():
                return folder, lock
            os.close(lock)


def _take(lock: int) -> bool:
    """Return whether no other process has the lock. On a file system without locks none can sweep either."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _sweep(parent: Path, prefix: str) -> None:
    with suppress(OSError):
        for folder in parent.glob(f"{prefix}*"):
            if folder.lstat().st_uid == os.getuid() and folder.is_dir() and not folder.is_symlink():
                _remove_if_left(folder)


def _remove_if_left(folder: Path) -> None:
    with suppress(OSError):
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)
