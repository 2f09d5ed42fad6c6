"""A POST that is repeated under its key is answered again, not done again."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, update
from werkzeug.test import TestResponse

from api.v1 import tasks as tasks_api
from core.audit.model import LoginFailures
from core.auth import lockout
from core.auth import service as auth
from core.idempotency import service as idempotency
from core.idempotency.model import StoredAnswer
from core.jobs.model import Job
from core.operations.cleanup import clean_up
from core.platform import clock
from core.platform.config.current import current_settings
from core.platform.database.base import db
from core.platform.database.session import transaction
from core.platform.errors import TooManyAttempts
from core.tasks.model import Task
from core.users.model import User
from tests.support.document import document_of
from tests.support.engines import on_sqlite
from tests.support.people import PASSWORD, Person
from tests.support.upstream import UpstreamServer

KEY = {"Idempotency-Key": "first try"}


def count(app: Flask, model: Any) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(model)) or 0


def is_replay(response: TestResponse) -> bool:
    return response.headers.get("Idempotency-Replayed") == "true"


def test_a_repeated_create_makes_one_task_and_gives_the_same_answer(app: Flask, ada: Person) -> None:
    body = {"title": "Water the plants"}
    first = ada.post("/tasks", body, headers=KEY)
    second = ada.post("/tasks", body, headers=KEY)
    assert first.status_code == second.status_code == 201
    assert first.data == second.data
    assert first.headers["Location"] == second.headers["Location"]
    assert not is_replay(first)
    assert is_replay(second)
    assert first.headers["X-Request-ID"] != second.headers["X-Request-ID"]
    assert (count(app, Task), count(app, Job)) == (1, 1)
    assert ada.post("/tasks", body).status_code == 201
    assert count(app, Task) == 2


def test_a_key_belongs_to_one_request_of_one_person(ada: Person, bob: Person) -> None:
    ada.post("/tasks", {"title": "A"}, headers=KEY)
    other_body = ada.post("/tasks", {"title": "B"}, headers=KEY)
    assert other_body.status_code == 422
    assert other_body.get_json()["error"]["details"] == {"Idempotency-Key": ["It was used with another path or body."]}
    assert ada.post("/posts", {"title": "A"}, headers=KEY).status_code == 422
    assert ada.post("/items", {"name": "A", "price": 1}, headers=KEY).status_code == 422
    theirs = bob.post("/tasks", {"title": "A"}, headers=KEY)
    assert theirs.status_code == 201
    assert theirs.get_json()["data"]["owner_id"] == bob.user_id


@on_sqlite
@pytest.mark.parametrize("key", ["", "x" * 256, "tab\there", "ümlaut"])
def test_a_key_that_cannot_be_one_is_refused(app: Flask, ada: Person, key: str) -> None:
    response = ada.post("/tasks", {"title": "A"}, headers={"Idempotency-Key": key})
    assert response.status_code == 400
    assert "Idempotency-Key" in response.get_json()["error"]["details"]
    assert count(app, Task) == 0


def test_the_longest_key_is_a_key(ada: Person) -> None:
    key = {"Idempotency-Key": "~" * 255}
    assert is_replay(ada.post("/tasks", {"title": "A"}, headers=key)) is False
    assert is_replay(ada.post("/tasks", {"title": "A"}, headers=key)) is True


def test_other_methods_do_not_know_the_header(ada: Person) -> None:
    task = ada.create_task()
    path = f"/tasks/{task['id']}"
    assert [ada.patch(path, {"title": title}, headers=KEY).status_code for title in "ab"] == [200, 200]
    assert ada.get(path, headers={"Idempotency-Key": ""}).get_json()["data"]["title"] == "b"


def test_fifty_at_once_make_one_task_and_hear_the_same(app: Flask, ada: Person) -> None:
    answers: list[TestResponse] = []
    start = threading.Barrier(50)

    def send() -> None:
        client = ada.at(app)
        start.wait()
        answers.append(client.post("/tasks", {"title": "A"}, headers=KEY))

    threads = [threading.Thread(target=send) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.data for answer in answers}) == 1
    assert sum(not is_replay(answer) for answer in answers) == 1
    assert (len(answers), count(app, Task), count(app, Job)) == (50, 1, 1)


def test_a_refusal_is_repeated_too(ada: Person) -> None:
    ada.create_item(sku="A-1")
    body = {"name": "Another", "price": 1, "sku": "A-1"}
    first = ada.post("/items", body, headers=KEY)
    assert first.status_code == 409
    assert first.get_json()["error"]["details"] == {"sku": ["This value is already taken."]}
    item_id = ada.get("/items/by-sku/A-1").get_json()["data"]["id"]
    assert ada.delete(f"/items/{item_id}").status_code == 204
    again = ada.post("/items", body, headers=KEY)
    assert (again.status_code, again.data, is_replay(again)) == (409, first.data, True)
    assert ada.post("/items", body, headers={"Idempotency-Key": "second try"}).status_code == 201


def test_what_was_refused_before_anything_began_may_be_mended_under_the_same_key(ada: Person) -> None:
    assert ada.post("/tasks", {"title": ""}, headers=KEY).status_code == 422
    assert ada.post("/tasks", {"title": "A"}, headers=KEY).status_code == 201


def test_a_fault_is_not_kept_and_nothing_of_its_request_is(
    app: Flask, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = tasks_api.tasks.create

    def create_then_fail(*args: Any, **kwargs: Any) -> Task:
        real(*args, **kwargs)
        raise RuntimeError("a fault after the change")

    with monkeypatch.context() as patch:
        patch.setattr(tasks_api.tasks, "create", create_then_fail)
        assert ada.post("/tasks", {"title": "A"}, headers=KEY).status_code == 500
    assert (count(app, Task), count(app, StoredAnswer)) == (0, 0)
    assert ada.post("/tasks", {"title": "A"}, headers=KEY).status_code == 201


def test_a_crash_before_the_commit_leaves_neither_the_task_nor_the_answer(
    app: Flask, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    class PowerCut(BaseException):
        pass

    def cut(*args: Any) -> None:
        raise PowerCut

    with monkeypatch.context() as patch:
        patch.setattr(idempotency, "store", cut)
        with pytest.raises(PowerCut):
            ada.post("/tasks", {"title": "A"}, headers=KEY)
    assert (count(app, Task), count(app, StoredAnswer)) == (0, 0)
    assert ada.post("/tasks", {"title": "A"}, headers=KEY).status_code == 201


def test_a_crash_after_the_commit_gives_the_answer_that_was_never_sent(app: Flask, ada: Person) -> None:
    lost = ada.post("/tasks", {"title": "A"}, headers=KEY)  # Nobody reads it.
    with app.app_context():
        db.session.remove()
        db.engine.dispose()
    again = ada.post("/tasks", {"title": "A"}, headers=KEY)
    assert (again.data, is_replay(again), count(app, Task)) == (lost.data, True, 1)


def test_an_answer_is_kept_for_a_day(app: Flask, ada: Person, at: Callable[[str], None]) -> None:
    ada.post("/tasks", {"title": "A"}, headers=KEY)
    with app.app_context(), transaction() as session:
        session.execute(update(StoredAnswer).values(expires_at=clock.now() + timedelta(seconds=-1)))
    assert not is_replay(ada.post("/tasks", {"title": "B"}, headers=KEY))
    assert count(app, Task) == 2
    with app.app_context():
        kept = db.session.scalars(select(StoredAnswer)).one()
        assert timedelta(hours=23, minutes=59) < kept.expires_at - clock.now() <= timedelta(hours=24)
        with transaction() as session:
            session.execute(update(StoredAnswer).values(expires_at=clock.now()))
        assert clean_up(current_settings(), lambda: None)["kept_answers"] == 1


def test_a_bulk_and_a_job_are_done_once(app: Flask, ada: Person) -> None:
    bulk = {"operations": [{"op": "create", "task": {"title": str(number)}} for number in range(5)]}
    first, second = (ada.post("/tasks/bulk", bulk, headers=KEY) for _ in range(2))
    assert (first.data, count(app, Task)) == (second.data, 5)
    task_id = ada.create_task()["id"]
    jobs = count(app, Job)
    ordered = [ada.post(f"/tasks/{task_id}/process", headers={"Idempotency-Key": "p"}) for _ in range(3)]
    assert {answer.status_code for answer in ordered} == {202}
    assert len({answer.headers["Location"] for answer in ordered}) == 1
    assert count(app, Job) == jobs + 1


def test_a_newcomer_is_registered_once_and_bound_to_their_address(app: Flask, anonymous: Person) -> None:
    body = {"username": "grace", "email": "grace@example.com", "password": PASSWORD}
    first, second = (anonymous.post("/auth/register", body, headers=KEY) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.data == second.data
    assert count(app, User) == 1
    other = {"username": "alan", "email": "alan@example.com", "password": PASSWORD}
    assert anonymous.post("/auth/register", other, headers=KEY).status_code == 422
    elsewhere = {"REMOTE_ADDR": "192.0.2.7"}
    assert anonymous.post("/auth/register", other, headers=KEY, environ_base=elsewhere).status_code == 201


def test_a_login_that_is_repeated_gives_the_same_tokens_and_stores_none(app: Flask, ada: Person) -> None:
    body = {"username": "ada", "password": PASSWORD}
    first, second = (ada.post("/auth/login", body, token="", headers=KEY) for _ in range(2))
    assert first.get_json() == second.get_json()
    assert second.headers["Cache-Control"] == "no-store"
    token = first.get_json()["access_token"]
    with app.app_context():
        row = db.session.scalars(select(StoredAnswer)).one()
        stored = repr([getattr(row, column.key) for column in StoredAnswer.__table__.columns])
    assert token not in stored
    assert token.encode().hex() not in stored
    assert KEY["Idempotency-Key"] not in stored


def test_a_wrong_login_is_repeated_as_well(ada: Person) -> None:
    body = {"username": "ada", "password": "wrong wrong wrong"}
    first, second = (ada.post("/auth/login", body, token="", headers=KEY) for _ in range(2))
    assert (first.status_code, second.status_code, is_replay(second)) == (401, 401, True)
    assert second.headers["WWW-Authenticate"] == first.headers["WWW-Authenticate"]


def test_a_browser_session_that_is_repeated_sets_the_same_cookies(ada: Person) -> None:
    body = {"username": "ada", "password": PASSWORD}
    first, second = (ada.post("/auth/session", body, token="", headers=KEY) for _ in range(2))
    assert is_replay(second)
    assert first.headers.getlist("Set-Cookie") == second.headers.getlist("Set-Cookie")
    assert len(second.headers.getlist("Set-Cookie")) == 2


def test_a_refresh_whose_answer_was_lost_can_be_repeated(ada: Person) -> None:
    token = ada.tokens["refresh_token"]
    first, second = (ada.post("/auth/refresh", token=token, headers=KEY) for _ in range(2))
    assert first.get_json() == second.get_json()
    assert ada.get("/auth/me", token=first.get_json()["access_token"]).status_code == 200


def test_what_one_session_was_told_of_itself_is_not_told_to_another(app: Flask, ada: Person) -> None:
    other = Person(app, "ada")
    assert other.log_in().status_code == 200
    assert ada.post("/auth/logout", headers=KEY).status_code == 204
    assert other.post("/auth/logout", headers=KEY).status_code == 422
    assert other.get("/auth/me").status_code == 200
    again = {"Idempotency-Key": "another"}
    tokens = other.post("/auth/refresh", token=other.tokens["refresh_token"], headers=again).get_json()
    assert other.post("/auth/refresh", token=tokens["refresh_token"], headers=again).status_code == 422
    # What is done for the account is repeated to whoever has logged in to it meanwhile.
    other.tokens = tokens
    first = other.post("/tasks", {"title": "Once"}, headers=KEY | {"Idempotency-Key": "task"})
    ada.log_in()
    assert ada.post("/tasks", {"title": "Once"}, headers={"Idempotency-Key": "task"}).data == first.data


def test_a_stolen_refresh_token_ends_its_session_with_a_key_as_without(ada: Person) -> None:
    token = ada.tokens["refresh_token"]
    assert ada.post("/auth/refresh", token=token, headers=KEY).status_code == 200
    assert ada.post("/auth/refresh", token=token, headers={"Idempotency-Key": "thief"}).status_code == 401
    assert ada.get("/auth/me").status_code == 401


def test_a_new_api_key_is_shown_again_to_who_repeats_the_request(ada: Person) -> None:
    body = {"name": "Script", "scopes": ["tasks:read"]}
    first, second = (ada.post("/auth/keys", body, headers=KEY) for _ in range(2))
    assert first.get_json()["data"]["key"] == second.get_json()["data"]["key"]
    assert len(ada.get("/auth/keys").get_json()["data"]) == 1


def test_an_upstream_hears_of_a_request_once(remake_app: Callable[..., Flask], ada: Person) -> None:
    with UpstreamServer() as server:
        app = remake_app(upstreams__post__base_url=f"{server.url}/post", upstreams__post__allow_post=True)
        person = ada.at(app)
        answers = [person.post("/upstreams/post/echo", {"a": 1}, headers=KEY) for _ in range(3)]
        assert {answer.status_code for answer in answers} == {200}
        assert len(server.seen) == 1


def test_a_reservation_is_honoured_until_its_process_must_be_dead(app: Flask, ada: Person) -> None:
    body = {"username": "ada", "password": PASSWORD}
    ada.post("/auth/login", body, token="", headers=KEY)
    with app.app_context(), transaction() as session:
        session.execute(update(StoredAnswer).values(answer=None))
    running = ada.post("/auth/login", body, token="", headers=KEY)
    assert running.status_code == 409
    assert "still being worked on" in running.get_json()["error"]["message"]
    with app.app_context(), transaction() as session:
        session.execute(update(StoredAnswer).values(created_at=clock.now() - idempotency.ABANDONED_AFTER * 2))
    assert ada.post("/auth/login", body, token="", headers=KEY).status_code == 200


def test_a_limit_is_not_kept_and_the_same_key_works_after_it(app: Flask, ada: Person) -> None:
    body = {"username": "ada", "password": PASSWORD}
    with app.app_context():
        for _ in range(lockout.FREE_FAILURES):
            lockout.note_failure("ada", None, secret_key=app.extensions["tasklane"].secret_key)
    assert ada.post("/auth/login", body, token="", headers=KEY).status_code == 429
    with app.app_context(), transaction() as session:
        session.execute(update(LoginFailures).values(locked_until=clock.now()))
    after = ada.post("/auth/login", body, token="", headers=KEY)
    assert (after.status_code, is_replay(after)) == (200, False)


def test_a_limit_is_not_kept_with_a_change_either(app: Flask, ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise TooManyAttempts("Too many of them.", retry_after=1)

    with monkeypatch.context() as patch:
        patch.setattr(tasks_api.tasks, "create", refuse)
        assert ada.post("/tasks", {"title": "x"}, headers=KEY).status_code == 429
    made = ada.post("/tasks", {"title": "x"}, headers=KEY)
    assert (made.status_code, is_replay(made)) == (201, False)


def test_an_answer_that_comes_after_all_is_not_made_anew(
    app: Flask, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that was given up for dead may end between the look at its row and the claim of it."""
    body = {"title": "A"}
    first = ada.post("/tasks", body, headers=KEY)
    with app.app_context(), transaction() as session:
        answer = session.scalar(select(StoredAnswer.answer))
        session.execute(update(StoredAnswer).values(answer=None, created_at=clock.now() - timedelta(hours=1)))
    real = idempotency.find

    def find_too_early(ticket: idempotency.Ticket) -> idempotency.Answer | None:
        found = real(ticket)
        monkeypatch.setattr(idempotency, "find", real)
        with transaction() as session:
            session.execute(update(StoredAnswer).values(answer=answer))
        return found

    monkeypatch.setattr(idempotency, "find", find_too_early)
    again = ada.post("/tasks", body, headers=KEY)
    assert (again.status_code, again.data, is_replay(again)) == (201, first.data, True)
    assert count(app, Task) == 1


def test_a_fault_gives_its_reservation_back(app: Flask, ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    body = {"username": "ada", "password": PASSWORD}

    def fail(**kwargs: Any) -> None:
        raise RuntimeError("a fault")

    with monkeypatch.context() as patch:
        patch.setattr(auth, "login", fail)
        assert ada.post("/auth/login", body, token="", headers=KEY).status_code == 500
    assert ada.post("/auth/login", body, token="", headers=KEY).status_code == 200


def test_an_answer_that_nobody_can_read_any_more_is_not_made_up(
    app: Flask, ada: Person, remake_app: Callable[..., Flask]
) -> None:
    ada.post("/tasks", {"title": "A"}, headers=KEY)
    with app.app_context(), transaction() as session:
        session.execute(update(StoredAnswer).values(answer=b"x" * 100))
    assert ada.post("/tasks", {"title": "A"}, headers=KEY).status_code == 409
    assert count(app, Task) == 1


def test_every_post_is_documented_to_take_a_key(app: Flask) -> None:
    for path, item in document_of(app)["paths"].items():
        if "post" in item:
            names = [parameter["name"] for parameter in item["post"].get("parameters", [])]
            assert "Idempotency-Key" in names, path
            assert {"409", "422"} <= set(item["post"]["responses"]), path
