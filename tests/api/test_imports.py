"""Ordering imports over HTTP: what is taken, and every way to be refused at the door."""

import io
from typing import Any

import orjson
import pytest
from flask import Flask
from sqlalchemy import func, select

from api.http.input.takes import input_of
from api.v1.imports import ImportCollection
from core.exchange.imports import service as imports
from core.files.model import StoredFile
from core.jobs.model import Job
from core.platform.database.base import db
from tests.support.answers import details
from tests.support.imports import counts, imported, reasons, report, run, upload
from tests.support.people import Person

ROWS = "external_id,title,status,due_date\r\na-1,Water the plants,pending,2026-12-01\r\na-2,Feed the cat,completed,\r\n"


def tasks(person: Person) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = person.get("/tasks?sort=created_at").get_json()["data"]
    return found


def test_a_file_becomes_tasks_of_whoever_sent_it(ada: Person) -> None:
    response = upload(ada, ROWS)
    assert response.status_code == 202
    job_id = response.get_json()["data"]["job_id"]
    assert response.headers["Location"].endswith(f"/api/v1/jobs/{job_id}")
    job = ada.get(f"/jobs/{job_id}").get_json()["data"]
    assert (job["kind"], job["state"], job["owner_id"]) == ("import", "queued", ada.user_id)
    assert tasks(ada) == []

    done = run(ada.app, job_id)
    assert done.error is None
    first, second = tasks(ada)
    assert (first["title"], first["status"], first["due_date"]) == ("Water the plants", "pending", "2026-12-01")
    assert (second["title"], second["status"], second["due_date"]) == ("Feed the cat", "completed", None)
    assert first["owner_id"] == ada.user_id
    assert first["completed_at"] is None
    assert second["completed_at"] is not None


def test_the_result_counts_and_the_report_tells_of_every_row(ada: Person) -> None:
    job = imported(ada, ROWS)
    result = ada.get(f"/jobs/{job.id}").get_json()["data"]["result"]
    (file,) = result.pop("files")
    assert result == {"rows": 2, "created": 2, "updated": 0, "unchanged": 0, "failed": 0, "dry_run": False}
    assert (file["name"], file["media_type"]) == ("report.csv", "text/csv")
    ids = [str(task["id"]) for task in tasks(ada)]
    assert report(ada, job) == [
        {"row": "1", "line": "2", "external_id": "a-1", "id": ids[0], "outcome": "created", "field": "", "reason": ""},
        {"row": "2", "line": "3", "external_id": "a-2", "id": ids[1], "outcome": "created", "field": "", "reason": ""},
    ]


def test_nobody_gets_an_email_for_what_is_imported(app: Flask, ada: Person) -> None:
    imported(ada, ROWS)
    with app.app_context():
        assert list(db.session.scalars(select(Job.kind))) == ["import"]


def test_another_person_neither_sees_the_report_nor_shares_the_external_ids(ada: Person, bob: Person) -> None:
    job = imported(ada, ROWS)
    assert bob.get(f"/jobs/{job.id}/result").status_code == 403
    assert counts(imported(bob, ROWS)) == {"created": 2}
    assert len(tasks(ada)) == len(tasks(bob)) == 2


@pytest.mark.parametrize(
    ("name", "content_type", "content"),
    [
        ("tasks.csv", "", "title\nWater\n"),
        ("TASKS.CSV", "application/octet-stream", "title\nWater\n"),
        ("tasks.json", "", '[{"title": "Water"}]'),
        ("tasks.jsonl", "", '{"title": "Water"}\n'),
        ("tasks.ndjson", "", '{"title": "Water"}\n'),
        ("tasks.tsv", "", "title\tstatus\nWater\tpending\n"),
        ("Unicode text.txt", "text/plain", "title\tstatus\nWater\tpending\n"),
        ("tasks", "text/csv", "title\nWater\n"),
        ("tasks", "application/json", '[{"title": "Water"}]'),
        ("tasks", "application/x-ndjson", '{"title": "Water"}\n'),
        ("", "text/csv; charset=utf-8", "title\nWater\n"),
    ],
)
def test_the_name_or_the_type_of_a_file_tells_its_format(
    ada: Person, name: str, content_type: str, content: str
) -> None:
    # A part without a file name is text, not a file.
    part = (io.BytesIO(content.encode()), name or "x", content_type or None)
    response = ada.post("/imports", data={"kind": "tasks", "file": part})
    assert response.status_code == 202
    assert run(ada.app, response.get_json()["data"]["job_id"]).error is None
    assert [task["title"] for task in tasks(ada)] == ["Water"]


