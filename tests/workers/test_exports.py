"""Exports from the order to the download: every kind in every format, one moment, and nothing left behind."""

import csv
import io
import itertools
import json
import tempfile
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import openpyxl
import pytest
from flask import Flask
from openpyxl.utils.escape import unescape
from sqlalchemy import func, select, update

from core.exchange import exports, formats
from core.exchange.columns import COLUMNS, Kind
from core.files.model import FileChunk, StoredFile
from core.jobs.model import Job, JobState
from core.platform.database.base import db
from core.platform.database.session import transaction
from core.platform.preconditions import ANY_STATE
from core.runs import service as runs
from core.runs.run import Run
from core.tasks.model import Task
from core.users.model import User
from tests.support.engines import on_sqlite
from tests.support.people import Person
from workers.jobs import exports as work
from workers.runner import Stopping, run_job
from workers.watch import Taken

STRANGE = [
    '=HYPERLINK("http://evil.example","click")',
    "+1",
    "-2",
    "@SUM(A1:A9)",
    "\uff1d1+1",
    "'tis",
    "'=1",
    "''",
    "'",
    "http://example.com",
    "007",
    "1e5",
    "true",
    "2026-11-21",
    'He said "no", twice; twice',
    "Ünïcödé 😀 \u202e مرحبا",
    "_x0041_",
]
LINES = ["", " ", "\t=1", "\r=1", "\n=1", "a\r\nb\rc\nd", "\x01\x0b\x1f\x7f\x85\u2028", "\ufeff\ufffe\uffff", "null"]


def order(person: Person, kind: str = "tasks", file_format: str = "csv", **more: Any) -> UUID:
    response = person.post("/exports", {"kind": kind, "format": file_format, **more})
    assert response.status_code == 202, response.text
    return UUID(response.get_json()["data"]["job_id"])


def run(app: Flask, job_id: UUID, attempt: int = 0) -> Job:
    with app.app_context():
        run_job(str(job_id), attempt)
    with app.app_context():
        return db.session.get_one(Job, job_id)


def download(person: Person, job_id: UUID) -> bytes:
    response = person.get(f"/jobs/{job_id}/result")
    assert response.status_code == 200, response.text
    return bytes(response.data)


def export(person: Person, kind: str = "tasks", file_format: str = "csv", **more: Any) -> bytes:
    """Return the file of an export that a worker has made."""
    job_id = order(person, kind, file_format, **more)
    job = run(person.app, job_id)
    assert job.state is JobState.SUCCEEDED, job.error
    return download(person, job_id)


def cells(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True))


def read(kind: str, file_format: str, data: bytes) -> list[dict[str, Any]]:
    """Return what a file says, as the API would say it; amounts of a workbook are floats."""
    columns = COLUMNS[Kind(kind)]
    names = [column.name for column in columns]
    match file_format:
        case "csv":
            head, *rows = cells(data)
            assert head == names
            by_name = [zip(columns, row, strict=True) for row in rows]
            return [{column.name: column.to_json(column.from_cell(cell)) for column, cell in row} for row in by_name]
        case "jsonl":
            assert data == b"" or data.endswith(b"\n")
            return [json.loads(line, parse_float=Decimal) for line in data.splitlines()]
        case "json":
            found: list[dict[str, Any]] = json.loads(data, parse_float=Decimal)
            return found
    book = openpyxl.load_workbook(io.BytesIO(data), read_only=True)
    found = []
    for sheet in book.worksheets:
        head, *rows = sheet.iter_rows(values_only=True)
        assert list(head) == names
        found += [dict(zip(names, map(_of_xlsx, row), strict=True)) for row in rows]
    book.close()
    return found


def _of_xlsx(value: Any) -> Any:
    # What XML cannot hold is written _xHHHH_ (ECMA-376, part 1, 22.9.2.19), which openpyxl leaves as it is.
    if isinstance(value, str):
        return unescape(value)
    return value.date().isoformat() if hasattr(value, "date") else value


