"""A small disk that can be filled."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class Disk:
    """A file system in memory with room for little."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Take all the room that there is."""
        with self._ballast.open("ab", buffering=0) as file:
            for size in (2**16, 2**12, 1):
                while True:
                    try:
                        file.write(b"x" * size)
                    except OSError:
                        break
        assert os.statvfs(self.folder).f_bavail == 0

    def make_room(self) -> None:
        """Give it back."""
        self._ballast.unlink()


@contextmanager
def small_disk(folder: Path, *, megabytes: int) -> Iterator[Disk]:
    """Mount one, or skip the test where this user may not, unless the tests have to have everything."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        refusal = done.stderr if done.returncode else ""
    except FileNotFoundError as error:
        refusal = str(error)
    if refusal:
        if os.environ.get("TESTS_NEED_EVERYTHING"):
            pytest.fail(f"No disk can be mounted here: {refusal}")
        pytest.skip("This user may mount nothing.")
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
