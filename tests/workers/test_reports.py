"""Reports as files: real PDFs and PNGs of no task, of one and of many, and of people with any name."""

import dataclasses
import io
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import matplotlib as mpl
import pytest
from flask import Flask
from PIL import Image
from pypdf import PdfReader

from core.jobs import service as jobs
from core.jobs.kinds import REPORT_WEEKLY
from core.jobs.model import Job, JobState
from core.platform.config.settings import Settings
from core.platform.database.base import db
from core.platform.database.session import transaction
from core.reports.figures import Ageing, Figures, Heading, Headline, People, PersonLoad, Point, Week
from core.runs.run import Run
from core.tasks.fields import TaskStatus
from core.users.model import User
from tests.support.engines import on_both
from tests.support.people import Person
from tests.support.processes import job_of, process, wait_for
from tests.support.tasks import store_tasks
from workers.drawing import documents, words
from workers.runner import run_job

RANGE = {"from": "2026-10-22", "to": "2026-11-20"}
NAMES = ["report-2026-10-22--2026-11-20.pdf", "report-2026-10-22--2026-11-20.png"]


@pytest.fixture(autouse=True)
def _saturday(at: Callable[[str], None]) -> None:
    at("2026-11-21T12:00:00+00:00")


def order(person: Person, **body: Any) -> str:
    response = person.post("/reports", {**RANGE, **body})
    assert response.status_code == 202, response.text
    return str(response.get_json()["data"]["job_id"])


def work(app: Flask, job_id: str) -> Job:
    with app.app_context():
        run_job(job_id, 0)
    with app.app_context():
        return db.session.get_one(Job, UUID(job_id))


def drawn(person: Person, **body: Any) -> tuple[PdfReader, Image.Image]:
    """Order a report, have it drawn, and return both of its files, downloaded."""
    job_id = order(person, **body)
    job = work(person.app, job_id)
    assert job.state is JobState.SUCCEEDED, job.error
    assert job.result is not None
    pdf = person.get(f"/jobs/{job_id}/result")
    png = person.get(f"/jobs/{job_id}/result", query_string={"name": job.result["files"][1]["name"]})
    assert (pdf.mimetype, png.mimetype) == ("application/pdf", "image/png")
    return PdfReader(io.BytesIO(pdf.data)), checked(png.data)


def checked(png: bytes) -> Image.Image:
    """Return a picture that is sharp, small in bytes, and not blank."""
    assert len(png) < 1_000_000
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    assert picture.width == 1320
    assert picture.height > 1500
    colours = picture.getcolors(maxcolors=1 << 20)
    assert colours is not None
    assert len(colours) > 100
    white = next(count for count, colour in colours if colour == (255, 255, 255))
    assert 0.5 < white / (picture.width * picture.height) < 0.97
    return picture


def text_of(pdf: PdfReader) -> str:
    return " ".join(" ".join(page.extract_text().split()) for page in pdf.pages)


def tasks(person: Person, count: int) -> list[dict[str, Any]]:
    """Return tasks of which two thirds are completed and some are late, one an hour up to 20 November."""
    end = datetime(2026, 11, 20, 12, tzinfo=UTC)
    rows = []
    for number in range(count):
        created = end - timedelta(hours=number)
        is_done = number % 3 > 0
        rows.append(
            {
                "owner_id": person.user_id,
                "created_at": created,
                "status": "completed" if is_done else ("pending", "in_progress")[number % 2],
                "completed_at": created + timedelta(hours=5) if is_done else None,
                "updated_at": created,
                "due_date": created.date() + timedelta(days=3),
            }
        )
    return rows


# --- the job ------------------------------------------------------------------


