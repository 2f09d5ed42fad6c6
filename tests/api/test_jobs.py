"""Following background work over HTTP."""

import io
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import update

from api.http.serving import waiting
from core.files import service as files
from core.files.model import StoredFile
from core.jobs.model import Job, JobState
from core.platform import clock
from core.platform.database.session import transaction
from tests.support.engines import on_sqlite
from tests.support.people import Person


def test_processing_answers_with_where_to_follow_it(ada: Person) -> None:
    task = ada.create_task()
    response = ada.post(f"/tasks/{task['id']}/process")
    assert response.status_code == 202
    accepted = response.get_json()["data"]
    assert set(accepted) == {"job_id", "job_url"}
    assert response.headers["Location"] == accepted["job_url"] == f"http://localhost/api/v1/jobs/{accepted['job_id']}"

    job = ada.get(f"/jobs/{accepted['job_id']}").get_json()["data"]
    assert (job["kind"], job["state"], job["progress"], job["attempts"]) == ("task.process", "queued", 0, 0)
    assert job["owner_id"] == ada.user_id
    alias = ada.get(f"/tasks/process/status/{accepted['job_id']}")
    assert alias.get_json()["data"] == job


def test_processing_takes_no_body_but_does_not_mind_one(ada: Person) -> None:
    task = ada.create_task()
    assert ada.post(f"/tasks/{task['id']}/process", {}).status_code == 202


def test_each_processing_is_a_job_of_its_own(ada: Person) -> None:
    task = ada.create_task()
    ids = {ada.post(f"/tasks/{task['id']}/process").get_json()["data"]["job_id"] for _ in range(3)}
    assert len(ids) == 3


def test_everybody_sees_their_own_jobs_and_an_administrator_all(ada: Person, bob: Person, admin: Person) -> None:
    task = ada.create_task()
    ada.post(f"/tasks/{task['id']}/process")
    bob.create_task()
    mine = ada.get("/jobs").get_json()["data"]
    assert [job["kind"] for job in mine] == ["task.process", "email.task_created"]
    assert ada.get("/jobs?kind=email.task_created").get_json()["meta"]["pagination"]["total"] == 1
    assert ada.get("/jobs?state=failed,succeeded").get_json()["data"] == []
    assert {job["owner_id"] for job in bob.get("/jobs").get_json()["data"]} == {bob.user_id}
    assert admin.get("/jobs").get_json()["meta"]["pagination"]["total"] == 3

    path = f"/jobs/{mine[0]['id']}"
    assert ada.get(path).status_code == 200
    assert admin.get(path).status_code == 200
    assert bob.get(path).status_code == 403


@on_sqlite
@pytest.mark.parametrize("job_id", ["0b8cfbf8-7a3e-4a57-9a2b-0f2f3f6a3b51", "nonsense", "0", "%00"])
def test_an_unknown_job_is_404(ada: Person, job_id: str) -> None:
    assert ada.get(f"/jobs/{job_id}").status_code == 404
    assert ada.get(f"/tasks/process/status/{job_id}").status_code == 404


@on_sqlite
@pytest.mark.parametrize("query", ["kind=email", "state=done", "owner_id=1", "sort=kind"])
def test_the_list_of_jobs_is_strict_too(ada: Person, query: str) -> None:
    assert ada.get(f"/jobs?{query}").status_code == 400


def test_the_list_of_jobs_can_be_walked(ada: Person) -> None:
    for _ in range(3):
        ada.create_task()
    cursor, seen = "", []
    while cursor is not None:
        answer = ada.get("/jobs", query_string={"cursor": cursor, "per_page": 2}).get_json()
        seen += [job["id"] for job in answer["data"]]
        cursor = answer["meta"]["pagination"]["next_cursor"]
    assert len(seen) == len(set(seen)) == 3


def ordered(person: Person) -> str:
    task = person.create_task()
    return str(person.post(f"/tasks/{task['id']}/process").get_json()["data"]["job_id"])


def alter(app: Flask, job_id: str, **values: Any) -> None:
    with app.app_context(), transaction() as session:
        session.execute(update(Job).where(Job.id == UUID(job_id)).values(**values))


def test_a_waiting_job_tells_its_place_and_when_to_look_again(app: Flask, ada: Person) -> None:
    first, second = ordered(ada), ordered(ada)
    response = ada.get(f"/jobs/{second}")
    assert response.get_json()["data"]["position"] == 2
    assert ada.get(f"/jobs/{first}").get_json()["data"]["position"] == 1
    assert response.get_json()["data"]["expected_at"] is None
    assert response.headers["Retry-After"] == "2"


