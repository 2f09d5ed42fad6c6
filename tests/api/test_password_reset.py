"""A forgotten password: the way back by e-mail and by an administrator, and what it must not open."""

import email
import email.policy
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from core.auth import resets
from core.auth.model import ApiKey, LoginSession, PasswordReset
from core.jobs.model import Job, JobState
from core.operations.cleanup import clean_up
from core.platform import clock
from core.platform.access import Actor, Role
from core.platform.config.current import current_settings
from core.platform.config.errors import ConfigError
from core.platform.config.settings import Settings
from core.platform.database.base import db
from core.platform.database.session import transaction
from core.platform.errors import Forbidden
from core.users.model import User
from tests.support import work
from tests.support.engines import on_both
from tests.support.people import PASSWORD, Person, make_person

NEW = "an even longer one"
TOKEN = re.compile(r"tlr_[0-9a-f]{48}")


def forget(anonymous: Person, name: str = "ada", **kwargs: Any) -> Any:
    return anonymous.post("/auth/password/forgotten", {"username": name}, **kwargs)


def reset(anonymous: Person, token: str, password: str = NEW) -> Any:
    return anonymous.post("/auth/password/reset", {"token": token, "new_password": password})


def letters(app: Flask, outbox: Path) -> list[Any]:
    """Run what is due; return the messages about passwords, as they were written."""
    work.run_jobs(app)
    paths = sorted(outbox.glob("password_reset-*.eml"), key=lambda path: path.stat().st_mtime_ns)
    return [email.message_from_bytes(path.read_bytes(), policy=email.policy.default) for path in paths]


def text_of(letter: Any) -> str:
    text: str = letter.get_body(("plain",)).get_content()
    return text


def mailed_token(app: Flask, outbox: Path) -> str:
    (letter,) = letters(app, outbox)
    (found,) = TOKEN.findall(text_of(letter))
    return str(found)


def reasons(app: Flask) -> list[str]:
    with app.app_context():
        jobs = db.session.scalars(select(Job).where(Job.kind == "email.password_reset")).all()
    assert {job.state for job in jobs} == {JobState.SUCCEEDED}
    return [job.result["reason"] for job in jobs if job.result and job.result["delivered_to"] is None]


def let_time_pass(app: Flask, duration: timedelta) -> None:
    with app.app_context(), transaction() as session:
        for row in session.scalars(select(PasswordReset)):
            row.expires_at -= duration


# --- by e-mail ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ada", "ADA", " ada@example.com "])
def test_a_token_from_an_e_mail_sets_a_new_password(
    app: Flask, ada: Person, anonymous: Person, outbox: Path, name: str
) -> None:
    assert forget(anonymous, name).status_code == 200
    (letter,) = letters(app, outbox)
    assert [address.addr_spec for address in letter["To"].addresses] == ["ada@example.com"]
    token = mailed_token(app, outbox)
    assert token in letter.get_body(("html",)).get_content()
    assert reset(anonymous, token).status_code == 204
    assert ada.log_in().status_code == 401
    assert ada.log_in(NEW).status_code == 200


def test_a_new_password_ends_all_sessions_and_keys_and_locks_but_no_work(
    app: Flask, ada: Person, anonymous: Person, outbox: Path
) -> None:
    key = ada.post("/auth/keys", {"name": "CI", "scopes": ["tasks:read"]}).get_json()["data"]["key"]
    with app.app_context(), transaction() as session:
        count = len(session.scalars(select(LoginSession).where(LoginSession.user_id == ada.user_id)).all())
    assert count
    for _ in range(11):
        anonymous.post("/auth/login", {"username": "ada", "password": "wrong"})
    assert ada.log_in().status_code == 429
    task = ada.create_task()
    forget(anonymous)
    assert reset(anonymous, mailed_token(app, outbox)).status_code == 204
    assert ada.get("/auth/me").status_code == 401
    assert anonymous.get("/tasks", headers={"X-API-Key": key}).status_code == 401
    with app.app_context():
        assert {row.revoked_at is None for row in db.session.scalars(select(ApiKey))} == {False}
    assert ada.log_in(NEW).status_code == 200
    assert ada.get(f"/tasks/{task['id']}").status_code == 200


