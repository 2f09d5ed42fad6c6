"""People: finding colleagues, managing accounts, and never losing the last administrator."""

import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from core.items.model import Item
from core.jobs.model import Job
from core.platform import clock
from core.platform.access import Role
from core.platform.database.base import Base, db
from core.platform.database.session import transaction
from core.posts.model import Post
from core.projects.model import Project, ProjectMember, ProjectRole
from core.removal import belongings
from core.tasks.model import Task
from core.users.model import User
from tests.support.answers import data, details
from tests.support.engines import on_sqlite
from tests.support.people import PASSWORD, Person, make_person

NEW = {"username": "grace", "email": "grace@example.com", "password": "a long password"}


def in_parallel(*calls: Callable[[], Any]) -> list[int]:
    """Start all calls at once; return their sorted status codes."""
    codes: list[int] = []
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> None:
        barrier.wait()
        codes.append(call().status_code)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(codes)


# --- the list -----------------------------------------------------------------


def test_a_member_finds_active_colleagues_and_learns_nothing_private(ada: Person, bob: Person, admin: Person) -> None:
    assert admin.patch(f"/users/{bob.user_id}", {"is_active": False}).status_code == 200
    answer = ada.get("/users").get_json()
    assert [entry["username"] for entry in answer["data"]] == ["ada", "root.admin"]
    for entry in answer["data"]:
        assert set(entry) == {"id", "username", "name", "created_at", "email", "role", "is_active"}
        assert (entry["email"], entry["role"], entry["is_active"]) == (None, None, None)
    assert answer["meta"]["pagination"] == {
        "page": 1,
        "per_page": 20,
        "pages": 1,
        "total": 2,
        "total_is_exact": True,
        "next_cursor": None,
    }


def test_an_administrator_sees_everybody_whole(ada: Person, bob: Person, admin: Person) -> None:
    admin.patch(f"/users/{bob.user_id}", {"is_active": False})
    found = {entry["username"]: entry for entry in data(admin.get("/users"))}
    assert set(found) == {"ada", "bob", "root.admin"}
    assert found["ada"]["email"] == "ada@example.com"
    assert (found["bob"]["role"], found["bob"]["is_active"]) == ("user", False)
    assert [e["username"] for e in data(admin.get("/users?is_active=false"))] == ["bob"]
    assert [e["username"] for e in data(admin.get("/users?role=admin"))] == ["root.admin"]
    assert [e["username"] for e in data(admin.get("/users?q=BOB%40example"))] == ["bob"]


def test_a_member_cannot_find_out_by_filters_what_the_list_hides(ada: Person, bob: Person, admin: Person) -> None:
    assert ada.get("/users?role=admin").status_code == 403
    assert ada.get("/users?is_active=true").status_code == 403
    assert data(ada.get("/users?q=example.com")) == []
    assert ada.get("/users?sort=email").status_code == 400
    assert ada.get("/users?sort=role").status_code == 400
    assert [e["username"] for e in data(ada.get("/users?q=BO"))] == ["bob"]


@pytest.mark.parametrize("sort", ["", "username", "-username", "name,-username", "created_at", "-id"])
@pytest.mark.parametrize("person", ["ada", "admin"])
def test_pages_by_cursor_show_everybody_once(
    app: Flask, request: pytest.FixtureRequest, person: str, sort: str
) -> None:
    asker: Person = request.getfixturevalue(person)
    for number in range(5):
        make_person(app, f"user{number}")
    seen: list[int] = []
    cursor: str | None = ""
    while cursor is not None:
        sorting = f"&sort={sort}" if sort else ""
        answer = asker.get(f"/users?per_page=2&cursor={cursor}{sorting}").get_json()
        seen += [entry["id"] for entry in answer["data"]]
        cursor = answer["meta"]["pagination"]["next_cursor"]
    assert len(seen) == len(set(seen)) == 6