def test_the_format_that_is_said_wins(ada: Person) -> None:
    assert counts(imported(ada, '{"title": "Water"}\n', name="tasks.csv", format="jsonl")) == {"created": 1}


def test_a_file_of_no_known_format_is_422(ada: Person) -> None:
    response = upload(ada, ROWS, name="tasks.xlsx")
    assert response.status_code == 422
    assert details(response) == {"format": ["The name of the file does not tell. Say csv, json, jsonl."]}


def opened(part: Any) -> Any:
    """Return a part of a form as the client wants it."""
    if isinstance(part, list):
        return [opened(value) for value in part]
    return (io.BytesIO(part[0]), part[1]) if isinstance(part, tuple) else part


@pytest.mark.parametrize(
    ("parts", "wrong"),
    [
        ({"kind": None}, {"kind": "This field is required."}),
        ({"file": None}, {"file": "This field is required."}),
        ({"file": "title\nWater\n"}, {"file": "Must be a file."}),
        ({"kind": "x"}, {"kind": "Must be one of tasks, posts, items, users."}),
        ({"kind": "task"}, {"kind": "Must be one of tasks, posts, items, users. Did you mean 'tasks'?"}),
        ({"format": "xlsx"}, {"format": "Must be one of csv, json, jsonl."}),
        ({"dry_run": "yes"}, {"dry_run": "Must be true or false."}),
        ({"on_error": "ignore"}, {"on_error": "Must be one of abort, skip."}),
        ({"match": "name"}, {"match": "Must be one of external_id, id."}),
        ({"dryrun": "true"}, {"dryrun": "Unknown field. Did you mean 'dry_run'?"}),
        ({"kind": ["tasks", "items"]}, {"kind": "Given more than once."}),
        ({"kind": (b"tasks", "k.txt")}, {"kind": "Must not be a file."}),
        (
            {"file": [(b"title\n", "a.csv"), (b"title\n", "b.csv")]},
            {"file": "Given more than once."},
        ),
        ({"other": (b"", "a.csv")}, {"other": "Unknown field."}),
    ],
)
def test_a_wrong_form_is_422_and_names_every_part(
    app: Flask, ada: Person, parts: dict[str, Any], wrong: dict[str, str]
) -> None:
    data = {"kind": "tasks", "file": (ROWS.encode(), "t.csv")} | parts
    given = {name: opened(value) for name, value in data.items() if value is not None}
    response = ada.post("/imports", data=given, content_type="multipart/form-data")
    assert response.status_code == 422, response.text
    assert details(response) == {name: [text] for name, text in wrong.items()}
    with app.app_context():
        assert db.session.scalar(select(StoredFile.id)) is None


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b'{"kind": "tasks"}', 415),
        ("text/csv", b"title\nWater\n", 415),
        ("application/x-www-form-urlencoded", b"kind=tasks", 415),
        ("", b"title\nWater\n", 415),
        ("multipart/form-data", b"title", 400),
        ("multipart/form-data; boundary=x", b"title\nWater\n", 400),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="kind"\r\n\r\ntas', 400),
        ("multipart/form-data; boundary=\u00e4", b"--x--", 400),
    ],
)
def test_what_is_no_form_with_a_file_is_refused(ada: Person, content_type: str, body: bytes, status: int) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    response = ada.post("/imports", data=body, headers=headers)
    assert response.status_code == status, response.text
    if status == 415:
        assert response.get_json()["error"]["message"] == "The body must be multipart/form-data."


