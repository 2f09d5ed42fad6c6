"""Counts in memory, and in files that the other web processes read, in the format of Prometheus's library.

The library maps its files into memory. Where the kernel finds no room for a page
of such a file, or the file was cut, it kills the process (SIGBUS). Here counting
happens in memory, and a file is only written to: an error of that is an exception,
after which the file is behind until writing works again.
"""

import os
import struct
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.multiprocess import mark_process_dead

from core.platform import clock
from core.platform.process import numbering

# Seconds between two attempts to write to a disk that refuses.
RETRY_EVERY = 1.0
_HEAD = 8
_USED = struct.Struct("i4x")
_LENGTH = struct.Struct("i")
_NUMBERS = struct.Struct("dd")


class Counts:
    """Counters of this process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._number: int | None = None
        self._sheets: dict[str, _Sheet] = {}
        self._failed_at = float("-inf")

    def new_value(
        self,
        kind: str,
        metric: str,
        name: str,
        label_names: Sequence[str],
        label_values: Sequence[str],
        text: str,
        multiprocess_mode: str = "",
        **_: Any,
    ) -> "_Value":
        """Return what one series is counted in; the library calls this like a class of its own."""
        sheet_name = f"{kind}_{multiprocess_mode}" if kind == "gauge" else kind
        with self._lock:
            sheet = self._sheets.setdefault(sheet_name, _Sheet(sheet_name))
            at = sheet.place_of(mmap_key(metric, name, list(label_names), list(label_values), text))
            self._save(sheet)
        return _Value(self, sheet, at)

    def change(self, sheet: "_Sheet", at: int, amount: float, *, is_new_value: bool = False) -> None:
        """Add an amount to the number there, or replace it."""
        with self._lock:
            if not sheet.change(at, amount, is_new_value=is_new_value):
                self._save(sheet)

    def _save(self, sheet: "_Sheet") -> None:
        """Bring into the file what has changed, unless the disk has refused only just now."""
        if clock.monotonic() - self._failed_at < RETRY_EVERY:
            return
        try:
            if self._number is None:
                self._number = numbering.claim(
                    self._folder, lambda number: mark_process_dead(number, str(self._folder))
                )
            sheet.save(self._folder, self._number)
        except (OSError, RuntimeError):
            # No room, or no number that is free. Counting goes on, and so does everything else.
            self._failed_at = clock.monotonic()


class _Value:
    """One number, with the methods that the library calls."""

    _multiprocess = True

    def __init__(self, counts: Counts, sheet: "_Sheet", at: int) -> None:
        self._counts = counts
        self._sheet = sheet
        self._at = at

    def inc(self, amount: float) -> None:
        """Add to it."""
        self._counts.change(self._sheet, self._at, amount)

    def set(self, value: float, timestamp: float | None = None) -> None:
        """Replace it."""
        self._counts.change(self._sheet, self._at, value, is_new_value=True)

    def get(self) -> float:
        """Return what this process, and those before it under its number, have counted."""
        return self._sheet.number(self._at)

    def set_exemplar(self, exemplar: Any) -> None:
        """Do nothing: files have no room for examples."""

    def get_exemplar(self) -> None:
        """Return nothing, for the same reason."""


class _Sheet:
    """The numbers of one kind of metric: the content of a file, and the file.

    It begins with how much of it is used. Entries follow: the length of a key, the key,
    filled up so that numbers are aligned, the number, and a moment that is not needed.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._content = bytearray(_USED.pack(_HEAD))
        self._places: dict[str, int] = {}
        self._file: int | None = None
        # How much of the content the file has, and which numbers in it are of before.
        self._written = 0
        self._changed: set[int] = set()

    def place_of(self, key: str) -> int:
        """Return where the number of a key is, at the end if it is a new one."""
        if key not in self._places:
            text = key.encode()
            filling = b" " * (8 - (len(text) + _LENGTH.size) % 8)
            self._content += _LENGTH.pack(len(text)) + text + filling + _NUMBERS.pack(0.0, 0.0)
            _USED.pack_into(self._content, 0, len(self._content))
            self._places[key] = len(self._content) - _NUMBERS.size
        return self._places[key]

    def number(self, at: int) -> float:
        """Return the number there."""
        return float(_NUMBERS.unpack_from(self._content, at)[0])

    def put(self, at: int, number: float) -> None:
        """Change the number there, in memory only."""
        _NUMBERS.pack_into(self._content, at, number, 0.0)

    def change(self, at: int, amount: float, *, is_new_value: bool) -> bool:
        """Add to the number there, or replace it; return whether the file, which may lack more, has everything now."""
        entry = _NUMBERS.pack(amount if is_new_value else _NUMBERS.unpack_from(self._content, at)[0] + amount, 0.0)
        self._content[at : at + _NUMBERS.size] = entry
        if self._file is not None and not self._changed and self._written == len(self._content):
            with suppress(OSError):
                if os.pwrite(self._file, entry, at) == _NUMBERS.size:
                    return True
        self._changed.add(at)
        return False

    def save(self, folder: Path, number: int) -> None:
        """Bring into the file of this number, which is made if there is none, what it lacks. Raises OSError."""
        if self._file is None:
            self._file = self._made(folder / f"{self.name}_{number}.db")
        else:
            for at in self._changed:
                if at < self._written:  # It has a place, also where there is no room for more.
                    _write(self._file, self._content[at : at + _NUMBERS.size], at)
            if self._written < len(self._content):
                # What is longer now is used only when it is there.
                _write(self._file, self._content[self._written :], self._written)
                _write(self._file, self._content[:_HEAD], 0)
        self._written = len(self._content)
        self._changed.clear()

    def _made(self, path: Path) -> int:
        """Return a new file, with what the last process with its name has counted. It appears when it is complete."""
        content, places = bytes(self._content), dict(self._places)
        draft = path.with_name(f"{path.name}.new")
        file = -1
        try:
            for key, number in _counted_before(path):
                at = self.place_of(key)
                self.put(at, self.number(at) + number)
            file = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            _write(file, self._content, 0)
            draft.replace(path)
        except OSError:
            # Else it would be added once more the next time.
            self._content, self._places = bytearray(content), places
            with suppress(OSError):
                os.close(file)
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            raise
        return file


def _counted_before(path: Path) -> list[tuple[str, float]]:
    """Return the keys and numbers of a file, none if there is no such file or it is damaged. Raises OSError."""
    try:
        found = MmapedDict.read_all_values_from_file(str(path))
        return [(key, number) for key, number, _, _ in found]
    except FileNotFoundError:
        return []
    except (struct.error, UnicodeDecodeError, RuntimeError):
        return []


def _write(file: int, content: bytes | bytearray, at: int) -> None:
    """Write all of it, and say so if there is room for a part only. Raises OSError."""
    done = 0
    while done < len(content):
        done += os.pwrite(file, content[done:], at + done)