@on_sqlite
@pytest.mark.parametrize(
    "query",
    ["page=0", "per_page=101", "stauts=x", "sort=colour", "role=king", "is_active=1", "q=", "q=%00", "cursor=x"],
)
def test_a_list_of_users_refuses_what_it_does_not_know(admin: Person, query: str) -> None:
    assert admin.get(f"/users?{query}").status_code == 400


def test_listing_users_takes_three_statements(app: Flask, ada: Person, statements: list[str]) -> None:
    for number in range(10):
        make_person(app, f"user{number}")
    statements.clear()
    assert len(data(ada.get("/users"))) == 11
    assert len(statements) == 3, statements


# --- creating -----------------------------------------------------------------


def test_an_administrator_creates_an_account_that_can_log_in(app: Flask, admin: Person) -> None:
    response = admin.post("/users", {**NEW, "name": " Grace Hopper ", "role": "admin"})
    assert response.status_code == 201
    user = data(response)
    assert (user["username"], user["name"], user["role"], user["is_active"]) == ("grace", "Grace Hopper", "admin", True)
    assert "password" not in response.text
    assert response.headers["Location"] == f"http://localhost/api/v1/users/{user['id']}"
    assert data(admin.get(f"/users/{user['id']}")) == user
    assert Person(app, "grace").log_in(NEW["password"]).status_code == 200
    with app.app_context():
        assert db.session.scalars(select(Job.kind).where(Job.owner_id == user["id"])).all() == ["email.welcome"]


def test_an_inactive_account_is_neither_welcomed_nor_let_in(app: Flask, admin: Person) -> None:
    user = data(admin.post("/users", {**NEW, "is_active": False}))
    assert (user["role"], user["is_active"]) == ("user", False)
    assert Person(app, "grace").log_in(NEW["password"]).status_code == 401
    with app.app_context():
        assert db.session.scalars(select(Job)).all() == []


def test_only_administrators_create_accounts(ada: Person, anonymous: Person) -> None:
    assert ada.post("/users", NEW).status_code == 403
    assert anonymous.post("/users", NEW).status_code == 401


HOSTILE = [
    ("username", "ab"),
    ("username", "a\x00b"),
    ("username", "x' OR 1=1 --"),
    ("username", "\ud800abc"),
    ("username", ["ada"]),
    ("username", None),
    ("email", "nonsense"),
    ("email", "a@example.com\nBcc: b@example.com"),
    ("email", None),
    ("name", "x"),
    ("name", "\x00\x00"),
    ("name", 5),
    ("role", "king"),
    ("role", None),
    ("role", ["admin"]),
    ("is_active", "false"),
    ("is_active", 0),
    ("is_active", None),
    ("id", 1),
    ("created_at", "2026-01-01T00:00:00Z"),
    ("password_hash", "x"),
    ("usernmae", "x"),
]


@on_sqlite
@pytest.mark.parametrize(("field", "value"), [*HOSTILE, ("password", "short"), ("password", 12345678)])
def test_a_new_account_with_a_wrong_field_is_invalid(admin: Person, field: str, value: Any) -> None:
    response = admin.post("/users", {**NEW, field: value})
    assert response.status_code == 422
    assert list(details(response)) == [field]


@on_sqlite
@pytest.mark.parametrize(("field", "value"), [*HOSTILE, ("password", "a long password")])
def test_a_change_with_a_wrong_field_is_invalid(admin: Person, ada: Person, field: str, value: Any) -> None:
    path = f"/users/{ada.user_id}"
    before = data(admin.get(path))
    for response in (
        admin.patch(path, {field: value}),
        admin.put(path, {"username": "ada", "email": "ada@example.com", field: value}),
    ):
        assert response.status_code == 422
        assert list(details(response)) == [field]
    assert data(admin.get(path)) == before


def test_a_new_account_lacks_fields_or_has_taken_ones(admin: Person, ada: Person) -> None:
    missing = admin.post("/users", {})
    assert missing.status_code == 422
    assert set(details(missing)) == {"username", "email", "password"}
    taken = admin.post("/users", {**NEW, "username": "ADA", "email": "Ada@example.com"})
    assert taken.status_code == 409
    assert set(details(taken)) == {"username", "email"}


