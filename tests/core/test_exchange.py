"""The notations of exported and imported values: what is written is read back as it was."""

import csv
import io
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.exchange.columns import COLUMNS, DECLARED, Column, Kind
from core.exchange.formats import write_csv
from core.exchange.imports import parsers
from core.exchange.imports.parsers import Format
from core.exchange.notations import AMOUNT, BOOLEAN, DAY, MOMENT, NUMBER, TEXT, guard, unguard, whole
from core.platform.text.checks import MAX_ID
from tests.support.values import storable, tricky, values_of

ROWS = {
    kind: st.tuples(st.none() | storable, *(st.none() | values_of(field) for field in fields.in_files))
    for kind, fields in DECLARED.items()
}


@pytest.mark.parametrize("kind", list(Kind))
@settings(deadline=None)
@given(data=st.data())
def test_every_row_survives_a_csv_file(kind: Kind, data: st.DataObject) -> None:
    columns, row = COLUMNS[kind], data.draw(ROWS[kind])
    file = io.StringIO(newline="")
    csv.writer(file, quoting=csv.QUOTE_ALL).writerow([c.to_cell(v) for c, v in zip(columns, row, strict=True)])
    file.seek(0)
    (cells,) = csv.reader(file, strict=True)
    back = tuple(column.from_cell(cell) for column, cell in zip(columns, cells, strict=True))
    assert back == row
    assert [type(value) for value in back] == [type(value) for value in row]


@pytest.mark.parametrize("kind", list(Kind))
@settings(deadline=None)
@given(data=st.data())
def test_every_row_survives_json(kind: Kind, data: st.DataObject) -> None:
    columns, row = COLUMNS[kind], data.draw(ROWS[kind])
    assert tuple(column.from_json(column.to_json(value)) for column, value in zip(columns, row, strict=True)) == row


@settings(deadline=None)
@given(storable | tricky)
def test_no_text_becomes_a_formula(text: str) -> None:
    cell = guard(text)
    assert unguard(cell) == text
    assert cell.lstrip()[:1] not in tuple("=+-@\uff1d\uff0b\uff0d\uff20")
    assert cell[:1] not in ("", "\t", "\r", "\n")


# What is inside a quoted cell for us is in front of others: separators, line breaks, quotes and signs.
inside = st.text(st.sampled_from(list("=+-@\t\r\n;,|\"' ax\uff1d\x0b\x85")), max_size=12)


@settings(deadline=None, max_examples=500)
@given(st.lists(st.tuples(inside, inside, inside), min_size=1, max_size=3))
def test_no_separator_of_another_country_brings_a_formula_out(rows: list[tuple[str, ...]]) -> None:
    stream = io.BytesIO()
    write_csv(stream, "x", [Column(name, TEXT) for name in ("title", "description", "status")], rows)
    for separator in ",;\t|":
        read = list(csv.reader(io.StringIO(stream.getvalue().decode("utf-8-sig"), newline=""), delimiter=separator))
        for cell in (cell for row in read for cell in row):
            assert cell.lstrip()[:1] not in tuple("=+-@\uff1d"), (separator, cell)
            assert cell[:1] not in ("\t", "\r"), (separator, cell)
    stream.seek(0)
    cells = [tuple(row.values.values()) for row in parsers.read(stream, Format.CSV, ["title", "description", "status"])]
    assert [tuple(map(unguard, row)) for row in cells] == rows


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@settings(deadline=None)
@given(rows=st.lists(st.tuples(inside, storable), min_size=1, max_size=3))
def test_a_file_with_any_separator_is_read_back(separator: str, rows: list[tuple[str, str]]) -> None:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=separator, quoting=csv.QUOTE_ALL).writerows([("title", "description"), *rows])
    read = list(parsers.read(io.BytesIO(out.getvalue().encode()), Format.CSV, ["title", "description"]))
    assert [tuple(row.values.values()) for row in read] == [row for row in rows if any(row)]


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("x;=1+41;y", "x;'=1+41;y"),
        ("x\t=1", "x\t'=1"),
        ("x|@SUM(A1)", "x|'@SUM(A1)"),
        ('x;"=1', "x;'\"=1"),
        ("x\n- y", "x\n'- y"),
        ("x\r\n\r\n =1", "x\r\n\r\n' =1"),
        ("x;\ty", "x;'\ty"),
        ("x;'=1", "x;''=1"),
        ("x;", "x;'"),
        ("x;'", "x;''"),
        ("=1;=1", "'=1;'=1"),
        ("x; y|z\n\nw", "x; y|z\n\nw"),
        ("a, -5", "a, -5"),
        ("x;'y", "x;'y"),
        ("=1+1", "'=1+1"),
        ("  =1+1", "'  =1+1"),
        ("+49 30 1234", "'+49 30 1234"),
        ("-5", "'-5"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\uff1dcmd", "'\uff1dcmd"),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        ("\nx", "'\nx"),
        ("'=1", "''=1"),
        ("''", "'''"),
        ("'", "''"),
        ("", "'"),
        ("'tis", "'tis"),
        ("' tis", "' tis"),
        ("a=b", "a=b"),
        (" plain ", " plain "),
    ],
)
def test_only_what_needs_it_gets_an_apostrophe(text: str, cell: str) -> None:
    assert guard(text) == cell
    assert unguard(cell) == text


