"""The formats of exported files, each written row by row.

CSV is for spreadsheets and people: RFC 4180 with every cell quoted, and a byte
order mark, without which Excel takes UTF-8 for something else. JSON Lines and
JSON are for programs.
"""

import csv
import io
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from importlib import import_module
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any

from core.exchange.columns import Column
from core.exchange.notations import Cell
from core.platform.disk.scratch import scratch_folder
from core.platform.text.json_out import dump

Columns = Sequence[Column]
Rows = Iterable[Sequence[Any]]


class FileFormat(StrEnum):
    """`json` is one array, `jsonl` one object a line."""

    CSV = "csv"
    JSONL = "jsonl"
    JSON = "json"
    XLSX = "xlsx"


@dataclass(frozen=True, slots=True)
class Layout:
    """A format. `write` takes rows with their values in the order of the columns, and returns how many texts it cut."""

    media_type: str
    write: Callable[[IO[bytes], str, Columns, Rows], int]


def write_csv(stream: IO[bytes], title: str, columns: Columns, rows: Rows) -> int:
    """Write rows as CSV with a header."""
    # A text that is not UTF-8 cannot be stored, so no error can come in the middle.
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="", write_through=False)
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(column.name for column in columns)
    written = [column.notation.to_cell for column in columns]
    writer.writerows(
        ["" if value is None else to_cell(value) for to_cell, value in zip(written, row, strict=True)] for row in rows
    )
    text.detach()
    return 0


def write_jsonl(stream: IO[bytes], title: str, columns: Columns, rows: Rows) -> int:
    """Write rows as JSON Lines."""
    names = [column.name for column in columns]
    for row in rows:
        stream.write(dump(dict(zip(names, row, strict=True))) + b"\n")
    return 0


def write_json(stream: IO[bytes], title: str, columns: Columns, rows: Rows) -> int:
    """Write rows as one JSON array."""
    names = [column.name for column in columns]
    before = b"[\n"
    for row in rows:
        stream.write(before + dump(dict(zip(names, row, strict=True))))
        before = b",\n"
    stream.write(b"[]\n" if before == b"[\n" else b"\n]\n")
    return 0


# --- XLSX -------------------------------------------------------------------------

SHEET_ROWS = 1_048_576
# In UTF-16 units, as spreadsheets count.
CELL_LENGTH = 32_767
CUT = "… [cut: a cell of a spreadsheet holds no more]"
# Spreadsheets count with 15 digits, and know no day before 1900.
_EXACT = 10**15
_FIRST_YEAR = 1901


def write_xlsx(stream: IO[bytes], title: str, columns: Columns, rows: Rows) -> int:
    """Write rows as an Excel workbook, with as many sheets as their number takes.

    Texts stay texts, whatever they look like. Numbers, amounts, days and
    booleans become cells of their type; moments stay text, because spreadsheets
    know no time zone.
    """
    with scratch_folder(Path(tempfile.gettempdir()), "tasklane-xlsx-") as folder:
        # Loaded only by what writes such a file. It keeps one row in memory and the rest in files of this folder.
        book = import_module("xlsxwriter").Workbook(stream, {"constant_memory": True, "tmpdir": str(folder)})
        book.use_zip64()
        try:
            cut = _write_sheets(book, title, columns, rows)
            book.close()
        finally:
            # Only a completed workbook closes the files of its sheets by itself.
            for sheet in book.worksheets():
                sheet._opt_close()
    return cut


def _write_sheets(book: Any, title: str, columns: Columns, rows: Rows) -> int:
    heading = book.add_format({"bold": True})
    day, amount = book.add_format({"num_format": "yyyy-mm-dd"}), book.add_format({"num_format": "0.00"})
    typed: dict[Cell, Callable[[Any, int, int, Any], bool]] = {
        Cell.NUMBER: _write_number,
        Cell.BOOLEAN: lambda sheet, row, column, value: bool(sheet.write_boolean(row, column, value)),
        Cell.AMOUNT: lambda sheet, row, column, value: bool(sheet.write_number(row, column, float(value), amount)),
        Cell.DAY: lambda sheet, row, column, value: _write_day(sheet, row, column, value, day),
    }
    writers = [typed.get(column.notation.cell) or _text_writer(column) for column in columns]
    cut, number, remaining = 0, 0, iter(rows)
    while True:
        part = islice(remaining, SHEET_ROWS - 1)
        first = next(part, None)
        if first is None and number:
            return cut
        number += 1
        sheet = book.add_worksheet(title if number == 1 else f"{title} {number}")
        sheet.freeze_panes(1, 0)
        for index, column in enumerate(columns):
            sheet.write_string(0, index, column.name, heading)
        if first is None:
            return cut
        for row_number, row in enumerate(chain([first], part), 1):
            for index, value in enumerate(row):
                if value is not None:
                    cut += writers[index](sheet, row_number, index, value)


def _text_writer(column: Column) -> Callable[[Any, int, int, Any], bool]:
    to_json = column.notation.to_json

    def write(sheet: Any, row: int, index: int, value: Any) -> bool:
        return _write_text(sheet, row, index, to_json(value))

    return write


def _write_text(sheet: Any, row: int, column: int, value: str) -> bool:
    """Write a text; return whether it had to be cut."""
    if len(value) > CELL_LENGTH // 2:
        units = value.encode("utf-16-le")
        if len(units) > 2 * CELL_LENGTH:
            kept = units[: 2 * (CELL_LENGTH - len(CUT))].decode("utf-16-le", "ignore")
            sheet.write_string(row, column, kept + CUT)
            return True
    sheet.write_string(row, column, value)
    return False


def _write_number(sheet: Any, row: int, column: int, value: int) -> bool:
    if abs(value) < _EXACT:
        return bool(sheet.write_number(row, column, value))
    return _write_text(sheet, row, column, str(value))


def _write_day(sheet: Any, row: int, column: int, value: date, shape: Any) -> bool:
    if value.year >= _FIRST_YEAR:
        return bool(sheet.write_datetime(row, column, value, shape))
    return _write_text(sheet, row, column, value.isoformat())


LAYOUTS = {
    FileFormat.CSV: Layout("text/csv", write_csv),
    FileFormat.JSONL: Layout("application/jsonl", write_jsonl),
    FileFormat.JSON: Layout("application/json", write_json),
    FileFormat.XLSX: Layout("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", write_xlsx),
}