# --- reading and changing -----------------------------------------------------


def test_an_account_is_read_by_its_owner_and_administrators(ada: Person, bob: Person, admin: Person) -> None:
    whole = data(ada.get(f"/users/{ada.user_id}"))
    assert whole == data(admin.get(f"/users/{ada.user_id}")) == data(ada.get("/auth/me"))
    assert bob.get(f"/users/{ada.user_id}").status_code == 403
    assert admin.get("/users/999999").status_code == 404
    assert ada.get("/users/abc").status_code == 404
    assert ada.get(f"/users/{2**63}").status_code == 404


def test_replacing_an_account_clears_the_name_and_keeps_role_and_state(ada: Person, admin: Person) -> None:
    path = f"/users/{ada.user_id}"
    ada.patch(path, {"name": "Ada Lovelace"})
    missing = ada.put(path, {"name": "Ada"})
    assert missing.status_code == 422
    assert set(details(missing)) == {"username", "email"}
    replaced = data(ada.put(path, {"username": "countess", "email": "ada@lovelace.example"}))
    assert (replaced["username"], replaced["email"], replaced["name"]) == ("countess", "ada@lovelace.example", None)
    assert (replaced["role"], replaced["is_active"]) == ("user", True)
    again = data(admin.put(path, {"username": "ada", "email": "a@example.com", "role": "admin"}))
    assert (again["role"], again["is_active"]) == ("admin", True)
    kept = data(admin.put(path, {"username": "ada", "email": "a@example.com"}))
    assert kept["role"] == "admin"


def test_a_patch_leaves_what_is_omitted_and_clears_what_is_null(ada: Person) -> None:
    path = f"/users/{ada.user_id}"
    assert data(ada.patch(path, {"name": "Ada Lovelace"}))["email"] == "ada@example.com"
    assert data(ada.patch(path, {"username": "Ada"}))["name"] == "Ada Lovelace"
    assert data(ada.patch(path, {"name": None}))["username"] == "Ada"
    assert ada.patch(path, {}).status_code == 400


@on_sqlite
@pytest.mark.parametrize("body", [{"role": "admin"}, {"role": "user"}, {"is_active": False}, {"is_active": True}])
def test_role_and_state_are_not_ones_own_to_set(ada: Person, body: dict[str, Any]) -> None:
    path = f"/users/{ada.user_id}"
    before = data(ada.get(path))
    assert ada.patch(path, {"name": "Sneaky", **body}).status_code == 403
    assert ada.put(path, {"username": "ada", "email": "ada@example.com", **body}).status_code == 403
    assert data(ada.get(path)) == before


def test_another_account_is_not_ones_own_to_change(ada: Person, bob: Person) -> None:
    path = f"/users/{bob.user_id}"
    assert ada.patch(path, {"name": "Renamed"}).status_code == 403
    assert ada.put(path, {"username": "x.y", "email": "x@example.com"}).status_code == 403
    assert ada.delete(path).status_code == 403
    assert ada.delete(f"{path}?transfer_to={ada.user_id}").status_code == 403
    assert data(bob.get(path))["name"] is None


def test_a_taken_name_or_address_is_named(ada: Person, bob: Person) -> None:
    response = ada.patch(f"/users/{ada.user_id}", {"username": "BOB", "email": "BOB@example.com"})
    assert response.status_code == 409
    assert set(details(response)) == {"username", "email"}
    assert ada.patch(f"/users/{ada.user_id}", {"username": "ADA"}).status_code == 200


def test_of_two_who_want_one_name_at_once_one_gets_it(ada: Person, bob: Person) -> None:
    codes = in_parallel(
        lambda: ada.patch(f"/users/{ada.user_id}", {"username": "wanted"}),
        lambda: bob.patch(f"/users/{bob.user_id}", {"username": "Wanted"}),
    )
    assert codes == [200, 409]


