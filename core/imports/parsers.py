"""Files as rows, read piece by piece, whatever they turn out to be.

What breaks the file as a whole raises `FileRefused`; what is wrong with one row
is said in that row, and the next one follows. No file can make a reader hold
more than one row of at most `MAX_ROW_CHARACTERS`.
"""

import codecs
import csv
import difflib
import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import IO, Any

from core.errors import DomainError, Invalid, JobFailed, Malformed
from core.strict_json import DECODER, parse, printable, require_storable

MAX_ROW_CHARACTERS = 1024 * 1024
MAX_COLUMNS = 100
CHUNK_BYTES = 256 * 1024


class Format(StrEnum):
    """How a file is written."""

    CSV = "csv"
    JSON = "json"
    JSONL = "jsonl"


class FileRefused(JobFailed):
    """The file as a whole cannot be read; the message says where and why."""


@dataclass(slots=True)
class RawRow:
    """One row as it was found. `number` counts rows from 1, `line` is where it begins; a problem concerns all of it."""

    number: int
    line: int
    values: dict[str, Any]
    problem: str | None = None
    field: str = ""


def read(stream: IO[bytes], form: Format, known: Collection[str]) -> Iterator[RawRow]:
    """Yield the rows of a file whose columns may be the known ones. Raises FileRefused."""
    readers = {Format.CSV: _read_csv, Format.JSON: _read_json, Format.JSONL: _read_jsonl}
    return readers[form](_Text(stream), known)


