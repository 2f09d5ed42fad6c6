"""Choice of e-mails, with and without logging in."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from itsdangerous import URLSafeSerializer

from core.jobs.model import JobState
from core.mail.model import OPTIONAL, MailKind
from core.mail.preferences import unsubscribe_token
from core.mail.reminders import order_reminders
from core.platform import clock
from tests.support import work
from tests.support.answers import data
from tests.support.engines import on_both
from tests.support.people import Person

PATH = "/auth/me/notifications"
ALL = {kind.value: True for kind in OPTIONAL}


def test_everybody_gets_everything_unless_they_say_otherwise(ada: Person, bob: Person) -> None:
    assert data(ada.get(PATH)) == ALL
    assert data(ada.patch(PATH, {"task_reminder": False, "task_created": False})) == {
        **ALL,
        "task_reminder": False,
        "task_created": False,
    }
    assert data(ada.patch(PATH, {"task_reminder": True, "task_assigned": False})) == {
        **ALL,
        "task_created": False,
        "task_assigned": False,
    }
    assert data(ada.get(PATH)) == {**ALL, "task_created": False, "task_assigned": False}
    assert data(bob.get(PATH)) == ALL


@on_both
def test_saying_it_again_changes_nothing(ada: Person) -> None:
    for _ in range(2):
        assert data(ada.patch(PATH, {"task_created": False}))["task_created"] is False
    for _ in range(2):
        assert data(ada.patch(PATH, {"task_created": True}))["task_created"] is True


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 400, None),
        ({"welcome": False}, 422, "welcome"),
        ({"task_reminders": False}, 422, "task_reminders"),
        ({"task_reminder": None}, 422, "task_reminder"),
        ({"task_reminder": "no"}, 422, "task_reminder"),
        ({"task_reminder": 0}, 422, "task_reminder"),
    ],
)
def test_only_yes_and_no_to_what_is_optional_are_understood(
    ada: Person, body: Any, status: int, field: str | None
) -> None:
    response = ada.patch(PATH, body)
    assert response.status_code == status
    if field:
        assert list(response.get_json()["error"]["details"]) == [field]
    assert data(ada.get(PATH)) == ALL


def cause(kind: MailKind, ada: Person, bob: Person) -> None:
    """Do what has a message of this kind sent to Bob."""
    if kind is MailKind.TASK_CREATED:
        bob.create_task()
    elif kind is MailKind.TASK_ASSIGNED:
        ada.create_task(assignee_id=bob.user_id)
    elif kind is MailKind.TASKS_TRANSFERRED:
        ada.create_task()
        ada.post("/tasks/transfer", {"from_user_id": ada.user_id, "to_user_id": bob.user_id})
    else:
        bob.create_task(due_date=date.isoformat(clock.now().date()))
        with bob.app.app_context():
            assert order_reminders(hour=0) == 1


@on_both
@pytest.mark.parametrize("kind", OPTIONAL)
def test_each_kind_is_sent_only_while_it_is_wanted(
    app: Flask, ada: Person, bob: Person, outbox: Path, kind: MailKind
) -> None:
    def sent_to_bob() -> int:
        texts = [path.read_text() for path in outbox.glob(f"{kind}-*.eml")]
        return sum("To: bob <bob@example.com>" in text for text in texts)

    cause(kind, ada, bob)
    work.run_jobs(app)
    assert sent_to_bob() == 1

    cause(kind, ada, bob)
    # Ordered while it was wanted; what counts is what is wanted when it would be sent.
    bob.patch(PATH, {kind.value: False})
    done = [work.find(app, sending.job_id) for sending in work.run_jobs(app)]
    assert sent_to_bob() == 1
    (job,) = [job for job in done if job.kind == f"email.{kind}" and job.owner_id == bob.user_id]
    reason = f"User {bob.user_id} does not want these messages."
    assert (job.state, job.result) == (JobState.SUCCEEDED, {"delivered_to": None, "reason": reason})


# --- links --------------------------------------------------------------------


def key(app: Flask) -> str:
    return str(app.extensions["tasklane"].secret_key)


def link(person: Person, kind: str = "task_created") -> str:
    token = URLSafeSerializer(key(person.app), salt="unsubscribe").dumps([person.user_id, kind])
    return f"/notifications/unsubscribe/{token}"


def test_following_a_link_changes_nothing(ada: Person, anonymous: Person) -> None:
    for _ in range(2):
        assert data(anonymous.get(link(ada))) == {"kind": "task_created", "wanted": True}
        assert anonymous.open("HEAD", link(ada)).status_code == 200
    assert data(ada.get(PATH)) == ALL


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"data": "List-Unsubscribe=One-Click", "content_type": "application/x-www-form-urlencoded"},
        {"data": {"List-Unsubscribe": "One-Click"}, "content_type": "multipart/form-data"},
        {"json": {"anything": 1}},
    ],
)
def test_one_click_ends_one_kind_of_messages_to_one_person(
    ada: Person, bob: Person, anonymous: Person, sent: dict[str, Any]
) -> None:
    for _ in range(2):
        assert data(anonymous.post(link(ada), **sent)) == {"kind": "task_created", "wanted": False}
    assert data(anonymous.get(link(ada))) == {"kind": "task_created", "wanted": False}
    assert data(ada.get(PATH)) == {**ALL, "task_created": False}
    assert data(bob.get(PATH)) == ALL


def test_a_link_of_long_ago_does_not_undo_a_later_choice_by_being_looked_at(ada: Person, anonymous: Person) -> None:
    anonymous.post(link(ada))
    ada.patch(PATH, {"task_created": True})
    anonymous.get(link(ada))
    assert data(ada.get(PATH)) == ALL


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_forged_link_is_404(app: Flask, ada: Person, bob: Person, anonymous: Person, method: str) -> None:
    good = unsubscribe_token(ada.user_id, MailKind.TASK_CREATED, secret_keys=[key(app)])
    payload, signature = good.rsplit(".", 1)
    of_bob = unsubscribe_token(bob.user_id, MailKind.TASK_CREATED, secret_keys=[key(app)]).rsplit(".", 1)[0]

    def signed(value: Any, salt: str = "unsubscribe", secret: str = key(app)) -> str:
        return str(URLSafeSerializer(secret, salt=salt).dumps(value))

    forged = [
        "x",
        payload,
        f"{payload}.",
        f"{payload}.{signature[:-2]}",
        f"{of_bob}.{signature}",
        signed([ada.user_id, "task_created"], salt="paging"),
        signed([ada.user_id, "task_created"], secret="another secret of the same length"),
        # Signed by us, and yet about nothing.
        signed([ada.user_id, "welcome"]),
        signed([ada.user_id, "task_deleted"]),
        signed([999_999, "task_created"]),
        "%00",
        "ä" * 50,
        "." * 200,
    ]
    for token in forged:
        response = anonymous.open(method, f"/notifications/unsubscribe/{token}")
        assert response.status_code == 404, token
        assert response.get_json()["error"]["message"] == "There is no such link.", token
    assert data(ada.get(PATH)) == ALL
    assert data(bob.get(PATH)) == ALL


def test_a_link_of_a_former_account_is_404(ada: Person, anonymous: Person) -> None:
    path = link(ada)
    assert ada.delete(f"/users/{ada.user_id}").status_code == 204
    assert anonymous.get(path).status_code == 404
    assert anonymous.post(path).status_code == 404


def test_the_link_in_a_message_works(
    app: Flask, remake_app: Callable[..., Flask], ada: Person, anonymous: Person
) -> None:
    other = remake_app(public_url="https://tasks.example.com/lane/")
    ada.create_task()
    work.run_jobs(other)
    (path,) = (other.extensions["tasklane"].instance_path / "outbox").glob("*.eml")
    lines = path.read_text().splitlines()
    (header,) = [line for line in lines if line.startswith("List-Unsubscribe: ")]
    assert "List-Unsubscribe-Post: List-Unsubscribe=One-Click" in lines
    url = header.removeprefix("List-Unsubscribe: <").removesuffix(">")
    assert url.startswith("https://tasks.example.com/lane/api/v1/notifications/unsubscribe/")
    assert data(anonymous.post(url.removeprefix("https://tasks.example.com/lane"))) == {
        "kind": "task_created",
        "wanted": False,
    }
    assert data(ada.get(PATH))["task_created"] is False


def test_without_a_public_url_no_message_has_a_link(app: Flask, ada: Person, outbox: Path) -> None:
    ada.create_task()
    work.run_jobs(app)
    (path,) = outbox.glob("*.eml")
    assert "unsubscribe" not in path.read_text().lower()


def test_a_welcome_has_no_link(remake_app: Callable[..., Flask], anonymous: Person) -> None:
    other = remake_app(public_url="https://tasks.example.com")
    body = {"username": "grace", "email": "grace@example.com", "password": "a long password"}
    assert anonymous.post("/auth/register", body).status_code == 201
    work.run_jobs(other)
    (path,) = (other.extensions["tasklane"].instance_path / "outbox").glob("welcome-*.eml")
    assert "unsubscribe" not in path.read_text().lower()


# --- time zones ---------------------------------------------------------------


def test_everybody_lives_in_utc_until_they_say_where(ada: Person, anonymous: Person, admin: Person) -> None:
    assert data(ada.get("/auth/me"))["time_zone"] == "UTC"
    assert data(ada.patch("/auth/me", {"time_zone": "Pacific/Kiritimati"}))["time_zone"] == "Pacific/Kiritimati"
    body = {"username": "grace", "email": "grace@example.com", "password": "a long password"}
    user_id = anonymous.post("/auth/register", {**body, "time_zone": "Asia/Tokyo"}).get_json()["data"]["user_id"]
    assert data(admin.get(f"/users/{user_id}"))["time_zone"] == "Asia/Tokyo"
    assert data(admin.patch(f"/users/{user_id}", {"time_zone": "UTC"}))["time_zone"] == "UTC"


def test_replacing_an_account_keeps_its_time_zone_unless_it_is_given(ada: Person) -> None:
    """Clients that do not know of it must not move people to Greenwich."""
    ada.patch("/auth/me", {"time_zone": "Europe/Berlin"})
    body = {"username": "ada", "email": "ada@example.com"}
    assert data(ada.put(f"/users/{ada.user_id}", body))["time_zone"] == "Europe/Berlin"
    assert data(ada.put(f"/users/{ada.user_id}", {**body, "time_zone": "UTC"}))["time_zone"] == "UTC"


@pytest.mark.parametrize(
    ("zone", "hint"),
    [
        ("Berlin", "Europe/Berlin"),
        ("europe/berlin", "Europe/Berlin"),
        ("Mars/Olympus", ""),
        ("../../etc/passwd", ""),
        ("+02:00", ""),
        ("", ""),
        (" ", ""),
        (None, ""),
        (2, ""),
        ("x" * 65, ""),
        ("\u0000", ""),
    ],
)
def test_a_time_zone_that_does_not_exist_is_422(ada: Person, zone: Any, hint: str) -> None:
    response = ada.patch("/auth/me", {"time_zone": zone})
    assert response.status_code == 422
    (sentence, *_) = response.get_json()["error"]["details"]["time_zone"]
    assert hint in sentence


@on_both
def test_a_reminder_comes_a_day_before_at_most(app: Flask, ada: Person) -> None:
    ada.create_task(due_date=(clock.now() + timedelta(days=3)).date().isoformat())
    with app.app_context():
        assert order_reminders(hour=0) == 0