def listed(person: Person, kind: str, **query: Any) -> list[dict[str, Any]]:
    """Return what the list of the API has, as a file has it."""
    response = person.get(f"/{kind}", query_string={"per_page": 100, **query})
    assert response.status_code == 200, response.text
    rows: list[dict[str, Any]] = json.loads(response.data, parse_float=Decimal)["data"]
    # What is in the trash is not exported.
    return [{"external_id": None, **row} for row in rows if row.pop("deleted_at", None) is None]


@pytest.fixture
def world(ada: Person, bob: Person, admin: Person) -> Person:
    """A bit of everything, seen by an administrator."""
    ada.patch("/auth/me", {"name": "Ada 'the' Great"})
    item = ada.create_item(price=19.99, sku="-A/1", description="=1+1")
    ada.create_item(price=9999999999.99, name="'=dear")
    tasks = [ada.create_task(title=text, description=line) for text, line in zip(STRANGE, LINES * 2, strict=False)]
    ada.patch(f"/tasks/{tasks[0]['id']}", {"due_date": "2026-12-01", "item_id": item["id"], "status": "completed"})
    ada.patch(f"/tasks/{tasks[1]['id']}", {"due_date": "0001-01-01", "assignee_id": bob.user_id})
    for text in STRANGE:
        bob.create_post(title=text, content=text)
    ada.create_post(task_id=tasks[0]["id"])
    return admin


KINDS = ("tasks", "posts", "items", "users")


def test_a_file_has_exactly_what_the_list_has(world: Person) -> None:
    for kind in KINDS:
        expected = [sorted(row.items()) for row in listed(world, kind)]
        for file_format in ("csv", "jsonl", "json"):
            found = read(kind, file_format, export(world, kind, file_format))
            assert len(found) > 1
            for row in found:
                if kind == "users":  # The list shows less of each.
                    assert row.pop("updated_at").endswith("Z")
            assert [sorted(row.items()) for row in found] == expected, (kind, file_format)


@on_sqlite
def test_a_workbook_has_what_the_list_has_in_cells_of_their_types(world: Person) -> None:
    for kind in KINDS:
        found = read(kind, "xlsx", export(world, kind, "xlsx"))
        expected = listed(world, kind)
        assert len(found) == len(expected) > 1
        for row, wanted in zip(found, expected, strict=True):
            for name, value in wanted.items():
                shown = float(value) if isinstance(value, Decimal) else value
                assert row[name] == shown, (kind, name)


@on_sqlite
def test_a_workbook_keeps_every_text_as_text(ada: Person) -> None:
    for text in STRANGE:
        ada.create_task(title=text, description="\r\x01\ufffe")
    book = openpyxl.load_workbook(io.BytesIO(export(ada, "tasks", "xlsx", sort="id")))
    (sheet,) = book.worksheets
    assert sheet.title == "tasks"
    titles = [row[2] for row in sheet.iter_rows(min_row=2)]
    assert [unescape(cell.value) for cell in titles] == STRANGE
    assert {cell.data_type for cell in titles} <= {"s", "inlineStr"}
    assert {cell.hyperlink for cell in titles} == {None}
    assert sheet["D2"].value == "_x000D__x0001__xFFFE_"


@on_sqlite
def test_no_cell_of_a_csv_file_begins_like_a_formula(world: Person) -> None:
    for kind in ("tasks", "posts", "items", "users"):
        for cell in filter(None, itertools.chain(*cells(export(world, kind)))):
            assert cell.lstrip()[:1] not in tuple("=+-@\uff1d")
            assert cell[0] not in "\t\r\n"


@on_sqlite
def test_a_csv_file_is_as_documented(ada: Person) -> None:
    ada.create_task(title='A "b", c', description="=1")
    data = export(ada, "tasks", "csv")
    assert data.startswith(b'\xef\xbb\xbf"external_id","id","title"')
    _, row, rest = data.removeprefix(b"\xef\xbb\xbf").split(b"\r\n")
    assert rest == b""
    assert row.split(b",", 1)[0] == b'""'
    assert b',"A ""b"", c","\'=1","pending","",' in row


