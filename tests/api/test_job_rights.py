"""A right is asked for again whenever work begins anew, of whoever ordered it and with the key that they used."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import null, select, text, update

from core.jobs.kinds import KINDS
from core.jobs.model import Job, JobState
from core.mail import service as mail
from core.platform.access import OPERATOR
from core.platform.database.base import db
from core.platform.database.session import transaction
from core.platform.errors import Conflict
from core.runs import rights
from core.runs import service as runs
from core.runs.run import Run
from core.users.model import User
from tests.support.imports import run, upload
from tests.support.people import Person


@dataclass
class World:
    """Bob, who works in ada's project and is nothing else; and what an administrator can do about it."""

    ada: Person
    bob: Person
    admin: Person
    project_id: int
    task_id: int
    job_id: str = ""
    key_id: int = 0

    @property
    def membership(self) -> str:
        return f"/projects/{self.project_id}/members/{self.bob.user_id}"

    def task(self) -> Any:
        return self.ada.get(f"/tasks/{self.task_id}").get_json()["data"]


@pytest.fixture
def world(app: Flask, ada: Person, bob: Person, admin: Person) -> World:
    project_id = ada.post("/projects", {"key": "OPS", "name": "Operations"}).get_json()["data"]["id"]
    task_id = ada.create_task(project_id=project_id, description="Before")["id"]
    made = World(ada, bob, admin, project_id, task_id)
    assert ada.put(made.membership, {"role": "editor"}).status_code == 201
    return made


def ok(response: Any) -> Any:
    assert response.status_code < 300, response.text
    return response.get_json(silent=True)


# --- what can be ordered ------------------------------------------------------------


def process(world: World, **options: Any) -> Any:
    return world.bob.post(f"/tasks/{world.task_id}/process", **options)


def export(world: World, **options: Any) -> Any:
    order = {"kind": "tasks", "format": "csv", "filters": {"project_id": world.project_id}}
    return world.bob.post("/exports", order, **options)


def export_all(world: World, **options: Any) -> Any:
    return world.bob.post("/exports", {"kind": "tasks", "format": "csv"}, **options)


def export_posts(world: World, **options: Any) -> Any:
    return world.bob.post("/exports", {"kind": "posts", "format": "csv"}, **options)


def report(world: World, **options: Any) -> Any:
    return world.bob.post("/reports", {"project_id": world.project_id}, **options)


def import_tasks(world: World, **options: Any) -> Any:
    return upload(world.bob, "title\nPaint\n", **options)


def import_users(world: World, **options: Any) -> Any:
    return upload(world.bob, "username,email\nnewcomer,new@example.com\n", kind="users", **options)


def export_users(world: World, **options: Any) -> Any:
    return world.bob.post("/exports", {"kind": "users", "format": "csv"}, **options)


# --- how the right to it is lost ----------------------------------------------------


def removed(world: World) -> None:
    ok(world.ada.delete(world.membership))


def demoted(world: World) -> None:
    ok(world.ada.put(world.membership, {"role": "viewer"}))


def archived(world: World) -> None:
    ok(world.ada.patch(f"/projects/{world.project_id}", {"archived": True}))


def moved(world: World) -> None:
    other = ok(world.ada.post("/projects", {"key": "OTHER", "name": "Other"}))["data"]["id"]
    ok(world.ada.patch(f"/tasks/{world.task_id}", {"project_id": other}))


def made_personal(world: World) -> None:
    ok(world.ada.patch(f"/tasks/{world.task_id}", {"project_id": None}))


def trashed(world: World) -> None:
    ok(world.ada.delete(f"/tasks/{world.task_id}"))


def deactivated(world: World) -> None:
    ok(world.admin.patch(f"/users/{world.bob.user_id}", {"is_active": False}))


def deleted(world: World) -> None:
    ok(world.admin.delete(f"/users/{world.bob.user_id}?transfer_to={world.ada.user_id}"))


def no_longer_admin(world: World) -> None:
    ok(world.admin.patch(f"/users/{world.bob.user_id}", {"role": "user"}))


def revoked(world: World) -> None:
    ok(world.bob.delete(f"/auth/keys/{world.key_id}"))


def locked_out(world: World) -> None:
    """A new password ends all keys."""
    new = {"old_password": "correct horse battery", "new_password": "another long password"}
    ok(world.bob.post("/auth/password", new))