class _Text:
    """UTF-8 in pieces, without a mark at the beginning, and with a sentence for everything else."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._lines = 1
        self._is_first = True
        self.is_over = False

    def read(self) -> str:
        """Return the next piece, empty at the end."""
        while not self.is_over:
            raw = self.stream.read(CHUNK_BYTES)
            if self._is_first:
                _refuse_other_kinds(raw)
            self.is_over = not raw
            try:
                text = self._decoder.decode(raw, final=self.is_over)
            except UnicodeDecodeError as error:
                line = self._lines + error.object.count(b"\n", 0, error.start)
                found = f"byte 0x{error.object[error.start]:02X}" if error.start < len(error.object) else "its end"
                raise FileRefused(
                    f"The file is not UTF-8: line {line} has {found} where no character can be. Save it as UTF-8."
                ) from None
            self._lines += text.count("\n")
            if self._is_first and text:
                self._is_first = False
                text = text.removeprefix("\ufeff")
            if text:
                return text
        return ""


_OTHER_KINDS = {
    b"PK\x03\x04": "The file is an Excel workbook or another archive. Save it as CSV.",
    b"\xd0\xcf\x11\xe0": "The file is an old Excel workbook. Save it as CSV.",
    b"\x1f\x8b": "The file is compressed. Unpack it first.",
    b"%PDF": "The file is a PDF document.",
    b"\xff\xfe": "The file is UTF-16. Save it as UTF-8.",
    b"\xfe\xff": "The file is UTF-16. Save it as UTF-8.",
}


def _refuse_other_kinds(beginning: bytes) -> None:
    for mark, sentence in _OTHER_KINDS.items():
        if beginning.startswith(mark):
            raise FileRefused(sentence)


_LINE_END = re.compile(r"\r\n|\n|\r")


def _lines(text: _Text, ends: re.Pattern[str]) -> Iterator[str]:
    """Yield lines with their ends, as they are."""
    rest = ""
    while piece := text.read():
        piece, start = rest + piece, 0
        for end in ends.finditer(piece):
            # The other half of this end may be in the next piece.
            if end.group() == "\r" and end.end() == len(piece) and not text.is_over:
                break
            yield _bounded(piece[start : end.end()])
            start = end.end()
        rest = _bounded(piece[start:])
    if rest:
        yield rest


def _bounded(line: str) -> str:
    if len(line) > MAX_ROW_CHARACTERS:
        raise FileRefused(f"The file has a line of more than {MAX_ROW_CHARACTERS} characters.")
    return line


# --- CSV --------------------------------------------------------------------------


def _read_csv(text: _Text, known: Collection[str]) -> Iterator[RawRow]:
    """Yield the records of a CSV file (RFC 4180) below its header."""
    reader = csv.reader(_lines(text, _LINE_END), strict=True)
    header: list[str] | None = None
    number = 0
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise FileRefused(f"The file is not valid CSV: {error} in the record that begins in line {line}.") from None
        if cells is None:
            break
        # Spreadsheets write rows that somebody has emptied.
        if not any(cells):
            continue
        if header is None:
            header = _header(cells, known)
            continue
        number += 1
        if len(cells) != len(header):
            yield RawRow(number, line, {}, f"This row has {_count(len(cells))}, the header {_count(len(header))}.")
        else:
            yield RawRow(number, line, dict(zip(header, cells, strict=True)))
    if header is None:
        raise FileRefused("The file is empty.")


def _count(cells: int) -> str:
    return "1 cell" if cells == 1 else f"{cells} cells"


def _header(cells: list[str], known: Collection[str]) -> list[str]:
    names = [cell.strip() for cell in cells]
    if len(names) > MAX_COLUMNS:
        raise FileRefused(f"The file has more than {MAX_COLUMNS} columns.")
    if len(names) == 1 and names[0] not in known and (found := re.search(r"[;\t|]", names[0])):
        raise FileRefused(f"The columns must be separated by commas, not by {found.group()!r}.")
    for position, name in enumerate(names, start=1):
        if not name:
            raise FileRefused(f"Column {position} has no name.")
        if name not in known:
            raise FileRefused(f"There is no column {printable(name)!r} here.{nearest(name, known)}")
        if names.index(name) != position - 1:
            raise FileRefused(f"The file has the column {name!r} twice.")
    return names


def nearest(name: str, known: Collection[str]) -> str:
    """Return a hint at the known name that may be meant, or nothing."""
    close = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


# --- JSON Lines and JSON ------------------------------------------------------------


def _read_jsonl(text: _Text, known: Collection[str]) -> Iterator[RawRow]:
    """Yield the objects of a file that has one in each line."""
    number = 0
    for line_number, line in enumerate(_lines(text, re.compile("\n")), start=1):
        if not line.strip(" \t\r\n"):
            continue
        number += 1
        try:
            value = parse(line.encode("utf-8"), what="This line")
        except (Malformed, Invalid) as refusal:
            yield _refused(number, line_number, refusal)
        except RecursionError:
            yield RawRow(number, line_number, {}, "This line is nested too deep.")
        else:
            yield _object(number, line_number, value, known)
    if number == 0:
        raise FileRefused("The file is empty.")


# Finds where a value ends that the strict decoder has refused.
_LENIENT = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)
_SPACE = re.compile(r"[ \t\r\n]*")


def _read_json(text: _Text, known: Collection[str]) -> Iterator[RawRow]:
    """Yield the objects of a JSON array without ever having the whole of it."""
    window = _Window(text)
    first = window.peek()
    if not first:
        raise FileRefused("The file is empty.")
    if first != "[":
        raise FileRefused("The file must be a JSON array of objects. For one object in each line, say jsonl.")
    window.skip(1)
    number = 0
    if window.peek() == "]":
        window.skip(1)
    else:
        while True:
            number += 1
            window.peek()
            line = window.line
            yield window.value(number, line, known)
            separator = window.peek()
            window.skip(1)
            if separator == "]":
                break
            if separator != ",":
                raise FileRefused(
                    f"The file is cut off after row {number}."
                    if not separator
                    else f"The file is not valid JSON: ',' or ']' is missing after row {number}, in line {window.line}."
                )
    if window.peek():
        raise FileRefused(f"The file goes on after the end of its array, in line {window.line}.")


class _Window:
    """The part of a JSON text that is being looked at."""

    def __init__(self, text: _Text) -> None:
        self.text = text
        self.line = 1
        self._buffer = ""
        self._position = 0

    def peek(self) -> str:
        """Return the next character that is not space, or nothing at the end."""
        while True:
            end = _SPACE.match(self._buffer, self._position).end()  # type: ignore[union-attr]
            self.skip(end - self._position)
            if self._position < len(self._buffer):
                return self._buffer[self._position]
            if not self._grow():
                return ""

    def skip(self, count: int) -> None:
        self.line += self._buffer.count("\n", self._position, self._position + count)
        self._position += count

    def _grow(self) -> bool:
        """Read on, twice as far each time that one value does not end; return False at the end of the file."""
        parts = [self._buffer[self._position :]]
        wanted = max(len(parts[0]), 1)
        while wanted > 0 and (piece := self.text.read()):
            parts.append(piece)
            wanted -= len(piece)
        self._buffer, self._position = "".join(parts), 0
        return len(parts) > 1

    def _may_go_on(self, error: json.JSONDecodeError) -> bool:
        """Return whether the value may only look wrong because its rest has not been read."""
        # The longest thing that cannot be told from its beginning is -Infinity or an escaped pair of surrogates.
        return error.msg.startswith("Unterminated string") or error.pos > len(self._buffer) - 16

    def value(self, number: int, line: int, known: Collection[str]) -> RawRow:
        """Return the value that begins here. Raises FileRefused if it has no end."""
        while True:
            refusal: DomainError | None = None
            value: Any = None
            try:
                try:
                    value, end = DECODER.raw_decode(self._buffer, self._position)
                except (Malformed, Invalid) as error:
                    refusal = error
                    _, end = _LENIENT.raw_decode(self._buffer, self._position)
            except json.JSONDecodeError as error:
                if self._may_go_on(error):
                    if len(self._buffer) - self._position > MAX_ROW_CHARACTERS:
                        raise FileRefused(
                            f"Row {number}, from line {line}, is longer than {MAX_ROW_CHARACTERS} characters."
                        ) from None
                    if self._grow():
                        continue
                where = self.line + self._buffer.count("\n", self._position, error.pos)
                raise FileRefused(f"The file is not valid JSON: {error.msg} in row {number}, line {where}.") from None
            except RecursionError:
                raise FileRefused(f"Row {number}, in line {line}, is nested too deep.") from None
            # A number may go on behind what has been read so far.
            if end == len(self._buffer) and not isinstance(value, dict) and self._grow():
                continue
            self.skip(end - self._position)
            return _refused(number, line, refusal) if refusal else _object(number, line, value, known)


def _object(number: int, line: int, value: Any, known: Collection[str]) -> RawRow:
    if not isinstance(value, dict):
        return RawRow(number, line, {}, "A row must be an object.")
    for name in value:
        if name not in known:
            return RawRow(number, line, {}, f"Unknown field.{nearest(name, known)}", printable(name))
    try:
        require_storable(value)
    except Invalid as refusal:
        return _refused(number, line, refusal)
    except RecursionError:
        # From Python 3.12 on, what reads JSON goes deeper than what looks through it.
        return RawRow(number, line, {}, "This row is nested too deep.")
    return RawRow(number, line, value)


def _refused(number: int, line: int, refusal: DomainError) -> RawRow:
    if refusal.details:
        field, sentences = next(iter(refusal.details.items()))
        return RawRow(number, line, {}, sentences[0], "" if field == "body" else field)
    return RawRow(number, line, {}, refusal.message)