def test_a_missing_user_cannot_be_changed(admin: Person) -> None:
    assert admin.patch("/users/999999", {"name": "Nobody"}).status_code == 404
    assert admin.patch("/users/999999", {"role": "admin"}).status_code == 404
    assert admin.put("/users/999999", {"username": "x.y", "email": "x@example.com"}).status_code == 404
    assert admin.delete("/users/999999").status_code == 404


def test_a_deactivation_ends_sessions_for_good(app: Flask, ada: Person, admin: Person) -> None:
    path = f"/users/{ada.user_id}"
    assert admin.patch(path, {"is_active": False}).status_code == 200
    assert ada.get("/auth/me").status_code == 401
    assert ada.log_in().status_code == 401
    assert admin.patch(path, {"is_active": True}).status_code == 200
    assert ada.get("/auth/me").status_code == 401, "an ended session does not come back"
    assert ada.post("/auth/refresh", token=ada.tokens["refresh_token"]).status_code == 401
    assert ada.log_in().status_code == 200


def test_a_new_role_counts_from_the_next_request(ada: Person, admin: Person) -> None:
    assert ada.get("/users?role=admin").status_code == 403
    admin.patch(f"/users/{ada.user_id}", {"role": "admin"})
    assert ada.get("/users?role=admin").status_code == 200
    admin.patch(f"/users/{ada.user_id}", {"role": "user"})
    assert ada.post("/users", NEW).status_code == 403


# --- the last administrator ---------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {"role": "user"},
        {"is_active": False},
        {"role": "user", "is_active": False},
        {"role": "user", "name": "Was Root"},
    ],
)
def test_the_last_active_administrator_stays_one(app: Flask, admin: Person, body: dict[str, Any]) -> None:
    make_person(app, "retired", Role.ADMIN)
    retired = next(e["id"] for e in data(admin.get("/users")) if e["username"] == "retired")
    assert admin.patch(f"/users/{retired}", {"is_active": False}).status_code == 200
    path = f"/users/{admin.user_id}"
    before = data(admin.get(path))
    response = admin.patch(path, body)
    assert response.status_code == 409
    assert response.get_json()["error"]["code"] == "conflict"
    assert admin.put(path, {"username": "root.admin", "email": "root@example.com", **body}).status_code == 409
    assert admin.delete(path).status_code == 409
    assert data(admin.get(path)) == before
    assert admin.patch(path, {"role": "admin", "is_active": True, "name": "Still Root"}).status_code == 200


def test_one_of_two_administrators_may_go(app: Flask, admin: Person) -> None:
    second = make_person(app, "second", Role.ADMIN)
    assert second.patch(f"/users/{second.user_id}", {"role": "user"}).status_code == 200
    assert admin.patch(f"/users/{admin.user_id}", {"role": "user"}).status_code == 409


@pytest.mark.parametrize("way", ["demote", "deactivate", "delete", "mixed"])
def test_two_last_administrators_cannot_both_go_at_once(app: Flask, admin: Person, way: str) -> None:
    second = make_person(app, "second", Role.ADMIN)

    def leave(person: Person, how: str) -> Any:
        path = f"/users/{person.user_id}"
        if how == "delete":
            return person.delete(path)
        return person.patch(path, {"role": "user"} if how == "demote" else {"is_active": False})

    hows = ("demote", "delete") if way == "mixed" else (way, way)
    for _ in range(5):
        codes = in_parallel(lambda: leave(admin, hows[0]), lambda: leave(second, hows[1]))
        assert codes in ([200, 409], [204, 409])
        with app.app_context(), transaction() as session:
            left = session.scalars(select(User).where(User.role == Role.ADMIN, User.is_active)).all()
            assert len(left) == 1
            for user in session.scalars(select(User)):
                user.role, user.is_active = Role.ADMIN, True
        if "delete" in hows:
            return
        admin.log_in()
        second.log_in()