def expired(world: World) -> None:
    with world.ada.app.app_context(), transaction() as session:
        session.execute(text("UPDATE api_keys SET expires_at = created_at"))


Step = Callable[[World], Any]
OF_THE_PERSON = [
    *((process, loss) for loss in (removed, demoted, archived, moved, made_personal, trashed, deactivated, deleted)),
    *((export, loss) for loss in (removed, deactivated, deleted)),
    *((report, loss) for loss in (removed, deactivated, deleted)),
    *((import_tasks, loss) for loss in (deactivated, deleted)),
    *((order, no_longer_admin) for order in (import_users, export_users)),
]
OF_THE_KEY = [
    (order, loss)
    for order in (process, export, report, import_tasks)
    for loss in ((revoked, locked_out, expired) if order is process else (revoked,))
]
SCOPES = ["jobs:read", "jobs:write", "tasks:read", "tasks:write"]


def ordered(world: World, order: Callable[..., Any], loss: Step) -> None:
    """Let Bob order it, with an API key if it is that which will end."""
    if loss is no_longer_admin:
        ok(world.admin.patch(f"/users/{world.bob.user_id}", {"role": "admin"}))
    options: dict[str, Any] = {}
    if loss in (revoked, locked_out, expired):
        options["headers"] = {"X-API-Key": new_key(world, *SCOPES)}
        options |= {} if order is import_tasks else {"token": ""}
    world.job_id = ok(order(world, **options) if order is not import_tasks else keyed_upload(world, options))["data"][
        "job_id"
    ]


def keyed_upload(world: World, options: dict[str, Any]) -> Any:
    tokens, world.bob.tokens = world.bob.tokens, {} if options else world.bob.tokens
    try:
        return import_tasks(world, **options)
    finally:
        world.bob.tokens = tokens


def new_key(world: World, *scopes: str) -> str:
    made = ok(world.bob.post("/auth/keys", {"name": "CI", "scopes": list(scopes)}))["data"]
    world.key_id = made["id"]
    key: str = made["key"]
    return key


def job_of(world: World) -> Job:
    with world.ada.app.app_context():
        return db.session.get_one(Job, UUID(world.job_id))


def nothing_happened(world: World) -> bool:
    if world.ada.get(f"/tasks/{world.task_id}").status_code == 404:
        return True
    with world.ada.app.app_context():
        nobody_came = db.session.scalar(select(User.id).where(User.username == "newcomer")) is None
    return world.task()["description"] == "Before" and nobody_came


@pytest.mark.parametrize(("order", "loss"), OF_THE_PERSON + OF_THE_KEY)
def test_a_job_whose_right_was_lost_before_it_starts_fails_for_good(world: World, order: Any, loss: Step) -> None:
    ordered(world, order, loss)
    loss(world)
    job = run(world.ada.app, world.job_id)
    assert (job.state, job.attempts) == (JobState.FAILED, 1)
    assert job.error
    assert "unexpectedly" not in job.error
    assert nothing_happened(world)