def test_the_pace_of_the_queue_tells_when_a_waiting_job_may_be_done(app: Flask, ada: Person) -> None:
    done, waiting = ordered(ada), ordered(ada)
    alter(app, done, state=JobState.SUCCEEDED, finished_at=clock.now())
    job = ada.get(f"/jobs/{waiting}").get_json()["data"]
    # One job in five minutes.
    expected = datetime.fromisoformat(job["expected_at"])
    assert timedelta(seconds=290) < expected - clock.now() < timedelta(seconds=301)


def test_the_progress_tells_when_a_running_job_may_be_done(app: Flask, ada: Person) -> None:
    job_id = ordered(ada)
    now = clock.now()
    alter(app, job_id, state=JobState.STARTED, progress=75, started_at=now - timedelta(seconds=30), reported_at=now)
    response = ada.get(f"/jobs/{job_id}")
    left = datetime.fromisoformat(response.get_json()["data"]["expected_at"]) - clock.now()
    assert timedelta(seconds=8) < left < timedelta(seconds=11)
    assert response.headers["Retry-After"] in ("9", "10", "11")
    assert response.get_json()["data"]["position"] is None


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.STARTED])
def test_as_long_as_nothing_happens_to_a_job_its_tag_holds(app: Flask, ada: Person, state: JobState) -> None:
    done, job_id = ordered(ada), ordered(ada)
    now = clock.now()
    alter(app, done, state=JobState.SUCCEEDED, finished_at=now)
    values = {"started_at": now - timedelta(seconds=5), "reported_at": now} if state is JobState.STARTED else {}
    alter(app, job_id, state=state, progress=10 * len(values), **values)
    seen = ada.get(f"/jobs/{job_id}")
    assert seen.get_json()["data"]["expected_at"] is not None
    assert ada.get(f"/jobs/{job_id}", headers={"If-None-Match": seen.headers["ETag"]}).status_code == 304
    alter(app, job_id, error="Something has happened.")
    late = ada.delete(f"/jobs/{job_id}", headers={"If-Match": seen.headers["ETag"]})
    assert late.status_code == 412
    assert ada.delete(f"/jobs/{job_id}", headers={"If-Match": late.headers["ETag"]}).status_code == 204


def test_a_guess_that_was_wrong_is_none(app: Flask, ada: Person) -> None:
    job_id = ordered(ada)
    past = clock.now() - timedelta(seconds=60)
    alter(app, job_id, state=JobState.STARTED, progress=50, started_at=past, reported_at=past + timedelta(seconds=10))
    response = ada.get(f"/jobs/{job_id}")
    assert response.get_json()["data"]["expected_at"] is None
    assert response.headers["Retry-After"] == "2"


def test_who_waits_for_a_job_is_answered_when_it_is_over(app: Flask, ada: Person) -> None:
    job_id = ordered(ada)
    threading.Timer(0.3, alter, (app, job_id), {"state": JobState.SUCCEEDED, "finished_at": clock.now()}).start()
    started = time.monotonic()
    response = ada.get(f"/jobs/{job_id}?wait=20")
    # Long before the 20 seconds are over, however busy the machine is.
    assert time.monotonic() - started < 15
    assert response.get_json()["data"]["state"] == "succeeded"
    assert "Retry-After" not in response.headers


def test_who_waits_is_answered_after_that_time(ada: Person) -> None:
    job_id = ordered(ada)
    started = time.monotonic()
    response = ada.get(f"/jobs/{job_id}?wait=1")
    assert 1 <= time.monotonic() - started < 5
    assert response.get_json()["data"]["state"] == "queued"
    assert ada.get(f"/jobs/{job_id}?wait=31").status_code == 400
    assert ada.get(f"/jobs/{job_id}?wait=-1").status_code == 400


