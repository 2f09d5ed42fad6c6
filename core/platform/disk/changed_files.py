"""Noticing that the code or the settings of this project have changed.

Looking at some three hundred files takes milliseconds, works on every disk and needs nothing from
the system. Editors that write a new file and rename it, and a `git checkout` that touches a hundred,
look alike: nothing is reported before two looks have found the same.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

# What the processes of an installation load.
PACKAGES = ("api", "core", "workers")
# To look costs as much as all else that an idle `dev` does.
LOOK_SECONDS = 0.7

Seen = dict[str, tuple[int, int, int]]


class ChangedFiles:
    """The files that count, and how they looked when they were last loaded."""

    def __init__(self, root: Path, instance_path: Path) -> None:
        self._root = root
        self._single = [root / "manage.py", root / "config.toml", root / ".env", instance_path / "config.toml"]
        self._loaded = self._last = self._look()
        self._next_look = time.monotonic() + LOOK_SECONDS

    def settled(self) -> list[str]:
        """Return the names of files that are not as they were loaded, once no more change. Now they count as loaded."""
        if time.monotonic() < self._next_look:
            return []
        before, self._last = self._last, self._look()
        self._next_look = time.monotonic() + LOOK_SECONDS
        if self._last != before or self._last == self._loaded:
            return []
        names = self._last.keys() | self._loaded.keys()
        changed = sorted(name for name in names if self._last.get(name) != self._loaded.get(name))
        self._loaded = self._last
        return [
            os.path.relpath(name, self._root) if name.startswith(f"{self._root}{os.sep}") else name for name in changed
        ]

    def _look(self) -> Seen:
        seen: Seen = {}
        paths = [str(path) for path in self._single]
        for package in PACKAGES:
            paths += _python_files(self._root / package)
        for path in paths:
            try:
                found = os.stat(path)
            except OSError:
                continue  # It is not there, or is just being replaced.
            seen[path] = (found.st_mtime_ns, found.st_size, found.st_ino)
        return seen


def _python_files(folder: Path) -> Iterator[str]:
    """Yield the files of Python below a folder. What begins with a dot is some editor's."""
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "__"))]
        yield from (f"{place}{os.sep}{name}" for name in names if name.endswith(".py") and not name.startswith("."))