@pytest.mark.parametrize(
    ("order", "loss"), [*OF_THE_PERSON, (process, revoked), (export_all, removed), (export_posts, removed)]
)
def test_a_job_whose_right_is_lost_while_it_runs_stores_nothing(
    world: World, order: Any, loss: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    if order is report:
        monkeypatch.setattr("workers.jobs.reports._drawing", Drawing)
    ordered(world, order, loss)
    real = Run.completing

    @contextmanager
    def completing(run: Run, **result: Any) -> Iterator[Any]:
        loss(world)
        with real(run, **result) as session:
            yield session

    monkeypatch.setattr(Run, "completing", completing)
    job = run(world.ada.app, world.job_id)
    assert (job.state, job.attempts, job.result) == (JobState.FAILED, 1, None)
    assert nothing_happened(world)


class Drawing:
    """Chart that draws nothing, quickly."""

    def write_pdf(self, figures: Any, stream: Any) -> None:
        stream.write(b"%PDF-")

    write_png = write_pdf


@pytest.mark.parametrize(("order", "loss"), [pair for pair in OF_THE_PERSON if pair[1] not in (deactivated, deleted)])
def test_what_may_not_be_ordered_any_more_may_not_be_tried_again(world: World, order: Any, loss: Step) -> None:
    ordered(world, order, loss)
    ok(world.bob.delete(f"/jobs/{world.job_id}"))
    loss(world)
    answer = world.bob.post(f"/jobs/{world.job_id}/retry")
    assert answer.status_code == (409 if loss in (archived, trashed) else 403), answer.text
    assert job_of(world).state is JobState.CANCELLED
    # Nor by who may order it themselves: the job would work for Bob.
    assert world.admin.post(f"/jobs/{world.job_id}/retry").status_code == 409
    with world.ada.app.app_context(), pytest.raises(Conflict):
        runs.retry(OPERATOR, job_id=UUID(world.job_id))


@pytest.mark.parametrize("loss", [deactivated, deleted, revoked])
def test_nobody_revives_a_job_of_an_account_or_a_key_that_has_ended(world: World, loss: Step) -> None:
    ordered(world, process, loss)
    ok(world.bob.delete(f"/jobs/{world.job_id}"))
    loss(world)
    answer = world.admin.post(f"/jobs/{world.job_id}/retry")
    assert answer.status_code == 409
    assert "any more" in answer.text or "gone or inactive" in answer.text


def test_who_still_may_has_it_tried_again_and_a_log_out_takes_nothing(world: World) -> None:
    ordered(world, process, removed)
    ok(world.bob.delete(f"/jobs/{world.job_id}"))
    ok(world.bob.post(f"/jobs/{world.job_id}/retry"))
    ok(world.bob.post("/auth/logout"))
    assert run(world.ada.app, world.job_id).state is JobState.SUCCEEDED
    assert world.task()["description"] == "Before [Processed]"


def test_a_job_that_its_owner_has_tried_again_has_the_rights_of_that_order(world: World) -> None:
    """The key that ordered it may have ended; and the key that repeats it may end."""
    ordered(world, process, revoked)
    ok(world.bob.delete(f"/jobs/{world.job_id}"))
    revoked(world)
    ok(world.bob.post(f"/jobs/{world.job_id}/retry"))
    assert job_of(world).key_id is None
    ok(world.bob.delete(f"/jobs/{world.job_id}"))
    key = {"X-API-Key": new_key(world, "jobs:write", "tasks:write")}
    ok(world.bob.post(f"/jobs/{world.job_id}/retry", token="", headers=key))
    revoked(world)
    assert run(world.ada.app, world.job_id).state is JobState.FAILED


@pytest.mark.parametrize("order", [export, export_all, export_posts, report])
def test_a_file_of_what_somebody_may_no_longer_see_is_not_handed_out(
    world: World, order: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.jobs.reports._drawing", Drawing)
    ordered(world, order, removed)
    assert run(world.ada.app, world.job_id).state is JobState.SUCCEEDED
    ok(world.bob.get(f"/jobs/{world.job_id}/result"))
    removed(world)
    assert world.bob.get(f"/jobs/{world.job_id}/result").status_code == 403
    ok(world.admin.get(f"/jobs/{world.job_id}/result"))
    assert world.ada.put(world.membership, {"role": "viewer"}).status_code == 201
    ok(world.bob.get(f"/jobs/{world.job_id}/result"))


@pytest.mark.parametrize("order", [export, report])
def test_a_file_whose_job_remembers_no_grounds_asks_what_its_order_would(
    world: World, order: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for a file of a version that remembered none."""
    monkeypatch.setattr("workers.jobs.reports._drawing", Drawing)
    ordered(world, order, removed)
    assert run(world.ada.app, world.job_id).state is JobState.SUCCEEDED
    with world.ada.app.app_context(), transaction() as session:
        session.execute(update(Job).values(grounds=null()))
    ok(world.bob.get(f"/jobs/{world.job_id}/result"))
    removed(world)
    assert world.bob.get(f"/jobs/{world.job_id}/result").status_code == 403


def test_a_file_that_an_administrator_had_made_is_not_for_who_is_none_any_more(world: World) -> None:
    ok(world.admin.patch(f"/users/{world.bob.user_id}", {"role": "admin"}))
    world.job_id = ok(export_all(world))["data"]["job_id"]
    assert run(world.ada.app, world.job_id).state is JobState.SUCCEEDED
    no_longer_admin(world)
    assert world.bob.get(f"/jobs/{world.job_id}/result").status_code == 403


# --- keys ---------------------------------------------------------------------------

NEEDS = {process: "tasks:write", export: "tasks:read", report: "tasks:read", import_tasks: "tasks:write"}


@pytest.mark.parametrize("order", NEEDS)
def test_a_key_opens_no_more_by_an_indirect_way(world: World, order: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.jobs.reports._drawing", Drawing)
    ordered(world, order, removed)
    job = f"/jobs/{world.job_id}"
    weak = {"token": "", "headers": {"X-API-Key": new_key(world, "jobs:read", "jobs:write", "posts:read")}}
    strong = {"token": "", "headers": {"X-API-Key": new_key(world, "jobs:read", "jobs:write", NEEDS[order])}}
    assert world.bob.delete(job, **weak).status_code == 403
    assert world.bob.delete(f"/tasks/process/status/{world.job_id}", **weak).status_code == 403
    ok(world.bob.delete(job, **strong))
    assert world.bob.post(f"{job}/retry", **weak).status_code == 403
    ok(world.bob.post(f"{job}/retry", **strong))
    assert run(world.ada.app, world.job_id).state is JobState.SUCCEEDED
    # Its progress is what jobs:read is for; what came of it is not.
    assert ok(world.bob.get(job, **weak))["data"]["result"] is None
    assert [entry["result"] for entry in ok(world.bob.get("/jobs", **weak))["data"]] == [None]
    assert ok(world.bob.get(job, **strong))["data"]["result"] is not None
    assert world.bob.get(f"{job}/result", **weak).status_code == 403
    if order is not process:
        ok(world.bob.get(f"{job}/result", **strong))


def test_an_administrators_key_opens_no_more_of_others(world: World) -> None:
    ordered(world, process, removed)
    made = ok(world.admin.post("/auth/keys", {"name": "CI", "scopes": ["jobs:write", "jobs:read"]}))["data"]
    weak = {"token": "", "headers": {"X-API-Key": made["key"]}}
    assert world.admin.delete(f"/jobs/{world.job_id}", **weak).status_code == 403
    ok(world.bob.delete(f"/jobs/{world.job_id}"))
    assert world.admin.post(f"/jobs/{world.job_id}/retry", **weak).status_code == 403


def test_a_weaker_key_is_not_told_what_a_stronger_one_was_answered(world: World) -> None:
    order = {"kind": "tasks", "format": "csv"}

    def status(*scopes: str) -> int:
        headers = {"Idempotency-Key": "one"} | ({"X-API-Key": new_key(world, *scopes)} if scopes else {})
        return world.bob.post("/exports", order, headers=headers, token="" if scopes else None).status_code

    assert status("jobs:write", "tasks:read") == 202
    assert status("jobs:write") == 403
    assert status("jobs:write", "tasks:read", "posts:read") == 202
    assert status() == 202


# --- the table ------------------------------------------------------------------------


def test_every_kind_of_job_says_what_it_asks(app: Flask) -> None:
    assert rights.RIGHTS.keys() == KINDS.keys()


def test_a_message_about_what_is_somebody_elses_now_is_not_sent(app: Flask, ada: Person, bob: Person) -> None:
    task_id = ada.create_task(assignee_id=bob.user_id)["id"]
    ok(ada.patch(f"/tasks/{task_id}", {"assignee_id": None}))
    with app.app_context():
        job_id = db.session.scalars(select(Job.id).where(Job.kind == "email.task_assigned")).one()
    done = run(app, str(job_id))
    reason = "None of these tasks is assigned to this user any more."
    assert done.result == {"delivered_to": None, "reason": reason}
    with app.app_context(), transaction() as session:
        session.execute(update(Job).where(Job.id == job_id).values(state=JobState.CANCELLED))
    assert bob.post(f"/jobs/{job_id}/retry").status_code == 409


def test_nobody_is_reminded_of_what_nobody_can_close(app: Flask, world: World) -> None:
    due = "2999-01-01"
    ok(world.ada.patch(f"/tasks/{world.task_id}", {"due_date": due}))
    about = {"user_id": world.ada.user_id, "task_id": world.task_id, "due_date": due}
    with app.app_context():
        assert mail.task_reminder(**about).recipient.id == world.ada.user_id
    archived(world)
    with app.app_context(), pytest.raises(mail.NotNeeded, match="archived"):
        mail.task_reminder(**about)
