"""Drawing reports: a PDF and a PNG of the same numbers."""

import os
from collections.abc import Callable
from datetime import date, datetime, timedelta
from importlib import import_module
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from core.files import service as files
from core.platform.config.current import current_settings
from core.reports import service as reports
from core.reports.figures import Figures
from core.runs.run import Run

# A usual report stays in memory.
SPOOL_BYTES = 4 * 1024 * 1024


def make(run: Run, *, first: str, last: str, project_id: int | None, title: str | None, time_zone: str) -> None:
    """Draw a report for whoever ordered it, on what they may see now. Raises JobFailed if they lost the right."""
    run.report(5)
    run.note_view(project_id)
    figures = reports.gather(
        run.actor,
        first=date.fromisoformat(first),
        last=date.fromisoformat(last),
        project_id=project_id,
        title=title,
        time_zone=time_zone,
    )
    _draw(run, figures)


def make_weekly(run: Run, *, slot: str) -> None:
    """Draw the report on the last ISO week before `slot`, over all tasks; administrators find it among the jobs."""
    run.report(5)
    _draw(run, reports.gather_week(datetime.fromisoformat(slot)))


def _draw(run: Run, figures: Figures) -> None:
    run.report(40)
    documents = _drawing()
    kept_for = timedelta(days=current_settings().jobs.result_days)
    name = f"report-{figures.heading.first}--{figures.heading.last}"
    made = []
    kinds: list[tuple[str, str, Callable[[Figures, IO[bytes]], None]]] = [
        ("pdf", "application/pdf", documents.write_pdf),
        ("png", "image/png", documents.write_png),
    ]
    for ending, media_type, write in kinds:
        with SpooledTemporaryFile(SPOOL_BYTES) as stream:
            write(figures, stream)
            stream.seek(0)
            made.append(files.store(stream, name=f"{name}.{ending}", media_type=media_type, kept_for=kept_for))
        run.report(40 + 30 * len(made))
    result = {
        "from": figures.heading.first.isoformat(),
        "to": figures.heading.last.isoformat(),
        "files": [files.describe(file) for file in made],
    }
    with run.completing(**result) as session:
        for number, file in enumerate(made, 1):
            files.attach(session, file, job_id=run.job_id, number=number)


def _drawing() -> Any:
    """Return the module that draws, loaded only now: it brings matplotlib into this process.

    matplotlib looks while it loads where its list of fonts is, and nothing of
    ours may be written outside the instance folder.
    """
    if not os.environ.get("MPLCONFIGDIR"):
        os.environ["MPLCONFIGDIR"] = str(current_settings().instance_path / "matplotlib")
    return import_module("workers.drawing.documents")