@pytest.mark.parametrize("cell", ["'tis", "=1+1", "-5", " =1", "plain", "o'clock'"])
def test_a_cell_that_a_person_wrote_stays_as_it_is(cell: str) -> None:
    assert unguard(cell) == cell


@pytest.mark.parametrize(
    ("notation", "cell", "value"),
    [
        (NUMBER, " 7 ", 7),
        (NUMBER, "007", 7),
        (AMOUNT, "5", Decimal(5)),
        (AMOUNT, " 5.5 ", Decimal("5.5")),
        (DAY, " 2026-11-20", date(2026, 11, 20)),
        (MOMENT, "2026-11-20T10:30:00+01:00", datetime(2026, 11, 20, 9, 30, tzinfo=UTC)),
        (BOOLEAN, "TRUE", True),
        (BOOLEAN, "False ", False),
    ],
)
def test_what_people_and_spreadsheets_write_is_understood(notation: Any, cell: str, value: Any) -> None:
    assert Column("x", notation).from_cell(cell) == value


@pytest.mark.parametrize(
    ("notation", "cells"),
    [
        (NUMBER, ["0", "-1", "1.0", "x", " ", "9223372036854775808", "\u0667", "1" * 5000]),
        (AMOUNT, ["-1", "1.999", "1e3", "NaN", "Infinity", "10000000000", "1,5", "\u0667"]),
        (DAY, ["2026-02-30", "20.11.2026", "2026-W01-1", "today", "2026-11-20T00:00:00Z"]),
        (MOMENT, ["2026-11-20", "2026-11-20T09:30:00", "9999-12-31T23:59:59-10:00", "now"]),
        (BOOLEAN, ["1", "yes", "t", " "]),
    ],
)
def test_what_is_something_else_is_refused_in_a_sentence(notation: Any, cells: list[str]) -> None:
    for cell in cells:
        with pytest.raises(ValueError, match=r"^Must be .*\.$"):
            Column("x", notation).from_cell(cell)


@pytest.mark.parametrize(
    ("notation", "found"),
    [
        (TEXT, [1, True, [], {}]),
        (NUMBER, ["7", True, Decimal("7.5"), 0, MAX_ID + 1]),
        (AMOUNT, ["19.99", 19.99, True, Decimal("NaN"), Decimal("1E+400"), Decimal("0.001"), -1]),
        (DAY, [20261120, True]),
        (MOMENT, [1763630000]),
        (BOOLEAN, ["true", 1, 0]),
    ],
)
def test_json_of_another_type_is_refused_in_a_sentence(notation: Any, found: list[Any]) -> None:
    for value in found:
        with pytest.raises(ValueError, match=r"^Must be .*\.$"):
            Column("x", notation).from_json(value)


def test_a_word_of_another_list_is_refused_with_the_list() -> None:
    status = next(column for column in COLUMNS[Kind.TASKS] if column.name == "status")
    for read in (status.from_cell, status.from_json):
        with pytest.raises(ValueError, match=r"^Must be one of pending, in_progress, completed, cancelled\.$"):
            read("done")
    with pytest.raises(ValueError, match="Must be one of"):
        status.from_json(7)


def test_a_number_is_written_and_read_within_its_bounds() -> None:
    priority = whole(-3, 5)
    assert [priority.from_cell(cell) for cell in ("-3", " 0 ", "5")] == [-3, 0, 5]
    assert [priority.from_json(value) for value in (-3, 5)] == [-3, 5]
    for read, wrong in ((priority.from_cell, ["6", "-4", "", "1.0", "x"]), (priority.from_json, [6, -4, "1", True])):
        for value in wrong:
            with pytest.raises(ValueError, match=r"^Must be a whole number from -3 to 5\.$"):
                read(value)