def test_more_than_fifty_mebibytes_are_413(app: Flask, ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    announced = ada.post(
        "/imports",
        data=b"title",
        headers={"Content-Type": "multipart/form-data; boundary=x"},
        environ_overrides={"CONTENT_LENGTH": str(51 * 1024 * 1024)},
    )
    assert announced.status_code == 413
    assert announced.get_json()["error"]["code"] == "content_too_large"
    # Every other operation keeps its limit.
    assert ada.post("/tasks", {"title": "x", "description": "x" * 1024 * 1024}).status_code == 413

    form = input_of(ImportCollection.post).form
    assert form is not None
    monkeypatch.setattr(form, "max_bytes", 100)
    assert upload(ada, "title\n" + "x" * 94).status_code == 202
    assert upload(ada, "title\n" + "x" * 95).status_code == 413


def test_a_file_of_more_than_the_limit_of_bodies_is_taken(ada: Person) -> None:
    job = imported(ada, "title,description\n" + f"Water,{'x' * 9000}\n" * 150)
    assert counts(job) == {"created": 150}


def test_a_part_that_should_be_short_cannot_be_long(ada: Person) -> None:
    assert upload(ada, ROWS, on_error="x" * 400_000).status_code == 413


def test_queries_are_strict_here_too(ada: Person) -> None:
    data = {"kind": "tasks", "file": (io.BytesIO(b""), "t.csv")}
    assert ada.post("/imports?dry_run=true", data=data).status_code == 400


def test_who_imports_must_be_allowed_to_write_the_kind(ada: Person, admin: Person, anonymous: Person) -> None:
    def key(person: Person, *scopes: str) -> dict[str, Any]:
        made = person.post("/auth/keys", {"name": "k", "scopes": list(scopes)}).get_json()["data"]
        return {"token": "", "headers": {"X-API-Key": made["key"]}}

    def status(person: Person, kind: str, **kwargs: Any) -> int:
        data = {"kind": kind, "file": (io.BytesIO(b"title\n"), "t.csv")}
        return person.post("/imports", data=data, **kwargs).status_code

    assert status(anonymous, "tasks") == 401
    assert status(ada, "users") == 403
    assert status(admin, "users") == 202
    assert status(ada, "tasks", **key(ada, "tasks:write")) == 403
    assert status(ada, "tasks", **key(ada, "jobs:write")) == 403
    assert status(ada, "tasks", **key(ada, "jobs:write", "tasks:write")) == 202
    assert status(ada, "items", **key(ada, "jobs:write", "tasks:write")) == 403
    assert status(admin, "users", **key(admin, "jobs:write", "users:write")) == 403


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../tasks.csv", "tasks.csv"),
        ("a\u202eb\x07.csv", "ab.csv"),
        ("x" * 300 + ".csv", "x" * 120),
    ],
)
def test_a_hostile_file_name_is_only_a_name(app: Flask, ada: Person, name: str, kept: str) -> None:
    assert upload(ada, ROWS, name=name).status_code == 202
    with app.app_context():
        assert db.session.scalar(select(StoredFile.name)) == kept


def test_a_dry_run_tells_the_same_and_stores_nothing(ada: Person) -> None:
    imported(ada, ROWS)
    changed = ROWS.replace("Feed the cat", "Feed both cats") + "a-3,New,pending,\r\n"
    before = tasks(ada)
    job = imported(ada, changed, dry_run="true")
    assert job.result is not None
    assert job.result["dry_run"] is True
    assert counts(job) == {"created": 1, "updated": 1, "unchanged": 1}
    assert [line["outcome"] for line in report(ada, job)] == ["unchanged", "updated", "created"]
    assert report(ada, job)[2]["id"] == ""
    assert tasks(ada) == before
    assert counts(imported(ada, changed)) == counts(job)


def test_one_wrong_row_stops_everything(ada: Person) -> None:
    job = imported(ada, ROWS + "a-3,,pending,2026-02-30\r\na-4,Fine,done,\r\n")
    assert job.state == "failed"
    assert job.error == "2 rows of 4 cannot be imported, so nothing was stored."
    assert tasks(ada) == []
    assert counts(job) == {"failed": 2}
    assert reasons(ada, job) == [
        ("3", "title", "Must not be blank."),
        ("3", "due_date", "Must be a calendar day such as 2026-11-20."),
        ("4", "status", "Must be one of pending, in_progress, completed, cancelled."),
    ]
    outcomes = [(line["row"], line["outcome"]) for line in report(ada, job)]
    assert outcomes == [("1", "not_stored"), ("2", "not_stored"), ("3", "failed"), ("3", "failed"), ("4", "failed")]


