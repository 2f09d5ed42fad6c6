"""Files as rows, read piece by piece, whatever they turn out to be.

What breaks the file as a whole raises `FileRefused`; what is wrong with one row
is said in that row, and the next one follows. No file can make a reader hold
more than one row of at most `MAX_ROW_CHARACTERS`.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from enum import StrEnum
from typing import IO

from core.exchange.imports.csv_records import Records
from core.exchange.imports.json_rows import read_json, read_json_lines
from core.exchange.imports.rows import RawRow
from core.exchange.imports.source import TOO_LONG, FileRefused, Text
from core.platform.text.faults import nearest
from core.platform.text.strict_json import printable

MAX_COLUMNS = 100
CHUNK_BYTES = 256 * 1024


class Format(StrEnum):
    """Format of a file."""

    CSV = "csv"
    JSON = "json"
    JSONL = "jsonl"


def read(stream: IO[bytes], form: Format, known: Collection[str]) -> Iterator[RawRow]:
    """Yield the rows of a file whose columns may be the known ones. Raises FileRefused."""
    readers = {Format.CSV: _read_csv, Format.JSON: read_json, Format.JSONL: read_json_lines}
    yield from readers[form](Text(stream, CHUNK_BYTES), known)


def guess(beginning: bytes) -> Format:
    """Return the format of a file that begins like this, if its name does not say it."""
    first = beginning.lstrip(b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n")[:1]
    return Format.JSON if first in (b"[", b"{") else Format.CSV


def _read_csv(text: Text, known: Collection[str]) -> Iterator[RawRow]:
    """Yield the records of a CSV file below its header."""
    separator, line = _separator(text, known)
    header: list[str] | None = None
    number = 0
    for record in Records(text, separator, line=line):
        cells = record.cells
        # Spreadsheets write rows that a user has emptied.
        if cells is not None and not any(cells):
            continue
        if header is None:
            if cells is None:
                raise FileRefused(f"The file begins with a line that is no header: it is too long. {_HEADER}")
            header = _header(cells, known)
            continue
        number += 1
        yield RawRow(number, record.line, {}, TOO_LONG) if cells is None else _row(number, record.line, header, cells)
    if header is None:
        raise FileRefused("The file is empty.")


_HEADER = "The first line must name the columns."

# --- what separates cells -----------------------------------------------------------

_SEPARATORS = (",", ";", "\t", "|")
# Excel writes and reads this in front of the header.
_DECLARED = re.compile(r'"?sep=([^"\r\n])?"?[,;\t|]*(?:\r\n|\n|\r|\Z)', re.IGNORECASE)


def _separator(text: Text, known: Collection[str]) -> tuple[str, int]:
    """Return what stands between the cells, and in which line the header may begin."""
    beginning = text.peek()
    if declared := _DECLARED.match(beginning):
        if declared.group(1) not in _SEPARATORS:
            raise FileRefused("The first line declares a separator that is none of comma, semicolon, tab and '|'.")
        text.skip(declared.end())
        return declared.group(1), 2
    first = next((line for line in re.split(r"[\r\n]+", beginning, maxsplit=2) if line), "")

    def evidence(separator: str) -> tuple[int, int]:
        cells = [cell.strip(' "') for cell in first.split(separator)]
        return sum(_known_name(cell, known) in known for cell in cells), len(cells)

    # The first of equals is the comma.
    return max(_SEPARATORS, key=evidence), 1


# --- the header ---------------------------------------------------------------------

# How spreadsheets and statistics programs name a column that numbers the rows.
_UNNAMED = re.compile(r"(Unnamed: [0-9]+)?")
_NUMBER = re.compile(r"\s*[0-9]*\s*", re.ASCII)


def _known_name(cell: str, known: Collection[str]) -> str:
    """Return the column that a cell of the header names, whatever its case and however its words are put together."""
    name = cell.replace("\ufeff", "").strip()
    plain = _plain(name)
    return next((column for column in known if _plain(column) == plain), name)


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name).casefold()


def _header(cells: list[str], known: Collection[str]) -> list[str]:
    """Return the names of the columns, empty for those that have none."""
    if len(cells) > MAX_COLUMNS:
        raise FileRefused(f"The file has more than {MAX_COLUMNS} columns.")
    names = [_known_name(cell, known) for cell in cells]
    for position, name in enumerate(names):
        if _UNNAMED.fullmatch(name):
            # It numbers the rows, or comes from a separator at the end of each line.
            if position and any(names[position:]):
                raise FileRefused(f"Column {position + 1} has no name.")
            names[position] = ""
        elif name not in known:
            raise FileRefused(f"There is no column {printable(name)!r} here.{nearest(name, known)}")
        elif names.index(name) != position:
            raise FileRefused(f"The file has the column {name!r} twice.")
    return names


def _row(number: int, line: int, header: Sequence[str], cells: list[str]) -> RawRow:
    # Empty cells at the end come from separators at the end of lines.
    while len(cells) > len(header) and not cells[-1]:
        cells.pop()
    if len(cells) != len(header):
        return RawRow(number, line, {}, f"This row has {_count(len(cells))}, the header {_count(len(header))}.")
    values = dict(zip(header, cells, strict=True))
    if "" in values:
        for position, (name, cell) in enumerate(zip(header, cells, strict=True), start=1):
            # The first column may number the rows; anything else would be lost.
            if not name and cell and not (position == 1 and _NUMBER.fullmatch(cell)):
                return RawRow(number, line, {}, f"Column {position} has no name, but this row has a value there.")
        del values[""]
    return RawRow(number, line, values)


def _count(cells: int) -> str:
    return "1 cell" if cells == 1 else f"{cells} cells"