def test_what_was_asked_and_done_is_recorded(
    app: Flask, ada: Person, anonymous: Person, admin: Person, outbox: Path
) -> None:
    forget(anonymous)
    forget(anonymous, "nobody")
    reset(anonymous, mailed_token(app, outbox))
    found = [
        (event["kind"], event["user_id"], event["actor_id"]) for event in admin.get("/security-events").json["data"]
    ]
    assert found[:3] == [
        ("password_reset", ada.user_id, None),
        ("password_forgotten", None, None),
        ("password_forgotten", ada.user_id, None),
    ]


@on_both
def test_a_token_works_once(app: Flask, ada: Person, anonymous: Person, outbox: Path) -> None:
    forget(anonymous)
    token = mailed_token(app, outbox)
    assert reset(anonymous, token).status_code == 204
    again = reset(anonymous, token, "yet another long one")
    assert again.status_code == 422
    assert list(again.get_json()["error"]["details"]) == ["token"]
    assert ada.log_in(NEW).status_code == 200


def test_a_weak_password_does_not_use_the_token_up(app: Flask, ada: Person, anonymous: Person, outbox: Path) -> None:
    forget(anonymous)
    token = mailed_token(app, outbox)
    assert reset(anonymous, token, "short").status_code == 422
    assert reset(anonymous, token).status_code == 204


def test_of_two_tokens_the_second_ends_with_the_first(app: Flask, ada: Person, anonymous: Person, outbox: Path) -> None:
    for _ in range(2):
        forget(anonymous)
    first, second = (TOKEN.findall(text_of(letter))[0] for letter in letters(app, outbox))
    assert first != second
    assert reset(anonymous, second).status_code == 204
    assert reset(anonymous, first).status_code == 422


def test_a_token_ends_after_half_an_hour(app: Flask, ada: Person, anonymous: Person, outbox: Path) -> None:
    forget(anonymous)
    token = mailed_token(app, outbox)
    let_time_pass(app, timedelta(minutes=29))
    with app.app_context():
        (row,) = db.session.scalars(select(PasswordReset))
        assert timedelta(0) < row.expires_at - clock.now() <= timedelta(minutes=1)
    let_time_pass(app, timedelta(minutes=1))
    assert reset(anonymous, token).status_code == 422
    assert ada.log_in().status_code == 200


@on_both
@pytest.mark.parametrize("way", ["password", "address", "deactivation"])
def test_whatever_changes_the_account_ends_its_tokens(
    app: Flask, ada: Person, anonymous: Person, admin: Person, outbox: Path, way: str
) -> None:
    forget(anonymous)
    token = mailed_token(app, outbox)
    if way == "password":
        ada.post("/auth/password", {"old_password": PASSWORD, "new_password": "changed by herself"})
    elif way == "address":
        assert ada.patch("/auth/me", {"email": "ada.new@example.com"}).status_code == 200
    else:
        admin.patch(f"/users/{ada.user_id}", {"is_active": False})
        admin.patch(f"/users/{ada.user_id}", {"is_active": True})
    assert reset(anonymous, token).status_code == 422


@on_both
def test_an_account_that_is_deleted_leaves_no_token(
    app: Flask, ada: Person, anonymous: Person, admin: Person, outbox: Path
) -> None:
    forget(anonymous)
    token = mailed_token(app, outbox)
    assert admin.delete(f"/users/{ada.user_id}").status_code == 204
    with app.app_context():
        assert db.session.scalars(select(PasswordReset)).all() == []
    assert reset(anonymous, token).status_code == 422


@pytest.mark.parametrize("token", ["tlr_" + "0" * 48, "x", "tlr_", "🔑" * 300])
def test_a_token_that_nobody_made_opens_nothing(ada: Person, anonymous: Person, token: str) -> None:
    assert reset(anonymous, token).status_code == 422


# --- what it tells ------------------------------------------------------------------


def test_nobody_learns_whether_there_is_an_account(
    app: Flask, ada: Person, bob: Person, anonymous: Person, admin: Person, outbox: Path, statements: list[str]
) -> None:
    admin.patch(f"/users/{bob.user_id}", {"is_active": False})
    answers, done = [], []
    for name in ("ada", "bob", "nobody"):
        statements.clear()
        response = forget(anonymous, name)
        answers.append((response.status_code, response.get_json()))
        done.append(list(statements))
    assert answers[0] == answers[1] == answers[2]
    assert done[0] == done[1] == done[2]
    assert len(letters(app, outbox)) == 1
    assert reasons(app) == ["No active account has this name."] * 2


