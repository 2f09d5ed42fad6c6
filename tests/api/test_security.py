"""Security events, locks against guessing, and keys that change."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import jwt
import pytest
from flask import Flask
from sqlalchemy import event, select, update

from core.audit.model import KnownAddress, LoginFailures, SecurityEvent
from core.auth import accounts, lockout
from core.operations.cleanup import clean_up
from core.platform import clock
from core.platform.config.current import current_settings
from core.platform.config.errors import ConfigError
from core.platform.config.load import load_settings
from core.platform.database.base import db
from core.platform.database.session import transaction
from tests.support.engines import on_both
from tests.support.people import PASSWORD, Person

ELSEWHERE = {"REMOTE_ADDR": "192.0.2.7"}
WRONG = "not the password"


def events(person: Person, query: str = "") -> list[dict[str, Any]]:
    response = person.get(f"/security-events{query}")
    assert response.status_code == 200
    found: list[dict[str, Any]] = response.get_json()["data"]
    return found


def kinds(person: Person, query: str = "") -> list[str]:
    return [event["kind"] for event in events(person, query)]


# --- events -------------------------------------------------------------------------


def test_a_login_and_a_refusal_are_recorded_with_where_they_came_from(ada: Person, admin: Person) -> None:
    assert ada.log_in(WRONG).status_code == 401
    assert ada.post("/auth/login", {"username": "ada", "password": PASSWORD}, environ_base=ELSEWHERE).status_code == 200
    login, refused = events(ada)
    assert (login["kind"], login["user_id"], login["address"]) == ("login", ada.user_id, "192.0.2.7")
    assert (refused["kind"], refused["actor_id"], refused["address"]) == ("login_refused", None, "127.0.0.1")
    assert refused["request_id"]
    assert [event["id"] for event in events(admin, "?user_id=" + str(ada.user_id))] == [login["id"], refused["id"]]


def test_a_refusal_for_a_name_without_an_account_names_nobody_and_not_the_name(
    app: Flask, anonymous: Person, admin: Person
) -> None:
    anonymous.post("/auth/login", {"username": "my secret password", "password": WRONG})
    (event,) = events(admin, "?kind=login_refused")
    assert (event["user_id"], event["detail"]) == (None, {})
    with app.app_context():
        stored = repr([vars(row) for row in db.session.scalars(select(LoginFailures))])
    assert "my secret" not in stored


@on_both
def test_everybody_sees_the_events_of_their_own_account_only(ada: Person, bob: Person, admin: Person) -> None:
    ada.log_in(WRONG)
    bob.log_in(WRONG)
    assert {event["user_id"] for event in events(ada)} == {ada.user_id}
    assert events(ada, f"?user_id={bob.user_id}") == []
    assert {event["user_id"] for event in events(admin)} >= {ada.user_id, bob.user_id}
    assert kinds(admin, "?kind=login") == []


def test_the_use_of_a_key_is_told_again_after_an_hour_without_one(ada: Person, at: Callable[[str], None]) -> None:
    key = ada.post("/auth/keys", {"name": "Script", "scopes": ["tasks:read"]}).get_json()["data"]["key"]
    began = clock.now()

    def use(after: timedelta) -> int:
        at((began + after).isoformat())
        assert ada.get("/tasks", token="", headers={"X-API-Key": key}).status_code == 200
        return kinds(ada, "?kind=key_used").count("key_used")

    hour = timedelta(hours=1)
    assert use(timedelta(0)) == 1
    assert use(hour - timedelta(seconds=1)) == 1
    assert use(2 * hour - timedelta(seconds=2)) == 1
    assert use(3 * hour) == 2
    assert use(3 * hour + timedelta(minutes=5)) == 2


def test_what_changes_an_account_is_recorded(ada: Person, admin: Person) -> None:
    path = f"/users/{ada.user_id}"
    assert admin.patch(path, {"role": "admin"}).status_code == 200
    assert admin.patch(path, {"name": "Ada"}).status_code == 200
    assert admin.patch(path, {"role": "user", "email": "new@example.com"}).status_code == 200
    key = ada.post("/auth/keys", {"name": "Script", "scopes": ["tasks:read"]}).get_json()["data"]
    assert ada.get("/tasks", token="", headers={"X-API-Key": key["key"]}).status_code == 200
    assert ada.get("/items", token="", headers={"X-API-Key": key["key"]}).status_code == 403
    assert ada.delete(f"/auth/keys/{key['id']}").status_code == 204
    new = "a brand new one"
    assert ada.post("/auth/password", {"old_password": PASSWORD, "new_password": new}).status_code == 204
    found = events(admin, f"?user_id={ada.user_id}")
    assert [event["kind"] for event in found] == [
        "password_changed",
        "key_revoked",
        "forbidden",
        "key_used",
        "key_created",
        "account_changed",
        "account_changed",
    ]
    assert found[-1]["detail"] == {"changed": ["role"], "role": "admin"}
    assert found[-2]["detail"] == {"changed": ["email", "role"], "role": "user"}
    assert found[-1]["actor_id"] == admin.user_id
    assert key["key"] not in repr(found)
    assert new not in repr(found)
    assert admin.delete(path).status_code == 204
    assert kinds(admin, f"?user_id={ada.user_id}")[0] == "account_deleted"


def test_a_stolen_refresh_token_is_recorded(ada: Person, admin: Person) -> None:
    token = ada.tokens["refresh_token"]
    assert ada.post("/auth/refresh", token=token).status_code == 200
    assert ada.post("/auth/refresh", token=token).status_code == 401
    assert kinds(admin, f"?user_id={ada.user_id}") == ["token_reused"]


def test_who_is_refused_something_of_others_is_recorded(ada: Person, bob: Person, admin: Person) -> None:
    path = f"/tasks/{ada.create_task()['id']}"
    for method, body in (("GET", None), ("PATCH", {"title": "Mine"}), ("DELETE", None)):
        assert bob.open(method, path, body).status_code == 403
    assert bob.get("/tasks/999999").status_code == 404
    found = events(admin, f"?user_id={bob.user_id}")
    assert [(event["kind"], event["detail"]["request"]) for event in found] == [
        ("forbidden", f"{method} /api/v1{path}") for method in ("DELETE", "PATCH", "GET")
    ]
    assert found[-1]["detail"]["reason"] == bob.get(path).get_json()["error"]["message"]


def test_a_refusal_is_recorded_in_a_bulk_and_once_under_an_idempotency_key_too(
    ada: Person, bob: Person, admin: Person
) -> None:
    task_id = ada.create_task()["id"]
    key = {"Idempotency-Key": "try"}
    answers = [bob.post(f"/tasks/{task_id}/process", headers=key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [403, 403]
    operations = [{"op": "delete", "id": task_id}, {"op": "create", "task": {"title": "Mine"}}]
    done = bob.post("/tasks/bulk", {"operations": operations, "atomic": False}, headers={"Idempotency-Key": "bulk"})
    assert [result["status"] for result in done.get_json()["data"]["results"]] == [403, 201]
    bulk, single = events(admin, f"?user_id={bob.user_id}")
    assert (bulk["kind"], bulk["detail"]["operations"]) == ("forbidden", 1)
    assert (single["kind"], single["detail"]["request"]) == ("forbidden", f"POST /api/v1/tasks/{task_id}/process")


def test_ended_sessions_are_recorded(ada: Person, admin: Person) -> None:
    ada.post("/auth/logout")
    ada.log_in()
    ada.post("/auth/logout-all")
    found = events(admin, f"?user_id={ada.user_id}")
    assert [(event["kind"], event["detail"]) for event in found] == [
        ("logout", {"everywhere": True}),
        ("login", {}),
        ("logout", {}),
    ]


@on_both
def test_a_refusal_stays_one_when_it_cannot_be_recorded(
    app: Flask, ada: Person, admin: Person, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert ada.post("/users", {}).status_code == 403
    assert kinds(admin) == ["forbidden"]
    with app.app_context():
        engine = db.engine

    def full(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if statement.startswith(("INSERT", "UPDATE", "DELETE")):
            raise engine.dialect.loaded_dbapi.OperationalError("database or disk is full")

    event.listen(engine, "before_cursor_execute", full)
    try:
        assert ada.post("/users", {}).status_code == 403
        # No guess is free, and nobody is let in.
        assert [ada.log_in(password).status_code for password in (WRONG, PASSWORD)] == [503, 503]
        # What cannot be done is another matter.
        assert ada.post("/tasks", {"title": "New"}).status_code == 503
    finally:
        event.remove(engine, "before_cursor_execute", full)
    assert f"forbidden account={ada.user_id}" in caplog.text
    assert kinds(admin) == ["forbidden"]
    assert ada.post("/tasks", {"title": "New"}).status_code == 201


@on_both
def test_old_events_are_forgotten(app: Flask, ada: Person) -> None:
    ada.log_in(WRONG)
    ada.log_in()
    with app.app_context():
        with transaction() as session:
            old = clock.now() - timedelta(days=91)
            session.execute(update(SecurityEvent).values(at=old))
            session.execute(update(KnownAddress).values(last_at=old))
        assert clean_up(current_settings(), lambda: None)["security_events"] == 2
        assert db.session.scalars(select(KnownAddress)).all() == []


# --- locks --------------------------------------------------------------------------


def guess(app: Flask, name: str, times: int) -> list[int]:
    """Try a wrong password from another address each time, as a botnet does."""
    anyone = Person(app)
    return [
        anyone.post(
            "/auth/login",
            {"username": name, "password": WRONG},
            environ_base={"REMOTE_ADDR": f"198.51.100.{number}"},
        ).status_code
        for number in range(times)
    ]


def try_in(app: Flask, name: str, address: str) -> Any:
    body = {"username": name, "password": PASSWORD}
    return Person(app).post("/auth/login", body, environ_base={"REMOTE_ADDR": address})


@on_both
def test_many_wrong_passwords_from_many_addresses_lock_the_name_for_a_while(
    app: Flask, ada: Person, admin: Person
) -> None:
    assert try_in(app, "ada", "192.0.2.7").status_code == 200
    assert guess(app, " ADA", lockout.FREE_FAILURES + 1) == [401] * lockout.FREE_FAILURES + [429]
    locked = try_in(app, "ada", "203.0.113.5")
    assert locked.status_code == 429
    assert 0 < int(locked.headers["Retry-After"]) <= 16
    assert locked.get_json()["error"]["code"] == "rate_limited"
    # The owner comes from where they came before.
    assert try_in(app, "ada", "192.0.2.7").status_code == 200
    # Which also ends the lock for everybody.
    assert try_in(app, "ada", "203.0.113.5").status_code == 200
    assert "locked_out" in kinds(admin, f"?user_id={ada.user_id}")


def test_an_operator_who_sets_a_password_ends_the_lock(app: Flask, ada: Person) -> None:
    guess(app, "ada", lockout.FREE_FAILURES)
    guess(app, "ada@example.com", lockout.FREE_FAILURES)
    assert try_in(app, "ada", "203.0.113.5").status_code == 429
    with app.app_context():
        accounts.set_password(user_id=ada.user_id, password=PASSWORD, secret_keys=current_settings().secret_keys)
    assert try_in(app, "ada@example.com", "203.0.113.5").status_code == 200
    assert try_in(app, "ada", "203.0.113.6").status_code == 200


@on_both
def test_a_lock_passes_grows_and_never_lasts_long(app: Flask, ada: Person) -> None:
    lengths = []
    guess(app, "ada", lockout.FREE_FAILURES)
    for _ in range(12):
        with app.app_context():
            row = db.session.scalars(select(LoginFailures)).one()
            assert row.locked_until is not None
            lengths.append(row.locked_until - row.last_at)
            with transaction() as session:
                session.execute(update(LoginFailures).values(locked_until=clock.now()))
        assert guess(app, "ada", 1) == [401]
    assert lengths[0] == lockout.FIRST_LOCK
    assert lengths[1] == 2 * lockout.FIRST_LOCK
    assert max(lengths) == lengths[-1] == lockout.LONGEST_LOCK


@on_both
def test_failures_of_long_ago_do_not_count(app: Flask, ada: Person) -> None:
    guess(app, "ada", lockout.FREE_FAILURES - 1)
    with app.app_context(), transaction() as session:
        session.execute(update(LoginFailures).values(last_at=clock.now() - lockout.MEMORY * 2))
    assert guess(app, "ada", 2) == [401, 401]
    assert try_in(app, "ada", "203.0.113.5").status_code == 200


def test_a_name_without_an_account_is_locked_alike(app: Flask, ada: Person) -> None:
    times = lockout.FREE_FAILURES + 1
    assert guess(app, "ada", times) == guess(app, "nobody", times)
    texts = [try_in(app, name, "203.0.113.5").get_json()["error"]["message"] for name in ("ada", "nobody")]
    assert texts[0] == texts[1]


@on_both
def test_parallel_failures_are_all_counted(app: Flask, ada: Person) -> None:
    threads = [threading.Thread(target=guess, args=(app, "ada", 1)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with app.app_context():
        assert db.session.scalars(select(LoginFailures.count)).one() == 8


# --- keys that change ---------------------------------------------------------------

OLD, NEW = "o" * 40, "n" * 40


def test_tokens_name_their_key_and_outlive_a_change_of_it(remake_app: Callable[..., Flask], ada: Person) -> None:
    body = {"username": "ada", "password": PASSWORD}
    before, after = remake_app(jwt_secret_key=OLD), remake_app(jwt_secret_key=NEW, jwt_previous_secret_keys=[OLD])
    old = Person(before).post("/auth/login", body).get_json()
    new = Person(after).post("/auth/login", body).get_json()
    names = [jwt.get_unverified_header(tokens["access_token"])["kid"] for tokens in (old, new)]
    assert names[0] != names[1]
    assert OLD not in repr(names)
    for tokens in (old, new):
        assert Person(after).get("/auth/me", token=tokens["access_token"]).status_code == 200
    renewed = Person(after).post("/auth/refresh", token=old["refresh_token"]).get_json()
    assert jwt.get_unverified_header(renewed["refresh_token"])["kid"] == names[1]
    assert Person(before).get("/auth/me", token=new["access_token"]).status_code == 401
    dropped = remake_app(jwt_secret_key=NEW)
    assert Person(dropped).get("/auth/me", token=old["access_token"]).status_code == 401


@pytest.mark.parametrize("kid", ["", "unknown", None, 5, ["x"]])
def test_a_token_cannot_choose_a_key_that_is_not_ours(app: Flask, ada: Person, kid: Any) -> None:
    claims = jwt.decode(ada.tokens["access_token"], options={"verify_signature": False})
    forged = jwt.encode(claims, "f" * 40, algorithm="HS256", headers={"kid": kid} if isinstance(kid, str) else None)
    assert ada.get("/auth/me", token=forged).status_code == 401


def test_production_refuses_weak_previous_keys(tmp_path: Any) -> None:
    environ = {
        "TASKLANE_ENV": "production",
        "TASKLANE_INSTANCE_PATH": str(tmp_path),
        "SECRET_KEY": "s" * 40,
        "JWT_SECRET_KEY": NEW,
        "JWT_PREVIOUS_SECRET_KEYS": f"{OLD}, short",
        "DATABASE_URL": f"sqlite:///{tmp_path}/tasklane.db",
    }
    with pytest.raises(ConfigError, match="JWT_PREVIOUS_SECRET_KEYS is shorter than 32 bytes"):
        load_settings(environ=environ)
    good = load_settings(environ={**environ, "JWT_PREVIOUS_SECRET_KEYS": OLD})
    assert good.jwt_previous_secret_keys == [OLD]
    assert OLD not in repr(good)