@pytest.mark.parametrize(
    ("file_format", "media_type", "empty"),
    [
        ("csv", "text/csv", None),
        ("jsonl", "application/jsonl", b""),
        ("json", "application/json", b"[]\n"),
        ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", None),
    ],
)
def test_nothing_to_export_is_a_file_too(
    ada: Person, at: Callable[[str], None], file_format: str, media_type: str, empty: bytes | None
) -> None:
    job_id = order(ada, "tasks", file_format)
    at("2026-11-21T23:59:00+00:00")
    job = run(ada.app, job_id)
    response = ada.get(f"/jobs/{job_id}/result")
    assert response.mimetype == media_type
    assert f'filename="tasks-2026-11-21.{file_format}"' in response.headers["Content-Disposition"]
    assert read("tasks", file_format, response.data) == []
    assert empty is None or response.data == empty
    assert job.result == {
        "rows": 0,
        "cut_cells": 0,
        "files": [
            {
                "name": f"tasks-2026-11-21.{file_format}",
                "media_type": media_type,
                "size": len(response.data),
                "expires_at": "2026-11-28T23:59:00Z",
            }
        ],
    }
    assert ada.get(f"/jobs/{job_id}").get_json()["data"]["result"] == job.result


FILTERS: list[tuple[str, dict[str, str]]] = [
    ("tasks", {"status": "completed,pending"}),
    ("tasks", {"status": "completed"}),
    ("tasks", {"assignee_id": "me"}),
    ("tasks", {"owner_id": "me"}),
    ("tasks", {"overdue": "true"}),
    ("tasks", {"overdue": "false", "q": "1"}),
    ("tasks", {"due_date[gte]": "2026-01-01"}),
    ("tasks", {"due_date": "2026-12-01", "completed_at[gt]": "2020-01-01T00:00:00+02:00"}),
    ("tasks", {"created_at[gt]": "2100-01-01"}),
    ("posts", {"user_id": "me"}),
    ("posts", {"q": "e"}),
    ("items", {"price[gte]": "19.99", "price[lt]": "100"}),
    ("items", {"sku": "-A/1"}),
    ("users", {"role": "admin"}),
    ("users", {"is_active": "false"}),
    ("users", {"q": "ada"}),
]


def test_filters_choose_what_they_choose_in_the_list(world: Person) -> None:
    for kind, filters in FILTERS:
        found = read(kind, "jsonl", export(world, kind, "jsonl", filters=filters))
        assert [row["id"] for row in found] == [row["id"] for row in listed(world, kind, **filters)], filters


def test_me_is_whoever_ordered_it(world: Person, ada: Person, bob: Person) -> None:
    found = read("tasks", "jsonl", export(bob, "tasks", "jsonl", filters={"assignee_id": "me"}))
    assert [row["assignee_id"] for row in found] == [bob.user_id]
    assert {row["owner_id"] for row in read("tasks", "jsonl", export(ada, "tasks", "jsonl"))} == {ada.user_id}


def test_the_order_is_that_of_the_list(world: Person) -> None:
    for sort in ("title,-id", "-due_date", "id", "status"):
        found = read("tasks", "jsonl", export(world, "tasks", "jsonl", sort=sort))
        assert [row["id"] for row in found] == [row["id"] for row in listed(world, "tasks", sort=sort)], sort


def test_everybody_exports_only_what_they_see(world: Person, ada: Person, bob: Person) -> None:
    counts = {}
    for kind in ("tasks", "posts", "items"):
        for person in (ada, bob, world):
            found = read(kind, "jsonl", export(person, kind, "jsonl"))
            assert [row["id"] for row in found] == [row["id"] for row in listed(person, kind)]
            counts[kind, person.username] = len(found)
    assert counts["tasks", "bob"] == 1 < counts["tasks", "ada"] == counts["tasks", "root.admin"]
    assert counts["posts", "bob"] < counts["posts", "ada"]


def test_rights_are_those_at_the_time_of_the_export(app: Flask, world: Person, bob: Person) -> None:
    of_tasks, of_users = order(world, "tasks", "jsonl"), order(world, "users")
    with app.app_context(), transaction() as session:
        session.get_one(User, world.user_id).role = "user"  # type: ignore[assignment]
    assert run(app, of_tasks).state is JobState.SUCCEEDED
    assert download(world, of_tasks) == b""
    job = run(app, of_users)
    assert (job.state, job.error) == (JobState.FAILED, "Only administrators may export users.")