def test_neither_jobs_nor_rows_nor_lines_of_the_log_hold_a_token(
    app: Flask, ada: Person, anonymous: Person, admin: Person, outbox: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    forget(anonymous)
    token = mailed_token(app, outbox)
    reset(anonymous, token)
    with app.app_context():
        rows = [vars(row) for model in (Job, PasswordReset) for row in db.session.scalars(select(model))]
    told = admin.get("/jobs").text + repr(rows) + caplog.text
    assert token not in told
    assert token.removeprefix("tlr_") not in told
    assert ada.log_in(NEW).status_code == 200
    assert ada.get("/jobs").get_json()["data"] == []


# --- how often ----------------------------------------------------------------------


def test_one_account_gets_three_messages_at_most_from_wherever_they_are_asked_for(
    app: Flask, ada: Person, anonymous: Person, outbox: Path
) -> None:
    for number in range(5):
        elsewhere = {"REMOTE_ADDR": f"192.0.2.{number}"}
        assert forget(anonymous, environ_base=elsewhere).status_code == 200
    assert len(letters(app, outbox)) == 3
    let_time_pass(app, timedelta(minutes=31))
    forget(anonymous)
    assert len(letters(app, outbox)) == 4


def test_one_address_may_ask_for_one_name_so_often(remake_app: Callable[..., Flask]) -> None:
    app = remake_app(ratelimit_enabled=True, auth__reset_limit="2 per hour")
    somebody = Person(app)
    assert [forget(somebody).status_code for _ in range(3)] == [200, 200, 429]
    assert forget(somebody, "another").status_code == 200
    # A log-in is counted by itself.
    assert somebody.post("/auth/login", {"username": "ada", "password": "x"}).status_code == 401


def test_one_address_may_try_so_many_tokens(remake_app: Callable[..., Flask]) -> None:
    somebody = Person(remake_app(ratelimit_enabled=True, auth__address_limit="2 per hour"))
    assert [reset(somebody, "tlr_" + "0" * 48).status_code for _ in range(3)] == [422, 422, 429]


# --- the worker ---------------------------------------------------------------------


def order(app: Flask, anonymous: Person) -> Any:
    forget(anonymous)
    with app.app_context():
        return db.session.scalars(select(Job.id).where(Job.kind == "email.password_reset")).one()


def test_a_message_that_is_sent_again_has_the_same_token(
    app: Flask, ada: Person, anonymous: Person, outbox: Path
) -> None:
    job_id = order(app, anonymous)
    token = mailed_token(app, outbox)
    with app.app_context(), transaction() as session:
        session.execute(update(Job).where(Job.id == job_id).values(state=JobState.QUEUED, finished_at=None))
    work.run(app, job_id, attempt=1)
    assert mailed_token(app, outbox) == token
    assert reset(anonymous, token).status_code == 204


def test_a_job_that_is_repeated_after_its_token_was_used_makes_no_other(
    app: Flask, ada: Person, anonymous: Person, outbox: Path
) -> None:
    job_id = order(app, anonymous)
    token = mailed_token(app, outbox)
    assert reset(anonymous, token).status_code == 204
    with app.app_context(), transaction() as session:
        session.execute(update(Job).where(Job.id == job_id).values(state=JobState.QUEUED, finished_at=None))
    work.run(app, job_id, attempt=1)
    assert reset(anonymous, token, "yet another long one").status_code == 422
    assert reasons(app) == ["This link was used already, or as many as may hold at once have been sent."]


def test_a_message_that_is_too_late_is_not_sent(app: Flask, ada: Person, anonymous: Person, outbox: Path) -> None:
    job_id = order(app, anonymous)
    with app.app_context(), transaction() as session:
        job = session.get_one(Job, job_id)
        job.payload = {**job.payload, "until": (clock.now() - timedelta(seconds=1)).isoformat()}
    assert letters(app, outbox) == []
    assert reasons(app) == ["The link would have expired before it was sent."]


@on_both
def test_tokens_that_are_over_are_forgotten(app: Flask, ada: Person, anonymous: Person, outbox: Path) -> None:
    forget(anonymous)
    mailed_token(app, outbox)
    let_time_pass(app, timedelta(days=2))
    with app.app_context():
        clean_up(current_settings(), lambda: None)
        assert db.session.scalars(select(PasswordReset)).all() == []


# --- the page -----------------------------------------------------------------------

PAGE = "https://app.example.com/reset#{token}"


def test_the_message_links_to_the_page_that_is_configured(remake_app: Callable[..., Flask]) -> None:
    app = remake_app(mail__reset_url=PAGE)
    ada = make_person(app, "ada")
    forget(Person(app))
    with app.app_context():
        outbox = current_settings().instance_path / "outbox"
    (letter,) = letters(app, outbox)
    (link,) = re.findall(r"https://app\.example\.com/reset#(\S+)", text_of(letter))
    assert f"https://app.example.com/reset#{link}" in letter.get_body(("html",)).get_content()
    assert reset(ada, link).status_code == 204


@pytest.mark.parametrize(
    "url",
    [
        "https://app.example.com/reset",
        "app.example.com/{token}",
        "https://{token}.example.com/",
        "https://a/{token} x",
        "javascript:{token}",
    ],
)
def test_a_page_that_cannot_take_a_token_is_refused_at_start(make_settings: Callable[..., Settings], url: str) -> None:
    with pytest.raises(ConfigError, match=r"mail\.reset_url"):
        make_settings("sqlite://", "redis://localhost", mail__reset_url=url)


# --- by an administrator ------------------------------------------------------------


def test_an_administrator_hands_a_token_over(app: Flask, ada: Person, admin: Person, anonymous: Person) -> None:
    response = admin.post(f"/users/{ada.user_id}/password-reset")
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    link = response.get_json()["data"]
    assert link["url"] is None
    assert ada.log_in().status_code == 200
    assert reset(anonymous, link["token"]).status_code == 204
    assert ada.log_in(NEW).status_code == 200
    assert [event["kind"] for event in admin.get("/security-events?kind=reset_link_made").get_json()["data"]]


@pytest.mark.parametrize(("whose", "status"), [("own", 403), ("nobody", 404), ("inactive", 409), ("key", 403)])
def test_an_administrator_gets_no_token_for(app: Flask, ada: Person, admin: Person, whose: str, status: int) -> None:
    headers = {}
    user_id = {"own": admin.user_id, "nobody": 999_999}.get(whose, ada.user_id)
    if whose == "inactive":
        admin.patch(f"/users/{ada.user_id}", {"is_active": False})
    if whose == "key":
        made = admin.post("/auth/keys", {"name": "CI", "scopes": ["users:admin", "users:write"]})
        headers = {"X-API-Key": made.get_json()["data"]["key"]}
    response = admin.post(f"/users/{user_id}/password-reset", token="" if headers else None, headers=headers)
    assert response.status_code == status


def test_who_is_no_administrator_any_more_by_then_makes_no_token(app: Flask, ada: Person, admin: Person) -> None:
    with app.app_context():
        session_id = db.session.scalars(select(LoginSession.id).where(LoginSession.user_id == admin.user_id)).one()
        # What a request of theirs was let in with, just before.
        actor = Actor(admin.user_id, Role.ADMIN, session_id)
        with transaction() as session:
            session.execute(update(User).where(User.id == admin.user_id).values(role=Role.USER))
        with pytest.raises(Forbidden):
            resets.make(actor, user_id=ada.user_id, secret_key=current_settings().secret_key)
        assert db.session.scalar(select(PasswordReset.token_hash)) is None


def test_a_kept_answer_does_not_show_the_token_to_who_reads_the_database(
    app: Flask, ada: Person, admin: Person
) -> None:
    path, headers = f"/users/{ada.user_id}/password-reset", {"Idempotency-Key": "once"}
    token = admin.post(path, headers=headers).get_json()["data"]["token"]
    assert admin.post(path, headers=headers).get_json()["data"]["token"] == token
    with app.app_context(), db.engine.connect() as connection:
        stored = repr(connection.exec_driver_sql("SELECT * FROM kept_answers").all())
    assert token not in stored
    assert token.encode().hex() not in stored