@pytest.mark.parametrize("on_error", ["abort", "skip"])
def test_a_dry_run_that_finds_wrong_rows_has_done_its_work(ada: Person, on_error: str) -> None:
    content = ROWS + "a-3,,pending,\r\n"
    job = imported(ada, content, dry_run="true", on_error=on_error)
    assert (job.state, job.progress, job.error) == ("succeeded", 100, None)
    told = counts(job)
    assert told == ({"failed": 1} if on_error == "abort" else {"created": 2, "failed": 1})
    assert tasks(ada) == []
    real = imported(ada, content, on_error=on_error)
    assert counts(real) == told
    rows = [[line["row"], line["outcome"], line["field"], line["reason"]] for line in report(ada, job)]
    assert rows == [[line["row"], line["outcome"], line["field"], line["reason"]] for line in report(ada, real)]


def test_a_dry_run_of_what_is_no_such_file_fails(ada: Person) -> None:
    job = imported(ada, "titel\nWater\n", dry_run="true")
    assert (job.state, job.error) == ("failed", "There is no column 'titel' here. Did you mean 'title'?")


@pytest.mark.parametrize("kind", ["tasks", "posts", "items", "users"])
@pytest.mark.parametrize("name", ["answer.json", "answer.jsonl", "rows.json"])
def test_the_answer_to_a_list_is_an_import_as_it_is(admin: Person, kind: str, name: str) -> None:
    admin.create_task()
    admin.create_post()
    admin.create_item()
    answer = admin.get(f"/{kind}").data
    content = orjson.dumps(orjson.loads(answer)["data"]) if name == "rows.json" else answer
    job = imported(admin, content, kind=kind, name=name, match="id")
    assert job.error is None, job.error
    assert set(counts(job)) == {"unchanged"}


def test_wrong_rows_can_be_left_out(ada: Person) -> None:
    job = imported(ada, ROWS + "a-3,,pending,\r\n", on_error="skip")
    assert (job.state, job.error) == ("succeeded", None)
    assert counts(job) == {"created": 2, "failed": 1}
    assert [line["outcome"] for line in report(ada, job)] == ["created", "created", "failed"]
    assert len(tasks(ada)) == 2


def test_an_upload_that_is_repeated_under_its_key_is_imported_once(app: Flask, ada: Person) -> None:
    def send(content: str, **parts: Any) -> Any:
        # Each repetition of a form has boundaries of its own.
        return upload(ada, content, headers={"Idempotency-Key": "k"}, **parts)

    first, second = send(ROWS), send(ROWS)
    assert first.status_code == second.status_code == 202
    assert first.get_json() == second.get_json()
    assert second.headers["Idempotency-Replayed"] == "true"
    assert send(ROWS + "a-3,x,pending,\r\n").status_code == 422
    assert send(ROWS, dry_run="true").status_code == 422
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(StoredFile)) == 1
        assert db.session.scalar(select(func.count()).select_from(Job)) == 1
    assert counts(run(app, first.get_json()["data"]["job_id"])) == {"created": 2}


def test_a_failed_import_can_be_tried_again_and_has_one_report(app: Flask, ada: Person, admin: Person) -> None:
    content = f"title,assignee_id\nWater,{admin.user_id}\nFeed,{ada.user_id + 1000}\n"
    job = imported(ada, content)
    assert reasons(ada, job) == [("2", "assignee_id", "There is no such active user.")]
    assert ada.post(f"/jobs/{job.id}/retry").status_code == 202
    again = run(app, str(job.id))
    assert (again.state, again.attempts) == ("failed", 2)
    with app.app_context():
        names = list(db.session.scalars(select(StoredFile.name).where(StoredFile.number.is_not(None))))
    assert names == [imports.REPORT_NAME]


def test_a_job_whose_file_is_gone_says_so(app: Flask, ada: Person) -> None:
    job_id = upload(ada, ROWS).get_json()["data"]["job_id"]
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(StoredFile.__table__.delete())  # type: ignore[attr-defined]
    assert run(app, job_id).error == "The uploaded file is no longer kept. Send it again."