def test_nothing_is_exported_for_an_account_that_was_deactivated(app: Flask, ada: Person) -> None:
    job_id = order(ada)
    with app.app_context(), transaction() as session:
        session.get_one(User, ada.user_id).is_active = False
    job = run(app, job_id)
    assert (job.state, job.attempts) == (JobState.FAILED, 1)
    assert job.error == "The account that ordered this job is gone or inactive."
    assert stored(app) == (0, 0)


# --- one moment -------------------------------------------------------------------


def test_all_rows_are_of_one_moment(app: Flask, ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [ada.create_task()["id"] for _ in range(6)]
    job_id = order(ada, "tasks", "jsonl", sort="id")
    reports: list[int] = []

    def meddle(self: Run, progress: int) -> None:
        # Between the count and the first row, and again between two parts.
        reports.append(progress)
        with transaction() as session:
            session.execute(update(Task).values(title="Changed"))
        if len(reports) < 3:
            assert ada.delete(f"/tasks/{ids[-len(reports)]}").status_code == 204
            ada.create_task(title="New")

    monkeypatch.setattr(exports, "BATCH", 2)
    monkeypatch.setattr(Run, "report", meddle)
    job = run(app, job_id)
    assert (job.state, job.result and job.result["rows"]) == (JobState.SUCCEEDED, 6)
    assert reports == [0, 31, 63, 95]
    found = read("tasks", "jsonl", download(ada, job_id))
    assert [(row["id"], row["title"]) for row in found] == [(number, "Water the plants") for number in ids]


# --- limits of workbooks ----------------------------------------------------------


@on_sqlite
def test_more_rows_than_a_sheet_holds_go_to_further_sheets(ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [ada.create_task()["id"] for _ in range(6)]
    for rows, sheets in ((4, ["tasks", "tasks 2"]), (5, ["tasks", "tasks 2"]), (7, ["tasks"])):
        monkeypatch.setattr(formats, "SHEET_ROWS", rows)
        data = export(ada, "tasks", "xlsx", sort="id")
        assert openpyxl.load_workbook(io.BytesIO(data)).sheetnames == sheets
        assert [row["id"] for row in read("tasks", "xlsx", data)] == ids


@on_sqlite
def test_a_text_that_no_cell_holds_is_cut_and_says_so(app: Flask, ada: Person) -> None:
    longest = "😀" * 16_383 + "x"
    ada.create_task(title="fits")
    ada.create_task(title="does not")
    with app.app_context(), transaction() as session:
        # As a worker makes them that appends to descriptions of any length.
        session.execute(update(Task).where(Task.title == "fits").values(description=longest))
        session.execute(update(Task).where(Task.title == "does not").values(description=longest + "x"))
    job_id = order(ada, "tasks", "xlsx", sort="id")
    job = run(app, job_id)
    assert job.result is not None
    assert job.result["cut_cells"] == 1
    whole, cut = (row["description"] for row in read("tasks", "xlsx", download(ada, job_id)))
    assert whole == longest
    assert cut.endswith(formats.CUT)
    assert 2 * 32_766 <= len(cut.encode("utf-16-le")) <= 2 * 32_767
    assert longest.startswith(cut.removesuffix(formats.CUT))


def cell(sheet: Any, name: str) -> Any:
    """Return the cell of the first row in a column of a sheet of tasks."""
    return sheet.cell(2, 1 + [column.name for column in COLUMNS[Kind.TASKS]].index(name))


@on_sqlite
def test_numbers_and_days_beyond_what_spreadsheets_know_are_text(app: Flask, ada: Person) -> None:
    ada.create_task(due_date="1900-01-01")
    with app.app_context(), transaction() as session:
        session.execute(update(Task).values(version=2**62 + 1))
    sheet = openpyxl.load_workbook(io.BytesIO(export(ada, "tasks", "xlsx"))).worksheets[0]
    assert cell(sheet, "version").value == str(2**62 + 1)
    assert cell(sheet, "due_date").value == "1900-01-01"
    ada.create_task(due_date="1901-01-01", title="real day")
    sheet = openpyxl.load_workbook(io.BytesIO(export(ada, "tasks", "xlsx", filters={"q": "real"}))).worksheets[0]
    assert cell(sheet, "due_date").value.date() == date(1901, 1, 1)
    assert cell(sheet, "due_date").number_format == "yyyy-mm-dd"


# --- what is left behind ----------------------------------------------------------


def stored(app: Flask) -> tuple[int, int]:
    """Return how many files there are, and how many pieces of files."""
    with app.app_context():
        count = select(func.count())
        files = db.session.scalar(count.select_from(StoredFile)) or 0
        return files, db.session.scalar(count.select_from(FileChunk)) or 0


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("file_format", ["csv", "xlsx"])
def test_a_job_that_is_cancelled_while_it_writes_leaves_nothing(
    app: Flask, ada: Person, monkeypatch: pytest.MonkeyPatch, scratch: Path, file_format: str
) -> None:
    ada.create_task()
    job_id = order(ada, "tasks", file_format)
    real = Run.report

    def cancel_then_report(self: Run, progress: int) -> None:
        if progress:
            runs.cancel(ada.actor, ANY_STATE, job_id=job_id)
            self._reported_at = -1.0
        real(self, progress)

    monkeypatch.setattr(Run, "report", cancel_then_report)
    assert run(app, job_id).state is JobState.CANCELLED
    assert stored(app) == (0, 0)
    assert list(scratch.iterdir()) == []
    assert ada.get(f"/jobs/{job_id}/result").status_code == 404


@pytest.mark.parametrize("raised", [Taken, Stopping, OSError])
def test_a_file_that_is_not_stored_to_its_end_is_deleted(
    app: Flask, ada: Person, monkeypatch: pytest.MonkeyPatch, raised: type[BaseException]
) -> None:
    ada.create_task()
    job_id = order(ada, "tasks", "csv")
    reads = []

    def read_once(stream: Any, size: int) -> bytes:
        reads.append(stored(app))
        if len(reads) == 3:
            raise raised
        return b"x" * size

    monkeypatch.setattr(work.files, "_read_exactly", read_once)
    state = run(app, job_id).state
    assert state is (JobState.STARTED if raised is Taken else JobState.RETRYING)
    assert reads == [(1, 0), (1, 1), (1, 2)]
    assert stored(app) == (0, 0)


def test_a_job_that_is_cancelled_when_its_file_is_stored_leaves_nothing(
    app: Flask, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = order(ada)
    real = work.files.describe

    def cancel_then_describe(file: StoredFile) -> dict[str, Any]:
        runs.cancel(ada.actor, ANY_STATE, job_id=job_id)
        return real(file)

    monkeypatch.setattr(work.files, "describe", cancel_then_describe)
    assert run(app, job_id).state is JobState.CANCELLED
    assert stored(app) == (0, 0)


def test_who_is_interrupted_after_the_end_keeps_the_file(app: Flask, ada: Person) -> None:
    """The signal may come after the commit and before the process knows."""
    job_id = order(ada)

    def store_and_be_interrupted() -> None:
        kept = timedelta(days=1)
        with work.files.provisional(io.BytesIO(b"x"), name="a.csv", media_type="text/csv", kept_for=kept) as file:
            with transaction() as session:
                work.files.attach(session, file, job_id=job_id, number=1)
            raise Taken

    with app.app_context(), pytest.raises(Taken):
        store_and_be_interrupted()
    assert stored(app) == (1, 1)


def test_a_second_attempt_makes_the_file_that_the_first_did_not(
    app: Flask, ada: Person, monkeypatch: pytest.MonkeyPatch, scratch: Path
) -> None:
    ada.create_task()
    job_id = order(ada, "tasks", "xlsx")

    def fail(*args: Any) -> Any:
        raise OSError("No space left on device")

    monkeypatch.setattr(formats, "_write_text", fail)
    job = run(app, job_id)
    assert (job.state, job.error) == (JobState.RETRYING, "The job failed unexpectedly (OSError).")
    assert (stored(app), list(scratch.iterdir())) == ((0, 0), [])
    monkeypatch.undo()
    assert run(app, job_id, attempt=1).state is JobState.SUCCEEDED
    assert len(read("tasks", "xlsx", download(ada, job_id))) == 1