@on_both
def test_a_report_is_a_pdf_and_a_png(app: Flask, ada: Person) -> None:
    store_tasks(app, tasks(ada, 300))
    job_id = order(ada)
    job = work(app, job_id)
    assert (job.state, job.progress, job.error) == (JobState.SUCCEEDED, 100, None)
    result = job.result or {}
    assert (result["from"], result["to"]) == ("2026-10-22", "2026-11-20")
    assert [file["name"] for file in result["files"]] == NAMES
    assert [file["media_type"] for file in result["files"]] == ["application/pdf", "image/png"]
    assert {file["expires_at"] for file in result["files"]} == {"2026-11-28T12:00:00Z"}
    for file in result["files"]:
        found = ada.get(f"/jobs/{job_id}/result", query_string={"name": file["name"]})
        assert (found.status_code, len(found.data)) == (200, file["size"])
    # The PDF is what comes without a name.
    assert ada.get(f"/jobs/{job_id}/result").data.startswith(b"%PDF-")


def test_the_progress_moves(app: Flask, ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr(Run, "report", lambda self, progress: seen.append(progress))
    work(app, order(ada))
    assert seen == [5, 40, 70, 100]


def test_the_files_are_the_orderers_alone(app: Flask, ada: Person, bob: Person, admin: Person) -> None:
    job_id = order(ada)
    work(app, job_id)
    assert bob.get(f"/jobs/{job_id}/result").status_code == 403
    assert admin.get(f"/jobs/{job_id}/result").status_code == 200


def test_whoever_is_gone_gets_no_report(app: Flask, ada: Person) -> None:
    job_id = order(ada)
    with app.app_context(), transaction() as session:
        session.get_one(User, ada.user_id).is_active = False
    job = work(app, job_id)
    assert (job.state, job.error) == (JobState.FAILED, "The account that ordered this job is gone or inactive.")


def test_whoever_has_left_the_project_gets_no_report_on_it(app: Flask, ada: Person, bob: Person) -> None:
    project_id = ada.post("/projects", {"key": "OPS", "name": "Operations"}).get_json()["data"]["id"]
    assert ada.put(f"/projects/{project_id}/members/{bob.user_id}", {"role": "viewer"}).status_code == 201
    job_id = order(bob, project_id=project_id)
    assert ada.delete(f"/projects/{project_id}/members/{bob.user_id}").status_code == 204
    job = work(app, job_id)
    assert (job.state, job.error) == (JobState.FAILED, "You are not a member of this project.")


@on_both
def test_the_weekly_report_is_the_administrators(app: Flask, ada: Person, admin: Person) -> None:
    store_tasks(app, tasks(ada, 100))
    with app.app_context(), transaction() as session:
        job_id = str(jobs.enqueue(session, REPORT_WEEKLY, owner_id=None, slot="2026-11-16T06:00:00+00:00").id)
    job = work(app, job_id)
    assert job.state is JobState.SUCCEEDED, job.error
    assert job.result is not None
    assert job.result["files"][0]["name"] == "report-2026-11-09--2026-11-15.pdf"
    assert ada.get(f"/jobs/{job_id}/result").status_code == 403
    pdf = PdfReader(io.BytesIO(admin.get(f"/jobs/{job_id}/result").data))
    assert "Weekly report, 2026-W46" in text_of(pdf)
    assert "What administrators can see" in text_of(pdf)


def test_a_real_worker_draws_and_writes_nothing_outside_the_instance_folder(
    app: Flask, ada: Person, tmp_path: Path
) -> None:
    settings: Settings = app.extensions["tasklane"]
    # matplotlib would keep its list of fonts in the home folder.
    environ = {"HOME": str(tmp_path), "XDG_CACHE_HOME": "", "XDG_CONFIG_HOME": "", "MPLCONFIGDIR": ""}
    with process(app, "worker", **environ), process(app, "scheduler"):
        job_id = order(ada)
        job = wait_for(lambda: job_of(ada, job_id), lambda job: job["state"] in ("succeeded", "failed"), seconds=120)
    assert job["state"] == "succeeded", job["error"]
    assert list(tmp_path.iterdir()) == []
    assert list((settings.instance_path / "matplotlib").glob("fontlist*.json"))


# --- what is in it ------------------------------------------------------------


def test_the_pages_say_what_they_are_about_and_can_be_searched(app: Flask, ada: Person) -> None:
    store_tasks(app, tasks(ada, 300))
    pdf, _ = drawn(ada, title="Operations in autumn", time_zone="Europe/Berlin")
    assert len(pdf.pages) == 3
    assert [(round(page.mediabox.width), round(page.mediabox.height)) for page in pdf.pages] == [(595, 842)] * 3
    assert pdf.metadata is not None
    assert (pdf.metadata.title, pdf.metadata.author) == ("Operations in autumn", "Tasklane")
    assert pdf.metadata.subject == "Tasks from 2026-10-22 to 2026-11-20"
    assert pdf.metadata.creation_date == datetime(2026, 11, 21, 12, tzinfo=UTC)
    text = text_of(pdf)
    for words_of_it in (
        "Operations in autumn",
        "22 Oct 2026 \N{EN DASH} 20 Nov 2026",
        "All projects",
        "What ada can see",
        "made on 21 Nov 2026 at 13:00 (Europe/Berlin)",
        "median time to completion",
        "5.0 hours",
        "Tasks by status",
        "In progress",
        "300 tasks created by 20 Nov 2026",
        "Burn-up",
        "Tasks, cumulative",
        "100 tasks left to do",
        "Throughput",
        "Tasks per week",
        "W46",
        "Per person",
        "200 completed, 100 open",
        "Overdue tasks by age",
        "Days past the due date",
        "Page 1 of 3",
        "Page 3 of 3",
    ):
        assert words_of_it in text, words_of_it


def test_a_report_without_tasks_says_so(ada: Person) -> None:
    pdf, _ = drawn(ada)
    text = text_of(pdf)
    for sentence in (
        "No tasks in this range",
        "No tasks up to the end of this range",
        "Nothing created or completed in this range",
        "Nobody has open tasks or completed any in this range",
        "No open tasks, so nothing is overdue",
    ):
        assert sentence in text


@pytest.mark.parametrize("days", [1, 1098])
def test_one_task_is_enough_for_a_report_of_any_length(app: Flask, ada: Person, days: int) -> None:
    store_tasks(app, tasks(ada, 1))
    pdf, _ = drawn(ada, **{"from": str(date(2026, 11, 20) - timedelta(days=days - 1))})
    assert "1 task created by 20 Nov 2026" in text_of(pdf)
    assert "0 completed, 1 open" in text_of(pdf)


def test_many_tasks_make_no_larger_a_report(app: Flask, ada: Person) -> None:
    store_tasks(app, tasks(ada, 2000))
    pdf, _ = drawn(ada, **{"from": "2025-09-01"})
    assert "2,000 tasks created by 20 Nov 2026" in text_of(pdf)


def test_a_range_may_end_in_the_future(app: Flask, ada: Person) -> None:
    store_tasks(app, tasks(ada, 10))
    pdf, _ = drawn(ada, to="2026-12-31")
    assert "today" in text_of(pdf)
    assert "left to do at the end of 21 Nov 2026" in text_of(pdf)


# --- drawing what is given ------------------------------------------------------


def figures(names: list[str | None], *, title: str = "Task report", reader: str = "Ada", **given: Any) -> Figures:
    """Return the numbers of a report on people with these names."""
    first = date(2026, 10, 22)
    heading = Heading(
        title=title,
        reader=reader,
        project=given.pop("project", None),
        first=first,
        last=date(2026, 11, 20),
        zone=ZoneInfo("Asia/Kathmandu"),
        today=date(2026, 11, 21),
        generated_at=datetime(2026, 11, 21, 12, tzinfo=UTC),
    )
    top = tuple(PersonLoad(name, f"user.{number}", 20 - number, number) for number, name in enumerate(names))
    return dataclasses.replace(
        Figures(
            heading=heading,
            headline=Headline(5, 4, 9, 3, 3600.0, 7200.0),
            by_status=dict(zip(TaskStatus, (3, 2, 4, 1), strict=True)),
            burn_up=tuple(Point(first + timedelta(days=n - 1), 10 + n, 5 + n) for n in range(31)),
            is_weekly=False,
            weeks=tuple(Week(date(2026, 10, 19) + timedelta(days=7 * n), 7 if n else 4, n, n) for n in range(5)),
            people=People(top, 0, 0, 0),
            ageing=(Ageing(1, 7, 1), Ageing(8, 30, 0), Ageing(31, 90, 2), Ageing(91, None, 0)),
        ),
        **given,
    )


def bytes_of(write: Callable[..., None], given: Figures) -> bytes:
    stream = io.BytesIO()
    write(given, stream)
    return stream.getvalue()


STRANGE = [
    "\u5c71\u7530\u592a\u90ce",  # Han
    "\u0645\u0631\u064a\u0645 \u0627\u0644\u0623\u062d\u0645\u062f",  # Arabic
    "\u05e9\u05e8\u05d4 \u05dc\u05d5\u05d9",  # Hebrew
    "\u0928\u0947\u0939\u093e",  # Devanagari
    "Ada \U0001f680 Lovelace \U0001f469\u200d\U0001f467\ufe0f",
    "\U0001f984\U0001f984",
    "$x^2$ \\frac{1}{0} $",
    "%s {0} {name} \\n #&_~^",
    "W" * 80,
    "a\u0301\u0327\u0328" * 20,
    "Zo\u00eb \u202eevil\u202c",
    "tab\tand\nnewline",
    "\u07ff\ufffe\U0010ffff",
    "\u200b\u200b",
    None,
]


def test_no_name_breaks_a_report(tmp_path: Path) -> None:
    """Warnings are errors here, so that a character without a glyph would be noticed."""
    title = " ".join(name for name in STRANGE if name)
    given = figures(STRANGE, title=title, reader=title, project=title)
    pdf = PdfReader(io.BytesIO(bytes_of(documents.write_pdf, given)))
    assert len(pdf.pages) == 3
    assert "$x^2$" in text_of(pdf)
    checked(bytes_of(documents.write_png, given))


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Zo\u0065\u0308", "Zo\u00eb"),
        ("  two   words\n", "two words"),
        ("Ada \U0001f984\ufe0f", f"Ada {words.MISSING}"),
        ("\u202eevil\u202c\x07", "evil"),
    ],
)
def test_text_is_shown_as_far_as_there_are_letters_for_it(name: str, shown: str) -> None:
    assert words.clean(name) == shown


