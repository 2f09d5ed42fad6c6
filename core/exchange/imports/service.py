"""Ordering an import, and keeping its report."""

from datetime import timedelta
from pathlib import PurePath
from typing import IO, Any
from uuid import UUID

from sqlalchemy.orm import Session

from core.exchange.columns import Kind
from core.exchange.formats import LAYOUTS, FileFormat
from core.exchange.imports.order import Order
from core.exchange.imports.parsers import Format
from core.exchange.imports.targets import TARGETS
from core.exchange.imports.work import Import
from core.files import service as files
from core.files.model import StoredFile
from core.files.repository import FileRepository
from core.jobs import service as jobs
from core.jobs.kinds import IMPORT
from core.jobs.model import Job
from core.platform.access import Actor
from core.platform.database.base import db
from core.platform.database.repeats import repeated
from core.platform.database.session import transaction
from core.platform.errors import Forbidden, Invalid, JobFailed

MAX_BYTES = 50 * 1024 * 1024
REPORT_NAME = "report.csv"


def _media_type(form: Format) -> str:
    return LAYOUTS[FileFormat(form)].media_type


_BY_SUFFIX = {
    **dict.fromkeys((".csv", ".tsv", ".tab", ".txt"), Format.CSV),
    ".json": Format.JSON,
    **dict.fromkeys((".jsonl", ".ndjson"), Format.JSONL),
}
_BY_TYPE = {
    **{_media_type(form): form for form in Format},
    "text/tab-separated-values": Format.CSV,
    "application/x-ndjson": Format.JSONL,
    "application/jsonlines": Format.JSONL,
}


def guess_format(name: str, media_type: str = "") -> Format | None:
    """Return the format of a file of this name and type, or None if neither says it."""
    return _BY_SUFFIX.get(PurePath(name).suffix.lower()) or _BY_TYPE.get(media_type)


def require_allowed(actor: Actor, kind: Kind) -> None:
    """Raise Forbidden unless the actor may write things of this kind at all."""
    permission = TARGETS[kind].permission
    if not actor.has(permission):
        raise Forbidden(f"To import {kind}, one needs the permission {permission}.")


def order(actor: Actor, *, stream: IO[bytes], name: str, media_type: str, kept_for: timedelta, **options: Any) -> Job:
    """Keep a file and order its import; `options` are those of `Order`, the format being guessed if it is missing.

    Raises Forbidden for a kind that the actor may not write, and Invalid if
    nothing says the format.
    """
    require_allowed(actor, options["kind"])
    form = options.pop("format", None) or guess_format(name, media_type)
    if form is None:
        raise Invalid(
            "The request has invalid fields.",
            details={"format": [f"The name of the file does not tell. Say {', '.join(Format)}."]},
        )
    ordered = Order(format=form, **options)
    upload = files.provisional(stream, name=_tidy(name), media_type=_media_type(form), kept_for=kept_for)
    with upload as file:
        return _enqueue(actor, file, ordered)


@repeated
def _enqueue(actor: Actor, file: StoredFile, ordered: Order) -> Job:
    with transaction() as session:
        job = jobs.enqueue(session, IMPORT, by=actor, file_id=str(file.id), **ordered.payload())
        files.attach(session, file, job_id=job.id)
    return job


def _tidy(name: str) -> str:
    """Return the last part of a file name, without what no file name should have."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(char for char in last if char.isprintable())[:120] or "import"


def find_upload(file_id: str) -> StoredFile:
    """Return the file that a job is to import. Raises JobFailed if it is no longer stored."""
    file = FileRepository(db.session()).find(UUID(file_id))
    if file is None:
        raise JobFailed("The uploaded file is no longer kept. Send it again.")
    return file


def keep_report(session: Session, work: Import, *, job_id: UUID, kept_for: timedelta) -> dict[str, Any]:
    """Give the job its report, in the transaction that ends it; return the job's result."""
    files.drop_results(session, job_id=job_id)
    file = files.write(session, work.report, name=REPORT_NAME, media_type="text/csv", kept_for=kept_for)
    files.attach(session, file, job_id=job_id, number=1)
    return {**counted(work), "files": [files.describe(file)]}


def run_now(work: Import) -> None:
    """Import a file at once, without a job. Raises ImportRefused if nothing can be stored."""
    if work.order.dry_run:
        work.rehearse()
        return
    work.examine()
    with transaction() as session:
        work.store(session)


def counted(work: Import) -> dict[str, Any]:
    """Return how many rows there were and what became of them, as plain JSON."""
    counts = work.counts
    names = ("rows", "created", "updated", "unchanged", "failed")
    return {**{name: getattr(counts, name) for name in names}, "dry_run": work.order.dry_run}
