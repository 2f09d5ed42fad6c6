"""SECRET_KEY is exchanged: what was made under the former one holds, and nothing is done twice."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from api.http.door.tokens import KEY_HEADER
from core.audit import rotation
from core.auth import accounts, lockout
from core.auth.model import ApiKey
from core.mail.model import MailKind
from core.mail.preferences import unsubscribe_token
from core.operations.doctor.examination import examine
from core.operations.doctor.findings import Finding, Verdict
from core.platform.config.current import current_settings
from core.platform.config.errors import ConfigError
from core.platform.config.load import load_settings
from core.platform.database.base import db
from core.tasks.model import Task
from tests.support.engines import on_both
from tests.support.people import Person

ONCE = {"Idempotency-Key": "first try"}
BODY = {"title": "Water the plants"}


@pytest.fixture(scope="module")
def rotated(application: Flask, remake_for_module: Callable[..., Flask]) -> Flask:
    """The application after a change of the key that remembers the former one."""
    return remake_for_module(secret_key="n" * 40, secret_key_previous=[application.extensions["tasklane"].secret_key])


@pytest.fixture(scope="module")
def amnesic(remake_for_module: Callable[..., Flask]) -> Flask:
    """The application after a change of the key that has forgotten the former one."""
    return remake_for_module(secret_key="n" * 40)


def as_seen_by(app: Flask, person: Person) -> Person:
    """Return the same person, who asks another application."""
    other = Person(app)
    other.tokens = person.tokens
    return other


def tasks_in(app: Flask) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(Task)) or 0


def secrets_of(app: Flask) -> list[Finding]:
    with app.app_context():
        return [found for found in examine() if found.part == "secrets" and "secret_key" in found.text]


def test_a_cursor_of_before_goes_on(ada: Person, rotated: Flask, amnesic: Flask) -> None:
    for _ in range(3):
        ada.create_task()
    cursor = ada.get("/tasks?per_page=2").get_json()["meta"]["pagination"]["next_cursor"]
    path = f"/tasks?per_page=2&cursor={cursor}"
    assert len(as_seen_by(rotated, ada).get(path).get_json()["data"]) == 1
    assert as_seen_by(amnesic, ada).get(path).status_code == 400


def test_an_api_key_of_before_lets_in_and_is_stored_anew(
    app: Flask, ada: Person, rotated: Flask, amnesic: Flask
) -> None:
    made = ada.post("/auth/keys", {"name": "CI", "scopes": ["tasks:read"]}).get_json()["data"]
    header = {KEY_HEADER: made["key"]}

    def ask(application: Flask) -> int:
        return Person(application).get("/tasks", token="", headers=header).status_code

    assert ask(amnesic) == 401
    assert ask(rotated) == 200
    with app.app_context():
        changed = db.session.scalar(select(ApiKey.key_hash))
    assert ask(rotated) == 200
    assert ask(amnesic) == 200, "the former key is not needed for it any more"
    with app.app_context():
        assert db.session.scalar(select(ApiKey.key_hash)) == changed


def test_a_repeated_request_is_answered_as_before(app: Flask, ada: Person, rotated: Flask) -> None:
    first = ada.post("/tasks", BODY, headers=ONCE)
    again = as_seen_by(rotated, ada).post("/tasks", BODY, headers=ONCE)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (again.status_code, again.data) == (first.status_code, first.data)
    assert tasks_in(app) == 1


@pytest.mark.parametrize(("path", "body"), [("/tasks", BODY), ("/auth/keys", {"name": "CI", "scopes": ["tasks:read"]})])
def test_without_the_former_secret_it_is_refused_and_not_done_again(
    app: Flask, ada: Person, amnesic: Flask, path: str, body: dict[str, Any]
) -> None:
    ada.post(path, body, headers=ONCE)
    before = tasks_in(app)
    again = as_seen_by(amnesic, ada).post(path, body, headers=ONCE)
    assert again.status_code == 409
    assert "nothing was done again" in again.get_json()["error"]["message"]
    assert tasks_in(app) == before


@on_both
def test_while_both_secrets_are_in_force_a_request_is_done_once(app: Flask, ada: Person, rotated: Flask) -> None:
    assert as_seen_by(rotated, ada).post("/tasks", BODY, headers=ONCE).status_code == 201
    assert ada.post("/tasks", BODY, headers=ONCE).status_code == 409, "an old process cannot read what a new one kept"
    assert tasks_in(app) == 1


def test_a_link_of_an_old_message_ends_messages(app: Flask, ada: Person, rotated: Flask, amnesic: Flask) -> None:
    keys = app.extensions["tasklane"].secret_keys
    path = f"/notifications/unsubscribe/{unsubscribe_token(ada.user_id, MailKind.TASK_CREATED, secret_keys=keys)}"
    assert Person(rotated).get(path, token="").status_code == 200
    assert Person(amnesic).get(path, token="").status_code == 404


def test_a_link_for_a_new_password_works(ada: Person, admin: Person, rotated: Flask, amnesic: Flask) -> None:
    token = admin.post(f"/users/{ada.user_id}/password-reset").get_json()["data"]["token"]
    body = {"token": token, "new_password": "an even longer one"}
    assert Person(amnesic).post("/auth/password/reset", body, token="").status_code == 422
    assert Person(rotated).post("/auth/password/reset", body, token="").status_code in (200, 204)


def test_a_name_that_is_locked_stays_so(app: Flask, ada: Person, rotated: Flask) -> None:
    with app.app_context():
        for _ in range(lockout.FREE_FAILURES):
            lockout.note_failure("nobody", None, secret_key=current_settings().secret_key)
    body = {"username": "nobody", "password": "guess"}
    assert Person(rotated).post("/auth/login", body, token="").status_code == 429


@pytest.mark.parametrize("way", ["a link", "an operator"])
def test_whoever_gets_a_new_password_is_let_in_though_a_lock_is_older_than_the_secret(
    app: Flask, ada: Person, admin: Person, rotated: Flask, way: str
) -> None:
    with app.app_context():
        for _ in range(lockout.FREE_FAILURES):
            lockout.note_failure("ada", None, secret_key=current_settings().secret_key)
    stranger, new = {"REMOTE_ADDR": "203.0.113.5"}, "an even longer one"

    def log_in() -> int:
        body = {"username": "ada", "password": new}
        return rotated.test_client().post("/api/v1/auth/login", json=body, environ_base=stranger).status_code

    assert log_in() == 429
    if way == "a link":
        token = admin.post(f"/users/{ada.user_id}/password-reset").get_json()["data"]["token"]
        Person(rotated).post("/auth/password/reset", {"token": token, "new_password": new}, token="")
    else:
        with rotated.app_context():
            accounts.set_password(user_id=ada.user_id, password=new, secret_keys=current_settings().secret_keys)
    assert log_in() == 200


# --- what an operator is told -----------------------------------------------------


def test_the_doctor_names_a_secret_that_was_thrown_away(app: Flask, rotated: Flask, amnesic: Flask) -> None:
    def note(application: Flask) -> None:
        with application.app_context():
            rotation.note(current_settings().secret_keys)

    def verdicts(application: Flask) -> set[Verdict]:
        return {found.verdict for found in secrets_of(application)}

    note(app)
    assert verdicts(app) == {Verdict.OK}
    assert verdicts(rotated) == {Verdict.OK}
    (lost,) = [found for found in secrets_of(amnesic) if found.verdict is Verdict.WARNING]
    assert "that one is not in SECRET_KEY_PREVIOUS" in lost.text
    assert "SECRET_KEY_PREVIOUS" in lost.advice
    note(rotated)
    assert verdicts(amnesic) == {Verdict.OK}, "it was kept for a while, and then left out on purpose"


def test_production_refuses_weak_former_secrets() -> None:
    environ = {"SECRET_KEY": "s" * 40, "JWT_SECRET_KEY": "j" * 40, "DATABASE_URL": "postgresql://h/db"}
    with pytest.raises(ConfigError, match="An entry of SECRET_KEY_PREVIOUS is shorter than 32 bytes"):
        load_settings("production", environ={**environ, "SECRET_KEY_PREVIOUS": f"{'o' * 40}, short"})
    good = load_settings("production", environ={**environ, "SECRET_KEY_PREVIOUS": "o" * 40})
    assert good.secret_keys == ("s" * 40, "o" * 40)
    assert "o" * 40 not in repr(good)
