"""Faults of an SQLite file, found without making or changing it."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from core.platform.database.trouble import identity_of

# Into what is no database, `restore` restores nothing.
RESTORE = "Stop all processes, move the file with its -wal and -shm away, and restore a backup: docs/backups.md."
_MAKE = "run `python manage.py init-db`, or start `python manage.py dev`."


def flaw_of(path: Path) -> tuple[str, str]:
    """Return what is wrong with a file, and what to do about it, having only read it."""
    try:
        head = _head_of(path)
    except FileNotFoundError:
        if not path.parent.is_dir():
            return f"there is no folder {path.parent}", "Make the folder."
        return f"there is no file {path}", f"To make it, {_MAKE}"
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}", "Let the user that runs this read it."
    if not head:
        return f"{path} is empty", f"To fill it, {_MAKE}"
    if not head.startswith(b"SQLite format 3\0"):
        return f"{path} is no SQLite database, or damaged", f"If it was Tasklane's, s{RESTORE[1:]}"
    # The byte says how it is written (sqlite.org/fileformat2): in all that Tasklane has opened, with a log ahead.
    if head[18:19] != b"\2" and not _has_versions(path):
        return f"{path} has no tables of Tasklane", f"If it is to have them, {_MAKE}"
    return "", ""


# Of files that were looked at, by what they are. They stay open: to close one takes away every lock that connections
# of this process have on the file (sqlite.org/howtocorrupt.html, 2.2), and then another process, which takes itself
# for the last one, deletes the log under them.
_descriptors: dict[tuple[int, int], int] = {}


def _head_of(path: Path) -> bytes:
    """Return the first bytes of a file. Raises OSError."""
    descriptor = _descriptors.get(identity_of(path))
    if descriptor is None:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        _descriptors[identity_of(path)] = descriptor
    return os.pread(descriptor, 20, 0)


def _has_versions(path: Path) -> bool:
    """Return whether a database has been migrated, having only read it. Where that cannot be seen, it may have been."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=1)) as database:
            return bool(database.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone())
    except sqlite3.Error:
        return True


def is_damage(error: Exception) -> bool:
    """Return whether an error of the driver says that the file is damaged, or no database."""
    code = getattr(getattr(error, "orig", None), "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
