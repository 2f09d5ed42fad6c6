"""Records of a CSV file (RFC 4180), read without ever having more than one row of them.

Python's own reader gives up a file at a cell that is longer than a limit of the
whole process, and does not say where a quote began that has no end.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from core.exchange.imports.source import MAX_ROW_CHARACTERS, FileRefused, Text

_QUOTED = re.compile(r'[^"]*+(?:""[^"]*+)*+')
_LINE_END = re.compile(r"\r\n|\n|\r")
# So much white space in front of a quote does not come by accident.
_MOST_BLANKS = 4096


@dataclass(slots=True)
class Record:
    """The cells of a record, None if they are too long, and the line in which it begins."""

    line: int
    cells: list[str] | None


class _End(Enum):
    CELL = "cell"
    RECORD = "record"
    FILE = "file"


class Records:
    """The records of a text whose cells have `separator` between them; `line` is that of the first one."""

    def __init__(self, text: Text, separator: str, *, line: int = 1) -> None:
        self._text = text
        self._separator = separator
        self._line = line
        self._buffer = ""
        self._position = 0
        blank = r"[ ]*+" if separator == "\t" else r"[ \t]*+"
        self._blanks = re.compile(blank)
        self._plain = re.compile(rf"[^{re.escape(separator)}\r\n]*+")
        self._simple = re.compile(r'([^"\r\n]*+)(?:\r\n|\n)')
        # A whole cell that has no line break in it, and what follows it: nearly all cells.
        inside = r'[^"\r\n]*+(?:""[^"\r\n]*+)*+'
        sign = re.escape(separator)
        self._whole = re.compile(rf'(?:{blank}"({inside})"{blank}|([^{sign}"\r\n]*+))(?:({sign})|\r\n|\n)')

    def __iter__(self) -> Iterator[Record]:
        end = _End.RECORD
        while end is not _End.FILE:
            line = self._line
            if simple := self._simple.match(self._buffer, self._position):
                self._position = simple.end()
                self._line += 1
                text = simple.group(1)
                yield Record(line, text.split(self._separator) if len(text) <= MAX_ROW_CHARACTERS else None)
                continue
            cells, end = self._cells()
            if end is not _End.FILE or cells != [""]:
                yield Record(line, cells)

    def _cells(self) -> tuple[list[str] | None, _End]:
        """Return the cells of the next record."""
        cells: list[str] = []
        length, is_too_long = 0, False
        while True:
            cell, end = self._cell()
            length += 1 + len(cell or "")
            is_too_long = is_too_long or cell is None or length > MAX_ROW_CHARACTERS
            if cell is not None and not is_too_long:
                cells.append(cell)
            if end is not _End.CELL:
                return None if is_too_long else cells, end

    def _cell(self) -> tuple[str | None, _End]:
        """Return the next cell, None if it is too long, and what follows it."""
        if whole := self._whole.match(self._buffer, self._position):
            self._position = whole.end()
            quoted, plain, separator = whole.groups()
            cell = plain if quoted is None else quoted.replace('""', '"')
            if separator:
                return cell, _End.CELL
            self._line += 1
            return cell, _End.RECORD
        start = self._past_blanks()
        if self._buffer.startswith('"', start):
            self._position = start + 1
            began = self._line
            cell = self._quoted(began)
            self._position = self._past_blanks()
            end = self._end()
            if end is None:
                raise FileRefused(
                    f"The file is not valid CSV: the quote that begins in line {began} is not closed where it should"
                    f" be, because text follows in line {self._line}. Inside a text, a quote is written twice."
                )
            return cell, end
        cell = self._gathered(self._plain)
        return cell, self._end() or _End.FILE

    def _past_blanks(self) -> int:
        """Return where the next character is that is no blank; do not go there."""
        while True:
            end = self._blanks.match(self._buffer, self._position).end()  # type: ignore[union-attr]
            if end < len(self._buffer) or end - self._position > _MOST_BLANKS or not self._grow():
                return end

    def _quoted(self, began: int) -> str | None:
        """Return the text up to the closing quote, which is passed over."""
        cell = self._gathered(_QUOTED, keeps=1)
        if self._position == len(self._buffer):
            raise FileRefused(
                f"The file is not valid CSV: the quote that begins in line {began} is never closed."
                " Inside a text, a quote is written twice."
            )
        self._position += 1
        return None if cell is None else cell.replace('""', '"')

    def _gathered(self, pattern: re.Pattern[str], *, keeps: int = 0) -> str | None:
        """Return all that the pattern matches from here, however many pieces of the file that takes.

        What it stops at may look otherwise with the `keeps` characters behind it.
        """
        parts: list[str] = []
        length = 0
        while True:
            end = pattern.match(self._buffer, self._position).end()  # type: ignore[union-attr]
            is_settled = end + keeps < len(self._buffer) or self._text.is_over
            # Both halves of a line end have to be counted together.
            if not is_settled and end > self._position and self._buffer[end - 1] == "\r":
                end -= 1
            part = self._buffer[self._position : end]
            self._position = end
            self._line += len(_LINE_END.findall(part))
            length += len(part)
            parts = [*parts, part] if length <= MAX_ROW_CHARACTERS else []
            if is_settled:
                return "".join(parts) if length <= MAX_ROW_CHARACTERS else None
            self._grow()

    def _end(self) -> _End | None:
        """Pass over what is between cells or records; return None if there is something else."""
        if self._buffer.startswith(self._separator, self._position):
            self._position += 1
            return _End.CELL
        # The other half of a line end may be in the next piece.
        while len(self._buffer) - self._position < 2 and self._grow():
            pass
        if self._position == len(self._buffer):
            return _End.FILE
        if end := _LINE_END.match(self._buffer, self._position):
            self._position = end.end()
            self._line += 1
            return _End.RECORD
        return None

    def _grow(self) -> bool:
        """Read the next piece; return False at the end of the file."""
        piece = self._text.read()
        self._buffer, self._position = self._buffer[self._position :] + piece, 0
        return bool(piece)