def test_two_administrators_demoting_each_other_leave_one(app: Flask, admin: Person) -> None:
    second = make_person(app, "second", Role.ADMIN)
    codes = in_parallel(
        lambda: admin.patch(f"/users/{second.user_id}", {"role": "user"}),
        lambda: second.patch(f"/users/{admin.user_id}", {"role": "user"}),
    )
    # The second is refused as the last one to be demoted, or no longer an administrator by then.
    assert codes in ([200, 409], [200, 403])
    with app.app_context():
        query = select(User.id).where(User.role == Role.ADMIN, User.is_active)
        assert len(db.session.scalars(query).all()) == 1


# --- deleting -----------------------------------------------------------------


def add(app: Flask, *rows: Base) -> list[int]:
    with app.app_context(), transaction() as session:
        session.add_all(rows)
        session.flush()
        return [getattr(row, "id", 0) for row in rows]


def test_an_account_with_nothing_is_deleted_and_locked_out_at_once(app: Flask, ada: Person, admin: Person) -> None:
    response = ada.delete(f"/users/{ada.user_id}")
    assert (response.status_code, response.data) == (204, b"")
    assert ada.get("/auth/me").status_code == 401
    assert ada.post("/auth/refresh", token=ada.tokens["refresh_token"]).status_code == 401
    assert ada.log_in().status_code == 401
    assert admin.get(f"/users/{ada.user_id}").status_code == 404
    assert admin.delete(f"/users/{ada.user_id}").status_code == 404
    again = admin.post("/users", {**NEW, "username": "ada", "email": "ada@example.com"})
    assert data(again)["id"] > ada.user_id, "a number is never used twice"


def make_belonging(app: Flask, kind: str, owner: Person, other: Person) -> None:
    if kind == "tasks":
        owner.create_task()
    elif kind == "assigned_tasks":
        other.create_task(assignee_id=owner.user_id)
    elif kind == "posts":
        add(app, Post(title="News", content="Good", user_id=owner.user_id))
    elif kind == "items":
        add(app, Item(name="Laptop", price=Decimal("10.00"), created_by=owner.user_id))
    else:
        (project,) = add(app, Project(key="OPS", name="Operations"))
        add(app, ProjectMember(project_id=project, user_id=owner.user_id, role=ProjectRole.VIEWER))


@pytest.mark.parametrize("kind", ["tasks", "assigned_tasks", "posts", "items", "projects"])
def test_an_account_with_something_is_not_deleted_without_a_receiver(
    app: Flask, ada: Person, bob: Person, admin: Person, kind: str
) -> None:
    make_belonging(app, kind, ada, bob)
    response = admin.delete(f"/users/{ada.user_id}")
    assert response.status_code == 409
    assert list(details(response)) == [kind]
    assert " 1 " in details(response)[kind][0]
    assert ada.get("/auth/me").status_code == 200
    assert admin.delete(f"/users/{ada.user_id}?transfer_to={bob.user_id}").status_code == 204
    assert kind in details(admin.delete(f"/users/{bob.user_id}"))