def test_half_of_the_threads_is_never_given_to_those_who_wait(app: Flask, ada: Person) -> None:
    job_id = ordered(ada)
    places = app.extensions[waiting.EXTENSION]
    held = [places.acquire(blocking=False) for _ in range(app.extensions["tasklane"].threads // 2)]
    started = time.monotonic()
    try:
        assert all(held)
        assert ada.get(f"/jobs/{job_id}?wait=20").get_json()["data"]["state"] == "queued"
    finally:
        for _ in held:
            places.release()
    assert time.monotonic() - started < 15


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RETRYING, JobState.STARTED])
def test_a_job_that_is_not_over_can_be_cancelled(app: Flask, ada: Person, state: JobState) -> None:
    job_id = ordered(ada)
    alter(app, job_id, state=state)
    response = ada.delete(f"/jobs/{job_id}")
    assert (response.status_code, response.data) == (204, b"")
    job = ada.get(f"/jobs/{job_id}").get_json()["data"]
    assert job["state"] == "cancelled"
    assert job["finished_at"] is not None
    again = ada.delete(f"/jobs/{job_id}")
    assert again.status_code == 409
    assert "cancelled" in again.get_json()["error"]["message"]


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED])
def test_a_failed_or_cancelled_job_can_be_tried_again(app: Flask, ada: Person, state: JobState) -> None:
    job_id = ordered(ada)
    alter(app, job_id, state=state, attempts=4, error="It went wrong.", finished_at=clock.now(), progress=60)
    response = ada.post(f"/jobs/{job_id}/retry")
    assert response.status_code == 202
    assert response.headers["Location"] == f"http://localhost/api/v1/jobs/{job_id}"
    job = ada.get(f"/jobs/{job_id}").get_json()["data"]
    assert (job["state"], job["attempts"], job["max_attempts"]) == ("queued", 4, 8)
    assert (job["error"], job["finished_at"], job["progress"]) == (None, None, 0)


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.STARTED, JobState.RETRYING, JobState.SUCCEEDED])
def test_no_other_job_can_be_tried_again(app: Flask, ada: Person, state: JobState) -> None:
    job_id = ordered(ada)
    alter(app, job_id, state=state)
    assert ada.post(f"/jobs/{job_id}/retry").status_code == 409


def test_another_persons_job_can_be_neither_cancelled_nor_repeated_nor_downloaded(ada: Person, bob: Person) -> None:
    job_id = ordered(ada)
    assert bob.delete(f"/jobs/{job_id}").status_code == 403
    assert bob.post(f"/jobs/{job_id}/retry").status_code == 403
    assert bob.get(f"/jobs/{job_id}/result").status_code == 403
    nowhere = "/jobs/00000000-0000-4000-8000-000000000000"
    assert ada.delete(nowhere).status_code == 404
    assert ada.post(f"{nowhere}/retry").status_code == 404
    assert ada.get(f"{nowhere}/result").status_code == 404
    assert ada.delete("/jobs/abc").status_code == 404


# --- what a job has made ------------------------------------------------------------

CONTENT = bytes(range(256)) * 5000  # More than two pieces.


@pytest.fixture
def finished(app: Flask, ada: Person) -> str:
    """A job that has made two files."""
    job_id = ordered(ada)
    with app.app_context():
        kept_for = timedelta(days=7)
        big = files.store(io.BytesIO(CONTENT), name="Größe.csv", media_type="text/csv", kept_for=kept_for)
        small = files.store(io.BytesIO(b"second"), name="second.txt", media_type="text/plain", kept_for=kept_for)
        with transaction() as session:
            files.attach(session, big, job_id=UUID(job_id), number=1)
            files.attach(session, small, job_id=UUID(job_id), number=2)
    alter(app, job_id, state=JobState.SUCCEEDED, finished_at=clock.now())
    return job_id


def test_the_result_is_downloaded_under_its_name_and_type(ada: Person, finished: str) -> None:
    response = ada.get(f"/jobs/{finished}/result")
    assert response.status_code == 200
    assert response.data == CONTENT
    assert response.mimetype == "text/csv"
    assert response.content_length == len(CONTENT)
    disposition = response.headers["Content-Disposition"]
    assert disposition == "attachment; filename=\"Gr__e.csv\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe.csv"
    assert response.headers["Accept-Ranges"] == "bytes"
    assert ada.get(f"/jobs/{finished}/result?name=second.txt").data == b"second"
    assert ada.get(f"/jobs/{finished}/result?name=third.txt").status_code == 404
    assert ada.get(f"/jobs/{finished}/result", headers={"Accept": "text/csv"}).status_code == 200
    head = ada.open("HEAD", f"/jobs/{finished}/result")
    assert (head.status_code, head.data, head.content_length) == (200, b"", len(CONTENT))


