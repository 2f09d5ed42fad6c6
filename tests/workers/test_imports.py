"""Imports as workers run them: once, or not at all."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from core.exchange.imports.model import ExternalId
from core.exchange.imports.work import Import
from core.files import service as files
from core.files.model import FileChunk, StoredFile
from core.jobs.model import Job, JobState
from core.platform import clock
from core.platform.access import Role
from core.platform.database.base import db
from core.platform.database.session import transaction
from core.runs.run import Run
from core.tasks.model import Task
from core.users.model import User
from tests.support.imports import counts, imported, reasons, run, upload
from tests.support.people import Person
from workers import runner
from workers.runner import Stopping

ROWS = "external_id,title\n1,Water\n2,Feed\n"


def number_of(app: Flask, model: Any) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(model)) or 0


def order(person: Person, content: str = ROWS, **options: Any) -> str:
    return str(upload(person, content, **options).get_json()["data"]["job_id"])


def before_the_end(monkeypatch: pytest.MonkeyPatch, act: Any) -> None:
    """Let something happen when all rows are written and nothing is committed."""
    real = Import.store

    def store(self: Import, session: Session) -> None:
        real(self, session)
        act(session)

    monkeypatch.setattr(Import, "store", store)


def test_a_run_that_lost_its_lease_stores_nothing(app: Flask, ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = order(ada)
    before_the_end(monkeypatch, lambda session: session.execute(update(Job).values(lease_token="somebody else")))
    job = run(app, job_id)
    # What took the lease away was in the same transaction, and is gone with it.
    assert job.state is JobState.STARTED
    assert (number_of(app, Task), number_of(app, ExternalId)) == (0, 0)
    assert number_of(app, StoredFile) == 1
    monkeypatch.undo()
    with app.app_context(), transaction() as session:
        session.execute(update(Job).values(state=JobState.RETRYING))
    assert counts(run(app, job_id)) == {"created": 2}
    assert (number_of(app, Task), number_of(app, ExternalId)) == (2, 2)


@pytest.mark.parametrize("raised", [Stopping(), RuntimeError("killed")])
def test_a_run_that_ends_in_the_middle_stores_nothing_and_is_repeated(
    app: Flask, ada: Person, monkeypatch: pytest.MonkeyPatch, raised: BaseException
) -> None:
    job_id = order(ada)

    def stop(session: Session) -> None:
        raise raised

    before_the_end(monkeypatch, stop)
    assert run(app, job_id).state is JobState.RETRYING
    assert (number_of(app, Task), number_of(app, ExternalId), number_of(app, StoredFile)) == (0, 0, 1)
    monkeypatch.undo()
    assert counts(run(app, job_id)) == {"created": 2}


def test_a_refused_import_is_not_tried_again(app: Flask, ada: Person) -> None:
    job = imported(ada, 'title\n" "\nx\n')
    assert (job.state, job.attempts) == (JobState.FAILED, 1)
    assert job.finished_at is not None
    assert job.lease_token is None


def test_the_rights_are_those_of_the_moment_of_the_work(app: Flask, admin: Person, ada: Person) -> None:
    job_id = order(admin, "username,email\ngrace,grace@example.com\n", kind="users")
    with app.app_context(), transaction() as session:
        session.get_one(User, admin.user_id).role = Role.USER
    job = run(app, job_id)
    assert (job.state, job.error) == (JobState.FAILED, "To import users, one needs the permission users:admin.")
    job_id = order(ada)
    with app.app_context(), transaction() as session:
        session.get_one(User, ada.user_id).is_active = False
    assert run(app, job_id).error == "The account that ordered this job is gone or inactive."
    assert number_of(app, Task) == 0


def test_the_progress_moves_in_both_passes(app: Flask, ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr(Run, "report", lambda self, progress: seen.append(progress))
    imported(ada, "title\n" + "Water\n" * 2500)
    assert seen == sorted(seen)
    assert len(seen) == 6
    assert seen[2] == 60
    assert 60 < seen[3] < seen[5] == 99


def test_progress_can_be_reported_while_the_rows_are_written(
    app: Flask, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others see it if the engine has a second writer; on SQLite it must not wait for itself."""
    shown: list[int] = []

    def look(session: Session) -> None:
        with db.engine.connect() as connection:
            shown.append(connection.scalar(select(Job.progress)) or 0)

    monkeypatch.setattr("core.runs.run.REPORT_SECONDS", 0)
    before_the_end(monkeypatch, look)
    assert imported(ada, "title\n" + "Water\n" * 1500).error is None
    assert shown == ([60] if db_name(app) == "sqlite" else [99])


def db_name(app: Flask) -> str:
    with app.app_context():
        return str(db.engine.dialect.name)


def test_a_run_whose_lease_is_taken_while_it_writes_stops_early(
    app: Flask, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = order(ada, "title\n" + "Water\n" * 1500)
    monkeypatch.setattr("core.runs.run.REPORT_SECONDS", 0)
    real = Import.store

    def store(self: Import, session: Session) -> None:
        if db_name(app) == "sqlite":
            session.execute(update(Job).values(lease_token="somebody else"))
        else:
            with db.engine.begin() as connection:
                connection.execute(update(Job).values(lease_token="somebody else"))
        real(self, session)

    monkeypatch.setattr(Import, "store", store)
    assert run(app, job_id).state is JobState.STARTED
    assert number_of(app, Task) == 0


def test_a_dry_run_leaves_a_report_and_nothing_else(app: Flask, ada: Person) -> None:
    job = imported(ada, ROWS, dry_run="true")
    assert job.state is JobState.SUCCEEDED
    assert (number_of(app, Task), number_of(app, ExternalId), number_of(app, StoredFile)) == (0, 0, 2)


def test_the_files_of_an_import_are_swept_away_in_time(
    app: Flask, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = imported(ada, ROWS)
    later = clock.now() + timedelta(days=8)
    monkeypatch.setattr(clock, "now", lambda: later)
    with app.app_context():
        assert files.sweep() == 2
    assert number_of(app, FileChunk) == 0
    assert job.result is not None


def test_a_wrong_file_is_reported_to_the_log_without_its_content(
    app: Flask, ada: Person, caplog: pytest.LogCaptureFixture
) -> None:
    imported(ada, "title\ncanary-in-the-file\n" + "x" * 151 + "\n")
    assert "1 row of 2 cannot be imported" in caplog.text
    assert "canary-in-the-file" not in caplog.text


def test_a_row_error_is_attributed_even_among_thousands(app: Flask, ada: Person) -> None:
    rows = [f"Task {n}" for n in range(2100)]
    rows[1999] = "x" * 151
    job = imported(ada, "title\n" + "\n".join(rows) + "\n", on_error="skip")
    assert reasons(ada, job) == [("2000", "title", "Must be at most 150 characters long.")]
    assert counts(job) == {"created": 2099, "failed": 1}
    assert runner.KINDS["import"].queue == "low"
