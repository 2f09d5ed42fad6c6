"""Importing files, each in one transaction together with the end of its job."""

import contextlib
from datetime import timedelta
from typing import Any

from core.exchange.imports import service as imports
from core.exchange.imports.order import ImportRefused, Order, RowsRefused
from core.exchange.imports.work import Import
from core.files import service as files
from core.platform.config.current import current_settings
from core.runs.run import Run


def import_file(run: Run, *, file_id: str, **options: Any) -> None:
    """Import an uploaded file for the owner of the job; the report becomes the job's file, whatever the outcome.

    Raises JobFailed if nothing can be stored.
    """
    order = Order.of(options)
    file = imports.find_upload(file_id)
    kept_for = timedelta(days=current_settings().jobs.result_days)
    with Import(run.actor, files.open_stored(file), order, size=file.size, report=run.report) as work:
        try:
            if order.dry_run:
                _rehearse(work)
            else:
                work.examine()
            with run.completing() as session:
                if not order.dry_run:
                    work.store(session)
                run.result = imports.keep_report(session, work, job_id=run.job_id, kept_for=kept_for)
        except ImportRefused as refusal:
            with run.failing(refusal.message) as session:
                run.result = imports.keep_report(session, work, job_id=run.job_id, kept_for=kept_for)
            raise


def _rehearse(work: Import) -> None:
    # To find rows that cannot be stored is what a dry run is for.
    with contextlib.suppress(RowsRefused):
        work.rehearse()