@pytest.mark.parametrize(
    ("name", "can"),
    [("Zo\u00eb", True), ("Ada \U0001f984", True), ("\U0001f984", False), ("\U00013080 x", False), ("", False)],
)
def test_a_name_that_cannot_be_spelt_gives_way_to_the_username(name: str, can: bool) -> None:
    assert words.can_spell(name) is can
    text = text_of(PdfReader(io.BytesIO(bytes_of(documents.write_pdf, figures([name])))))
    assert ("user.0" in text) is not can


@pytest.mark.parametrize("text", ["W" * 80, "i" * 80, "one two three four five six seven eight"])
def test_long_text_is_cut_where_its_room_ends(text: str) -> None:
    shown = words.fitted(text, points=9, inches=1.5)
    assert words.width(shown, points=9) <= 1.5 < words.width(text[: len(shown) + 1] + words.ELLIPSIS, points=9)
    assert shown.endswith(words.ELLIPSIS)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "\N{EN DASH}"),
        (0.0, "0.0 s"),
        (119.0, "119 s"),
        (120.0, "2.0 min"),
        (5 * 3600.0, "5.0 hours"),
        (3.25 * 86400, "3.2 days"),
        (1e9, "11,574 days"),
    ],
)
def test_durations_are_told_in_their_unit(seconds: float | None, shown: str) -> None:
    assert words.duration(seconds) == shown


@pytest.mark.parametrize(("part", "shown"), [(0, "0 %"), (1, "<1 %"), (999, ">99 %"), (1000, "100 %"), (455, "46 %")])
def test_shares_are_never_rounded_to_nothing_or_all(part: int, shown: str) -> None:
    assert words.share(part, 1000) == shown


@pytest.mark.parametrize("write", [documents.write_pdf, documents.write_png])
def test_equal_numbers_make_equal_files_whatever_the_machine_is_set_to(write: Callable[..., None]) -> None:
    given = figures(["Ada", "Bob"])
    first = bytes_of(write, given)
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "black", "text.parse_math": True}):
        assert bytes_of(write, given) == first
        assert mpl.rcParams["font.size"] == 30
