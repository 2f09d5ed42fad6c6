"""API keys: shown once, limited to their scopes, ended at once."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from core.auth import keys
from core.auth.model import ApiKey
from core.auth.repository import KeyRepository
from core.platform import clock
from core.platform.access import SCOPES, Permission, Role
from core.platform.database.base import db
from core.platform.database.session import transaction
from tests.support.answers import data, details
from tests.support.document import document_of
from tests.support.engines import on_both
from tests.support.people import PASSWORD, Person, make_person

ALL = [str(scope) for scope in SCOPES if scope is not Permission.USERS_ADMIN]


def make_key(person: Person, *scopes: str, **fields: Any) -> dict[str, Any]:
    response = person.post("/auth/keys", {"name": "Nightly import", "scopes": list(scopes) or ALL, **fields})
    assert response.status_code == 201, response.text
    made: dict[str, Any] = data(response)
    return made


class Script:
    """Client that has nothing but a key."""

    def __init__(self, app: Flask, key: str) -> None:
        self.person = Person(app)
        self.headers = {"X-API-Key": key}

    def __call__(self, method: str, path: str, body: Any = None, **kwargs: Any) -> Any:
        return self.person.open(method, path, body, headers=self.headers, **kwargs)


def script(person: Person, *scopes: str, **fields: Any) -> Script:
    return Script(person.app, make_key(person, *scopes, **fields)["key"])


# --- making and listing -------------------------------------------------------


def test_a_key_is_shown_once_and_stored_as_a_keyed_hash(app: Flask, ada: Person) -> None:
    response = ada.post("/auth/keys", {"name": "  Nightly import ", "scopes": ["tasks:read"]})
    assert response.status_code == 201
    assert response.headers["Cache-Control"] == "no-store"
    made = data(response)
    key = made.pop("key")
    assert keys.KEY.fullmatch(key)
    assert key.startswith(made["prefix"])
    assert len(key) - len(made["prefix"]) >= 40
    assert (made["name"], made["scopes"]) == ("Nightly import", ["tasks:read"])
    assert (made["expires_at"], made["last_used_at"]) == (None, None)
    assert response.headers["Location"] == f"http://localhost/api/v1/auth/keys/{made['id']}"
    assert data(ada.get(f"/auth/keys/{made['id']}")) == made
    assert data(ada.get("/auth/keys")) == [made]
    with app.app_context():
        row = db.session.execute(select(*ApiKey.__table__.columns)).mappings().one()
    assert key not in str(row)
    assert row["key_hash"] != hashlib.sha256(key.encode()).hexdigest(), "a plain hash needs no secret to be checked"


@pytest.mark.parametrize("path", ["/auth/keys", "/auth/keys/"])
def test_a_slash_at_the_end_does_not_hide_the_location(ada: Person, path: str) -> None:
    response = ada.post(path, {"name": "x", "scopes": ["tasks:read"]})
    assert response.headers["Location"].endswith(f"/api/v1/auth/keys/{data(response)['id']}")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 81}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"name": None}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": None}, "scopes"),
        ({"scopes": "tasks:read"}, "scopes"),
        ({"scopes": ["tasks:read", "tasks:read"]}, "scopes"),
        ({"scopes": ["tasks:read", "everything"]}, "scopes.1"),
        # A list as long as it may be is looked through, too.
        ({"scopes": [*ALL, ALL[0]]}, "scopes"),
        ({"scopes": [*ALL, "everything"]}, f"scopes.{len(ALL)}"),
        ({"scopes": [5]}, "scopes.0"),
        ({"scopes": ["public"]}, "scopes.0"),
        ({"scopes": ["session:refresh"]}, "scopes.0"),
        ({"scopes": ["credentials:manage"]}, "scopes.0"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "2099-01-01"}, "expires_at"),
        ({"expires_at": "2099-01-01T00:00:00"}, "expires_at"),
        ({"expires_at": "2099-02-30T00:00:00Z"}, "expires_at"),
        ({"expires_at": "0001-01-01T00:00:00+23:59"}, "expires_at"),
        ({"expires_at": "9999-12-31T23:59:59-23:59"}, "expires_at"),
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"expires_at": 4102444800}, "expires_at"),
        ({"last_used_at": None}, "last_used_at"),
        ({"key": "tl_" + "0" * 48}, "key"),
        ({"user_id": 1}, "user_id"),
    ],
)
def test_a_wrong_field_is_named_and_no_key_is_made(ada: Person, body: dict[str, Any], field: str) -> None:
    response = ada.post("/auth/keys", {"name": "Nightly import", "scopes": ["tasks:read"], **body})
    assert response.status_code == 422
    assert field in details(response)
    assert all(sentence != "Is not valid." for texts in details(response).values() for sentence in texts)
    assert data(ada.get("/auth/keys")) == []


def test_a_key_cannot_be_made_with_more_than_its_owner_may_do(ada: Person, admin: Person) -> None:
    response = ada.post("/auth/keys", {"name": "Climber", "scopes": ["tasks:read", "users:admin"]})
    assert response.status_code == 403
    assert details(response) == {"scopes": ["You do not have users:admin."]}
    assert script(admin, "users:admin")("POST", "/users", {"username": "x"}).status_code == 422


def test_an_expiry_is_kept_in_utc(ada: Person) -> None:
    made = make_key(ada, expires_at="2099-06-01T12:00:00.5+02:00")
    assert datetime.fromisoformat(made["expires_at"]) == datetime(2099, 6, 1, 10, 0, 0, 500_000, tzinfo=UTC)
    assert made["expires_at"].endswith("Z")


def test_everybody_sees_and_revokes_only_their_own_keys(ada: Person, bob: Person, admin: Person) -> None:
    made = make_key(ada)
    path = f"/auth/keys/{made['id']}"
    for other in (bob, admin):
        assert data(other.get("/auth/keys")) == []
        assert other.get(path).status_code == 403
        assert other.delete(path).status_code == 403
    assert ada.get("/auth/keys/999999").status_code == 404
    assert ada.delete("/auth/keys/999999").status_code == 404
    assert ada.get("/auth/keys/x").status_code == 404
    assert data(ada.get(path))["id"] == made["id"]


@on_both
@pytest.mark.parametrize("sort", ["name", "-created_at", "expires_at", "-last_used_at,name"])
def test_keys_are_paged_by_number_and_cursor(ada: Person, sort: str) -> None:
    for number in range(5):
        expiry = {"expires_at": f"209{number}-01-01T00:00:00Z"} if number % 2 else {}
        make_key(ada, name=f"Key {number}", **expiry)
    by_number = [e["id"] for n in (1, 2, 3) for e in data(ada.get(f"/auth/keys?per_page=2&page={n}&sort={sort}"))]
    by_cursor: list[int] = []
    cursor: str | None = ""
    while cursor is not None:
        answer = ada.get(f"/auth/keys?per_page=2&sort={sort}&cursor={cursor}").get_json()
        by_cursor += [entry["id"] for entry in answer["data"]]
        cursor = answer["meta"]["pagination"]["next_cursor"]
    assert by_number == by_cursor
    assert len(set(by_cursor)) == 5
    for wrong in ("sort=key_hash", "per_page=0", "revoked=true"):
        assert ada.get(f"/auth/keys?{wrong}").status_code == 400


# --- using --------------------------------------------------------------------


def test_a_key_acts_for_its_owner_within_its_scopes(ada: Person, bob: Person) -> None:
    secret = bob.create_task()["id"]
    use = script(ada, "tasks:read", "tasks:write", "account:read")
    task = data(use("POST", "/tasks", {"title": "By script"}))
    assert task["owner_id"] == ada.user_id
    assert data(use("GET", "/auth/me"))["username"] == "ada"
    assert use("GET", f"/tasks/{secret}").status_code == 403
    assert use("PATCH", "/auth/me", {"name": "Renamed"}).status_code == 403
    assert use("DELETE", f"/tasks/{task['id']}").status_code == 204


def operations(app: Flask) -> Iterator[tuple[str, str, Permission]]:
    """Yield method, a path and the permission of every operation that is not public."""
    for rule in app.url_map.iter_rules():
        resource = getattr(app.view_functions[rule.endpoint], "view_class", None)
        if not rule.rule.startswith("/api/v1/") or resource is None:
            continue
        path = rule.rule
        for argument in rule.arguments:
            path = "/".join("1" if f"{argument}>" in part else part for part in path.split("/"))
        for method, permission in resource.permissions.items():
            if permission is not Permission.PUBLIC:
                yield method, path, permission


def test_every_operation_refuses_a_key_without_its_scope_and_all_alike(app: Flask, admin: Person) -> None:
    made = {}
    for missing in (*SCOPES, None):
        made[missing] = script(admin, *[str(scope) for scope in SCOPES if scope is not missing])
    seen = set()
    for method, path, permission in operations(app):
        # What no key may ever do is refused even to a key with every scope.
        use = made[permission if permission in SCOPES else None]
        response = use(method, path, {"hostile": "\x00"} if method in ("POST", "PUT", "PATCH") else None)
        assert response.status_code == 403, f"{method} {path}"
        error = response.get_json()["error"]
        error.pop("request_id")
        assert error == {"message": f"This needs the permission {permission}.", "code": "forbidden"}
        seen.add((method, path))
    documented = {
        (verb, path)
        for path, item in document_of(app)["paths"].items()
        for verb in item
        if verb != "parameters" and item[verb]["security"]
    }
    assert len(seen) == len(documented)


@on_both
def test_a_key_finds_only_what_it_may_read(ada: Person) -> None:
    ada.create_task(title="Quagga")
    ada.create_post(title="Quagga")
    ada.create_item(name="Quagga")
    scopes = {"task": "tasks:read", "post": "posts:read", "item": "items:read"}
    for given in ([], ["task"], ["post", "item"], ["task", "post", "item"]):
        bearer = script(ada, "search:read", *(scopes[kind] for kind in given))
        answer = bearer("GET", "/search?q=quagga").get_json()
        assert sorted(hit["type"] for hit in answer["data"]) == sorted(given)
        assert answer["meta"]["pagination"]["total"] == len(given)
        assert len(data(bearer("GET", "/search?q=quagga&type=task"))) == ("task" in given)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/auth/keys", {"name": "Child", "scopes": ["tasks:read"]}),
        ("GET", "/auth/keys", None),
        ("POST", "/auth/password", {"old_password": PASSWORD, "new_password": "an even longer one"}),
        ("POST", "/auth/logout", None),
        ("POST", "/auth/logout-all", None),
        ("DELETE", "/auth/session", None),
        ("POST", "/auth/refresh", None),
    ],
)
def test_no_key_manages_keys_passwords_or_sessions(
    ada: Person, method: str, path: str, body: dict[str, Any] | None
) -> None:
    use = script(ada)
    assert use(method, path, body).status_code == 403
    assert ada.get("/auth/me").status_code == 200
    assert ada.log_in().status_code == 200


def test_a_demoted_owner_takes_the_scope_along(app: Flask, admin: Person) -> None:
    second = make_person(app, "second", Role.ADMIN)
    use = script(second, "users:admin", "users:read")
    assert data(use("GET", "/users"))[0]["email"] is not None
    assert admin.patch(f"/users/{second.user_id}", {"role": "user"}).status_code == 200
    assert use("POST", "/users", {}).status_code == 403
    assert data(use("GET", "/users"))[0]["email"] is None


def test_an_administrators_key_without_users_admin_is_no_administrators_key_for_accounts(
    admin: Person, ada: Person
) -> None:
    use = script(admin, "users:read", "users:write")
    assert use("PATCH", f"/users/{admin.user_id}", {"name": "Root"}).status_code == 200
    assert use("PATCH", f"/users/{ada.user_id}", {"name": "Renamed"}).status_code == 403
    assert use("PATCH", f"/users/{ada.user_id}", {"role": "admin"}).status_code == 403
    assert use("DELETE", f"/users/{ada.user_id}").status_code == 403
    both = script(admin, "users:write", "users:admin")
    assert both("PATCH", f"/users/{ada.user_id}", {"name": "Renamed"}).status_code == 200


def test_a_bearer_token_wins_over_a_key_and_a_key_over_nothing(ada: Person, bob: Person) -> None:
    use = script(ada)
    mixed = bob.get("/auth/me", headers=use.headers)
    assert data(mixed)["username"] == "bob"
    assert bob.get("/auth/me", token="garbage", headers=use.headers).status_code == 401
    assert Person(ada.app).get("/auth/me").status_code == 401


# --- ending -------------------------------------------------------------------


def revoke(ada: Person, admin: Person, made: dict[str, Any]) -> None:
    assert ada.delete(f"/auth/keys/{made['id']}").status_code == 204


def expire(ada: Person, admin: Person, made: dict[str, Any]) -> None:
    with ada.app.app_context(), transaction() as session:
        session.execute(update(ApiKey).values(expires_at=clock.now()))


def deactivate(ada: Person, admin: Person, made: dict[str, Any]) -> None:
    assert admin.patch(f"/users/{ada.user_id}", {"is_active": False}).status_code == 200


def delete(ada: Person, admin: Person, made: dict[str, Any]) -> None:
    assert admin.delete(f"/users/{ada.user_id}").status_code == 204


def change_password(ada: Person, admin: Person, made: dict[str, Any]) -> None:
    body = {"old_password": PASSWORD, "new_password": "an even longer one"}
    assert ada.post("/auth/password", body).status_code == 204


@pytest.mark.parametrize("end", [revoke, expire, deactivate, delete, change_password])
def test_a_key_ends_at_once_and_every_bad_key_is_answered_alike(
    app: Flask, ada: Person, admin: Person, end: Callable[..., None]
) -> None:
    made = make_key(ada)
    use = Script(app, made["key"])
    assert use("GET", "/auth/me").status_code == 200
    end(ada, admin, made)
    answers = [use("GET", "/auth/me"), Script(app, "tl_" + "0" * 48)("GET", "/auth/me")]
    bodies = []
    for answer in answers:
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer realm=")
        bodies.append({**answer.get_json()["error"], "request_id": None})
    assert bodies[0] == bodies[1]


def test_a_key_that_was_ended_does_not_come_back(app: Flask, ada: Person, admin: Person) -> None:
    use = script(ada)
    admin.patch(f"/users/{ada.user_id}", {"is_active": False})
    admin.patch(f"/users/{ada.user_id}", {"is_active": True})
    assert use("GET", "/auth/me").status_code == 401


def test_a_key_that_has_ended_keeps_its_moment_when_all_of_them_end(app: Flask, ada: Person, admin: Person) -> None:
    first, second = make_key(ada), make_key(ada)
    assert ada.delete(f"/auth/keys/{first['id']}").status_code == 204

    def ends() -> dict[int, datetime | None]:
        with app.app_context():
            return {row.id: row.revoked_at for row in db.session.scalars(select(ApiKey))}

    before = ends()
    assert admin.patch(f"/users/{ada.user_id}", {"is_active": False}).status_code == 200
    after = ends()
    assert after[first["id"]] == before[first["id"]] is not None
    assert (before[second["id"]], after[second["id"]] is not None) == (None, True)


def test_a_revoked_key_is_gone_and_the_others_stay(app: Flask, ada: Person) -> None:
    made, kept = make_key(ada), make_key(ada)
    path = f"/auth/keys/{made['id']}"
    assert ada.delete(path).data == b""
    assert ada.delete(path).status_code == 404
    assert ada.get(path).status_code == 404
    assert [entry["id"] for entry in data(ada.get("/auth/keys"))] == [kept["id"]]
    assert Script(app, kept["key"])("GET", "/auth/me").status_code == 200


@pytest.mark.parametrize(
    "key",
    ["", " ", "tl_", "x", "tl_" + "g" * 48, "tl_" + "0" * 5000, "' OR 1=1 --", "tl_\xe9", "tl_" + "0" * 48 + "\t0"],
)
def test_a_broken_key_is_401(app: Flask, ada: Person, key: str) -> None:
    make_key(ada)
    assert Script(app, key)("GET", "/auth/me").status_code == 401


def test_another_secret_makes_every_key_worthless(ada: Person, remake_app: Callable[..., Flask]) -> None:
    made = make_key(ada)
    assert Script(remake_app(secret_key="k" * 32), made["key"])("GET", "/auth/me").status_code == 401


@on_both
def test_a_key_made_during_a_change_of_the_password_does_not_survive_it(app: Flask, ada: Person) -> None:
    """A caller who knows the old password must not keep a way in."""
    ada.log_in()
    thief = Person(app, "ada")
    thief.log_in()
    made: list[str] = []
    barrier = threading.Barrier(2)

    def steal() -> None:
        barrier.wait()
        for _ in range(20):
            response = thief.post("/auth/keys", {"name": "Back door", "scopes": ["tasks:read"]})
            if response.status_code == 201:
                made.append(data(response)["key"])

    thread = threading.Thread(target=steal)
    thread.start()
    barrier.wait()
    body = {"old_password": PASSWORD, "new_password": "an even longer one"}
    assert ada.post("/auth/password", body).status_code == 204
    thread.join()
    assert [key for key in made if Script(app, key)("GET", "/tasks").status_code != 401] == []


# --- what it costs ------------------------------------------------------------


@on_both
def test_a_key_costs_one_statement_and_a_second_one_once_a_minute(
    app: Flask, engine_name: str, ada: Person, statements: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_key(ada)
    use = Script(app, made["key"])
    counts = []
    start = clock.now()
    for seconds in (0, 1, 59, 61, 62):
        monkeypatch.setattr(clock, "now", lambda seconds=seconds: start + timedelta(seconds=seconds))
        statements.clear()
        assert use("GET", "/tasks?cursor=").status_code == 200
        counts.append(len(statements))
    # PostgreSQL is also told not to wait long for a lock. The page itself is kept after the first time.
    patience = int(engine_name == "postgresql")
    assert counts == [4 + patience, 1, 1, 2 + patience, 1], statements
    last_used = data(ada.get(f"/auth/keys/{made['id']}"))["last_used_at"]
    assert datetime.fromisoformat(last_used) == start + timedelta(seconds=61)


@on_both
def test_many_uses_at_once_are_recorded_once(app: Flask, ada: Person, statements: list[str]) -> None:
    use = script(ada)
    codes = []
    threads = [threading.Thread(target=lambda: codes.append(use("GET", "/tasks").status_code)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [200] * 8


def test_a_read_does_not_fail_because_its_trace_cannot_be_written(ada: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    use = script(ada)

    def fail(*args: Any, **kwargs: Any) -> None:
        raise OperationalError("UPDATE", {}, Exception("database is locked"))

    monkeypatch.setattr(KeyRepository, "note_use", fail)
    assert use("GET", "/tasks").status_code == 200


def test_a_scope_that_nobody_knows_any_more_opens_nothing(app: Flask, ada: Person) -> None:
    use = script(ada)
    with app.app_context(), transaction() as session:
        session.execute(update(ApiKey).values(scopes=["retired:read", "tasks:read"]))
    assert use("GET", "/tasks").status_code == 200
    assert use("GET", "/auth/me").status_code == 403