@on_sqlite
@pytest.mark.parametrize(
    ("wanted", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=500000-700000", 500_000, 700_001),
        ("bytes=524288-", 524_288, len(CONTENT)),
        ("bytes=-100", len(CONTENT) - 100, len(CONTENT)),
        ("bytes=1279999-9999999", 1_279_999, len(CONTENT)),
    ],
)
def test_a_part_is_sent_when_a_part_is_asked_for(
    ada: Person, finished: str, wanted: str, start: int, stop: int
) -> None:
    response = ada.get(f"/jobs/{finished}/result", headers={"Range": wanted})
    assert response.status_code == 206
    assert response.data == CONTENT[start:stop]
    assert response.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{len(CONTENT)}"
    assert response.content_length == stop - start


@on_sqlite
@pytest.mark.parametrize("wanted", ["bytes=0-1,5-6", "lines=1-2", "bytes=abc", "bytes=9-2"])
def test_a_range_that_cannot_be_served_gets_the_whole_file(ada: Person, finished: str, wanted: str) -> None:
    response = ada.get(f"/jobs/{finished}/result", headers={"Range": wanted})
    assert (response.status_code, len(response.data)) == (200, len(CONTENT))


@on_sqlite
def test_a_range_behind_the_end_is_refused(ada: Person, finished: str) -> None:
    response = ada.get(f"/jobs/{finished}/result", headers={"Range": "bytes=1280000-"})
    assert response.status_code == 416
    assert response.headers["Content-Range"] == f"bytes */{len(CONTENT)}"
    assert response.get_json()["error"]["code"] == "requested_range_not_satisfiable"


@on_sqlite
def test_a_download_is_revalidated_and_continued_by_its_tag(ada: Person, finished: str) -> None:
    tag = ada.get(f"/jobs/{finished}/result").headers["ETag"]
    path = f"/jobs/{finished}/result"
    assert ada.get(path, headers={"If-None-Match": tag}).status_code == 304
    part = {"Range": "bytes=10-19"}
    assert ada.get(path, headers={**part, "If-Range": tag}).status_code == 206
    assert ada.get(path, headers={**part, "If-Range": '"another"'}).status_code == 200


@on_sqlite
def test_a_part_is_given_under_the_conditions_of_the_whole(ada: Person, finished: str) -> None:
    path = f"/jobs/{finished}/result"
    tag = ada.get(path).headers["ETag"]
    for wanted in ("bytes=10-19", "bytes=0-", "bytes=-5", "bytes=999999999-"):
        part = {"Range": wanted}
        gone = ada.get(path, headers={**part, "If-Match": '"another"'})
        assert (gone.status_code, gone.headers["ETag"]) == (412, tag), wanted
        # If-Match is looked at first.
        both = {**part, "If-Match": '"another"', "If-None-Match": tag}
        assert ada.get(path, headers=both).status_code == 412, wanted
        copy = ada.get(path, headers={**part, "If-None-Match": tag})
        assert (copy.status_code, copy.data, copy.headers["ETag"]) == (304, b"", tag), wanted
        assert "Content-Range" not in copy.headers
    held = ada.get(path, headers={"Range": "bytes=10-19", "If-Match": tag, "If-None-Match": '"another"'})
    assert (held.status_code, held.data) == (206, CONTENT[10:20])


def test_there_is_no_result_before_the_end_and_none_when_it_has_expired(
    app: Flask, ada: Person, finished: str, at: Callable[[str], None]
) -> None:
    waiting_job = ordered(ada)
    assert ada.get(f"/jobs/{waiting_job}/result").status_code == 409
    alter(app, waiting_job, state=JobState.SUCCEEDED)
    assert ada.get(f"/jobs/{waiting_job}/result").status_code == 404
    with app.app_context(), transaction() as session:
        session.execute(update(StoredFile).values(expires_at=clock.now()))
    assert ada.get(f"/jobs/{finished}/result").status_code == 410
    with app.app_context():
        assert files.sweep() == 2
    alter(app, finished, result={"files": [{"name": "Größe.csv"}]})
    assert ada.get(f"/jobs/{finished}/result").status_code == 410


def test_an_empty_file_is_a_file(app: Flask, ada: Person) -> None:
    job_id = ordered(ada)
    with app.app_context():
        empty = files.store(io.BytesIO(), name="a.csv", media_type="text/csv", kept_for=timedelta(days=1))
        with transaction() as session:
            files.attach(session, empty, job_id=UUID(job_id), number=1)
    alter(app, job_id, state=JobState.SUCCEEDED)
    response = ada.get(f"/jobs/{job_id}/result")
    assert (response.status_code, response.data, response.content_length) == (200, b"", 0)