def test_everything_goes_to_the_receiver_and_nothing_else_changes(
    app: Flask, ada: Person, bob: Person, admin: Person
) -> None:
    eve = make_person(app, "eve")
    own = ada.create_task(title="Own", assignee_id=ada.user_id)["id"]
    given = ada.create_task(title="Given", assignee_id=eve.user_id)["id"]
    got = eve.create_task(title="Got", assignee_id=ada.user_id)["id"]
    foreign = eve.create_task(title="Foreign")["id"]
    (post, item) = add(
        app,
        Post(title="News", content="Good", user_id=ada.user_id),
        Item(name="Laptop", price=Decimal("10.00"), created_by=ada.user_id),
    )
    both_up, both_down, only = add(
        app, Project(key="AA", name="Up"), Project(key="BB", name="Down"), Project(key="CC", name="Only")
    )
    add(
        app,
        ProjectMember(project_id=both_up, user_id=ada.user_id, role=ProjectRole.OWNER),
        ProjectMember(project_id=both_up, user_id=bob.user_id, role=ProjectRole.VIEWER),
        ProjectMember(project_id=both_down, user_id=ada.user_id, role=ProjectRole.VIEWER),
        ProjectMember(project_id=both_down, user_id=bob.user_id, role=ProjectRole.EDITOR),
        ProjectMember(project_id=only, user_id=ada.user_id, role=ProjectRole.OWNER),
        ProjectMember(project_id=only, user_id=eve.user_id, role=ProjectRole.VIEWER),
    )
    before = clock.now()

    assert admin.delete(f"/users/{ada.user_id}?transfer_to={bob.user_id}").status_code == 204

    with app.app_context():
        session = db.session()
        tasks = {task.id: task for task in session.scalars(select(Task))}
        assert {n: (t.owner_id, t.assignee_id, t.version) for n, t in tasks.items()} == {
            own: (bob.user_id, bob.user_id, 2),
            given: (bob.user_id, eve.user_id, 2),
            got: (eve.user_id, bob.user_id, 2),
            foreign: (eve.user_id, None, 1),
        }
        assert tasks[own].updated_at >= before > tasks[foreign].updated_at
        moved_post, moved_item = session.get_one(Post, post), session.get_one(Item, item)
        assert (moved_post.user_id, moved_post.version) == (bob.user_id, 2)
        assert (moved_item.created_by, moved_item.version) == (bob.user_id, 2)
        members = {(row.project_id, row.user_id): row.role for row in session.scalars(select(ProjectMember))}
        assert members == {
            (both_up, bob.user_id): ProjectRole.OWNER,
            (both_down, bob.user_id): ProjectRole.EDITOR,
            (only, bob.user_id): ProjectRole.OWNER,
            (only, eve.user_id): ProjectRole.VIEWER,
        }
    assert data(bob.get(f"/tasks/{own}"))["owner_id"] == bob.user_id


def test_a_receiver_must_be_another_active_user(app: Flask, ada: Person, bob: Person, admin: Person) -> None:
    ada.create_task()
    admin.patch(f"/users/{bob.user_id}", {"is_active": False})
    for receiver in (bob.user_id, ada.user_id, 999_999, 0, "bob", "", 2**63):
        response = admin.delete(f"/users/{ada.user_id}?transfer_to={receiver}")
        assert response.status_code == 400
        assert list(details(response)) == ["transfer_to"]
    assert admin.delete(f"/users/{ada.user_id}?transferto=1").status_code == 400
    assert len(data(ada.get("/tasks"))) == 1


def test_people_may_leave_by_themselves(ada: Person, bob: Person) -> None:
    ada.create_task()
    assert ada.delete(f"/users/{ada.user_id}?transfer_to={bob.user_id}").status_code == 204
    assert [task["owner_id"] for task in data(bob.get("/tasks"))] == [bob.user_id]


