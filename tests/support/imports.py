"""Uploading files and having them imported, in tests."""

import csv
import io
import json
from typing import Any
from uuid import UUID

from flask import Flask
from werkzeug.datastructures import FileStorage
from werkzeug.test import TestResponse, encode_multipart

from core.jobs.model import Job
from core.platform.database.base import db
from tests.support.people import Person
from workers.runner import run_job


def upload(
    person: Person,
    content: bytes | str,
    *,
    kind: str = "tasks",
    name: str = "t.csv",
    headers: dict[str, str] | None = None,
    **parts: Any,
) -> TestResponse:
    """Send a file to be imported."""
    raw = content.encode() if isinstance(content, str) else content
    # In memory, because the client forgets to close the file that it would make of a larger form.
    boundary, body = encode_multipart({"kind": kind, "file": FileStorage(io.BytesIO(raw), name), **parts})
    content_type = f"multipart/form-data; boundary={boundary}"
    return person.post("/imports", data=body, content_type=content_type, headers=headers or {})


def run(app: Flask, job_id: str) -> Job:
    """Run the next attempt of a job, as a worker would, and return its row."""
    with app.app_context():
        attempt = db.session.get_one(Job, UUID(job_id)).attempts
        db.session.remove()
        run_job(job_id, attempt)
    with app.app_context():
        return db.session.get_one(Job, UUID(job_id))


def imported(person: Person, content: bytes | str, **options: Any) -> Job:
    """Import a file, and return the job, which is over."""
    response = upload(person, content, **options)
    assert response.status_code == 202, response.text
    return run(person.app, response.get_json()["data"]["job_id"])


def counts(job: Job) -> dict[str, int]:
    """Return how many rows of an import became what, without the zeros."""
    assert job.result is not None, job.error
    names = ("created", "updated", "unchanged", "failed")
    return {name: job.result[name] for name in names if job.result[name]}


def report(person: Person, job: Job) -> list[dict[str, str]]:
    """Download the report of an import."""
    response = person.get(f"/jobs/{job.id}/result")
    assert response.status_code == 200, response.text
    assert response.mimetype == "text/csv"
    return list(csv.DictReader(io.StringIO(response.text)))


def reasons(person: Person, job: Job) -> list[tuple[str, str, str]]:
    """Return row, field and reason of everything that was refused."""
    return [(line["row"], line["field"], line["reason"]) for line in report(person, job) if line["outcome"] == "failed"]


def exported(person: Person, **order: Any) -> bytes:
    """Make an export, and return its file."""
    response = person.post("/exports", {"format": "csv", "kind": "tasks", **order})
    assert response.status_code == 202, response.text
    job = run(person.app, response.get_json()["data"]["job_id"])
    assert job.error is None, job.error
    return person.get(f"/jobs/{job.id}/result").data


def writable(content: bytes, form: str, names: list[str]) -> list[dict[str, Any]]:
    """Return those columns of an exported file."""
    text = content.decode("utf-8-sig")
    if form == "csv":
        rows: list[dict[str, Any]] = list(csv.DictReader(io.StringIO(text, newline="")))
    elif form == "json":
        rows = json.loads(text, parse_float=str)
    else:
        rows = [json.loads(line, parse_float=str) for line in text.split("\n") if line]
    return [{name: row[name] for name in names} for row in rows]
