"""Rows of an import and the report about them, on the disk while it works."""

import csv
import io
import tempfile
from collections.abc import Iterator
from typing import IO

import orjson

from core.exchange.imports.rows import JudgedRow, RowOutcome
from core.exchange.imports.targets import RowTarget
from core.exchange.notations import guard
from core.platform.fields.types import Type

REPORT = ("row", "line", "external_id", "id", "outcome", "field", "reason")


class Counted:
    """A stream that knows how much was read of it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream
        self.count = 0

    def read(self, size: int) -> bytes:
        """Read at most `size` bytes, and count them."""
        raw = self.stream.read(size)
        self.count += len(raw)
        return raw


class Spool:
    """Rows as they were understood, in their order, on the disk, as one line of JSON each."""

    def __init__(self, target: RowTarget) -> None:
        self._types = {
            field.name: field.type for field in target.fields if type(field.type).restore is not Type.restore
        }
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - `close` closes it

    def add(self, entry: JudgedRow) -> None:
        """Keep an entry, at the end."""
        # Only what is still to be stored needs its values.
        values = entry.values if entry.outcome is None else {}
        line = [entry.number, entry.line, entry.external_id, entry.thing_id, entry.outcome, values, entry.problems]
        self._file.write(orjson.dumps(line, default=str, option=orjson.OPT_APPEND_NEWLINE))

    def __iter__(self) -> Iterator[JudgedRow]:
        self._file.seek(0)
        for line in self._file:
            entry = JudgedRow(*orjson.loads(line))
            entry.outcome = None if entry.outcome is None else RowOutcome(entry.outcome)
            for name, kind in self._types.items():
                if entry.values.get(name) is not None:
                    entry.values[name] = kind.restore(entry.values[name])
            yield entry

    def close(self) -> None:
        """Drop the file."""
        self._file.close()


class Report:
    """The outcome of each row as CSV, on the disk."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - `close` closes it
        self._text = io.TextIOWrapper(self._file, encoding="utf-8", newline="")
        self._writer = csv.writer(self._text)

    def restart(self) -> None:
        """Begin again, with nothing but the header."""
        self._text.seek(0)
        self._text.truncate()
        self._writer.writerow(REPORT)

    def add(self, entry: JudgedRow) -> None:
        """Write the outcome of a row, a line for each thing that is wrong with it."""
        start = (entry.number, entry.line, guard(entry.external_id or "") if entry.external_id else "")
        for name, reason in entry.problems or [("", "")]:
            self._writer.writerow((*start, entry.thing_id or "", entry.outcome, _cell(name), _cell(reason)))

    def add_sentence(self, reason: str) -> None:
        """Write what is wrong with the file itself."""
        self._writer.writerow(("", "", "", "", RowOutcome.FAILED, "", _cell(reason)))

    def rewound(self) -> IO[bytes]:
        """Return all that was written, from its beginning."""
        self._text.flush()
        self._file.seek(0)
        return self._file

    def close(self) -> None:
        """Drop the file."""
        self._text.close()


def _cell(text: str) -> str:
    return guard(text) if text else ""