def test_a_transfer_that_fails_moves_nothing(
    app: Flask, ada: Person, bob: Person, admin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada.create_task()

    def fail(*args: Any) -> None:
        raise RuntimeError("The power went out.")

    monkeypatch.setattr(belongings, "_hand_over_memberships", fail)
    assert admin.delete(f"/users/{ada.user_id}?transfer_to={bob.user_id}").status_code == 500
    assert [task["owner_id"] for task in data(ada.get("/tasks"))] == [ada.user_id]


def test_a_task_that_is_created_during_a_deletion_is_not_lost(app: Flask, ada: Person, bob: Person) -> None:
    """Either it is there in time and moves, or its owner is gone and it is refused."""
    created: list[int] = []

    def create() -> Any:
        response = ada.post("/tasks", {"title": "In between"})
        created.append(response.status_code)
        return response

    calls = [create] * 6
    codes = in_parallel(*calls, lambda: ada.delete(f"/users/{ada.user_id}?transfer_to={bob.user_id}"))
    assert codes.count(204) == 1
    assert set(created) <= {201, 401, 409}
    assert len(data(bob.get("/tasks"))) == created.count(201)


def test_two_who_leave_everything_to_each_other_do_not_both_succeed(ada: Person, bob: Person) -> None:
    ada.create_task()
    bob.create_task()
    codes = in_parallel(
        lambda: ada.delete(f"/users/{ada.user_id}?transfer_to={bob.user_id}"),
        lambda: bob.delete(f"/users/{bob.user_id}?transfer_to={ada.user_id}"),
    )
    assert codes in ([204, 400], [204, 401], [204, 404])


def test_whatever_names_a_user_is_handed_over_or_goes_with_them() -> None:
    """A new table that refers to users must say what happens to its rows."""
    handed_over = {column.property.columns[0] for column, _ in belongings.COLUMNS.values()}
    forgotten = [
        str(column)
        for table in Base.metadata.sorted_tables
        for column in table.columns
        for key in column.foreign_keys
        if key.column is User.__table__.c.id
        and key.ondelete not in ("CASCADE", "SET NULL")
        and column not in handed_over
    ]
    assert forgotten == []


# --- somebody's tasks ---------------------------------------------------------


def test_the_tasks_of_a_user_are_those_that_the_caller_may_see(ada: Person, bob: Person, admin: Person) -> None:
    shared = bob.create_task(title="Shared", assignee_id=ada.user_id)["id"]
    secret = bob.create_task(title="Secret")["id"]
    ada.create_task(title="Mine")
    path = f"/users/{bob.user_id}/tasks"
    assert [task["id"] for task in data(ada.get(path))] == [shared]
    assert [task["id"] for task in data(bob.get(path))] == [secret, shared]
    assert [task["id"] for task in data(admin.get(f"{path}?sort=title"))] == [secret, shared]
    assert [task["id"] for task in data(admin.get(f"{path}?q=shared&status=pending"))] == [shared]


@on_sqlite
def test_the_tasks_of_a_user_refuse_what_the_list_refuses(ada: Person, bob: Person) -> None:
    path = f"/users/{bob.user_id}/tasks"
    assert data(ada.get(path)) == []
    assert ada.get("/users/999999/tasks").status_code == 404
    assert ada.get("/users/me/tasks").status_code == 404
    unknown = ada.get(f"{path}?owner_id=1")
    assert unknown.status_code == 400
    assert list(details(unknown)) == ["owner_id"]
    assert ada.get(f"{path}?status=done").status_code == 400


def test_a_cursor_of_one_users_tasks_is_not_one_of_anothers(ada: Person, bob: Person, admin: Person) -> None:
    for person in (ada, bob):
        for _ in range(3):
            person.create_task()
    first = admin.get(f"/users/{bob.user_id}/tasks?per_page=2&cursor=").get_json()
    cursor = first["meta"]["pagination"]["next_cursor"]
    rest = admin.get(f"/users/{bob.user_id}/tasks?per_page=2&cursor={cursor}")
    assert len(data(rest)) == 1
    assert admin.get(f"/users/{ada.user_id}/tasks?per_page=2&cursor={cursor}").status_code == 400


def test_listing_somebodys_tasks_takes_three_statements(ada: Person, statements: list[str]) -> None:
    for _ in range(5):
        ada.create_task()
    statements.clear()
    assert len(data(ada.get(f"/users/{ada.user_id}/tasks"))) == 5
    assert len(statements) == 3, statements


def test_a_password_set_by_an_operator_ends_what_the_old_one_opened(app: Flask, ada: Person) -> None:
    from core.auth import accounts

    with app.app_context():
        accounts.set_password(user_id=ada.user_id, password="an even longer one", secret_keys=["k"])
    assert ada.get("/auth/me").status_code == 401
    assert ada.log_in(PASSWORD).status_code == 401
    assert ada.log_in("an even longer one").status_code == 200
