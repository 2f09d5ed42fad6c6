"""Writing exports to files."""

import tempfile
from datetime import timedelta
from typing import Any

from core.exchange import exports
from core.exchange.formats import LAYOUTS, FileFormat
from core.files import service as files
from core.platform import clock
from core.platform.config.current import current_settings
from core.platform.errors import Forbidden, JobFailed
from core.runs.run import Run

# What is left of the progress is for storing the file.
WRITTEN = 95


def export(run: Run, *, what: str, file_format: str, filters: dict[str, Any], sort: str | None) -> None:
    """Write what the owner of the job may see now to a file, and give it to the job.

    Raises JobFailed if the owner is no longer allowed to.
    """
    selection = exports.selection_of({"what": what, "filters": filters, "sort": sort})
    if selection.kind in exports.OF_PROJECTS:
        run.note_view(exports.project_of(selection))
    chosen = FileFormat(file_format)
    name = exports.file_name(selection, chosen, clock.now().date())
    # It has no name on the disk, so it goes with this process, however that ends.
    with tempfile.TemporaryFile() as stream:
        try:
            outcome = exports.write(
                run.actor,
                stream,
                selection=selection,
                file_format=chosen,
                report=lambda done, total: run.report(WRITTEN * done // total if total else WRITTEN),
            )
        except Forbidden as error:
            raise JobFailed(error.message) from error
        stream.seek(0)
        kept_for = timedelta(days=current_settings().jobs.result_days)
        with files.provisional(stream, name=name, media_type=LAYOUTS[chosen].media_type, kept_for=kept_for) as file:
            result = {"rows": outcome.rows, "cut_cells": outcome.cut_cells, "files": [files.describe(file)]}
            with run.completing(**result) as session:
                files.attach(session, file, job_id=run.job_id, number=1)
