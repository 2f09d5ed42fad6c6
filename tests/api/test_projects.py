"""Projects: who is in, who may do what, and what happens to their tasks."""

import re
import threading
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert, text
from sqlalchemy.orm import Session

from core.platform.database.session import transaction
from core.projects.model import Project, ProjectMember, ProjectRole
from core.tasks import policy
from core.tasks.model import Task
from core.users.model import User
from tests.support.answers import data, details
from tests.support.engines import on_sqlite
from tests.support.people import Person, make_person
from tests.support.tasks import analyze


@pytest.fixture
def ops(ada: Person) -> dict[str, Any]:
    """A project that Ada owns."""
    project: dict[str, Any] = data(ada.post("/projects", {"key": "OPS", "name": "Operations"}))
    return project


@pytest.fixture
def team(app: Flask, ada: Person, ops: dict[str, Any]) -> dict[str, Person]:
    """One member in each role of the project, and a stranger."""
    people = {"owner": ada, "stranger": make_person(app, "stranger")}
    for role in ("viewer", "editor"):
        people[role] = make_person(app, role)
        assert ada.put(f"/projects/{ops['id']}/members/{people[role].user_id}", {"role": role}).status_code == 201
    return people


def test_a_new_project_belongs_to_its_creator(ada: Person) -> None:
    response = ada.post("/projects", {"key": "OPS", "name": " Operations ", "description": "All that runs"})
    assert response.status_code == 201
    project = data(response)
    assert (project["key"], project["name"], project["archived"], project["version"]) == ("OPS", "Operations", False, 1)
    assert response.headers["Location"].endswith(f"/api/v1/projects/{project['id']}")
    members = data(ada.get(f"/projects/{project['id']}/members"))
    assert [(member["user_id"], member["role"], member["username"]) for member in members] == [
        (ada.user_id, "owner", "ada")
    ]


@on_sqlite
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "x"}, "key"),
        ({"key": "OPS"}, "name"),
        ({"key": "O", "name": "x"}, "key"),
        ({"key": "ops", "name": "x"}, "key"),
        ({"key": "OPS1", "name": "x"}, "key"),
        ({"key": "ABCDEFGHIJK", "name": "x"}, "key"),
        ({"key": "OPS\n", "name": "x"}, "key"),
        ({"key": "ÄÖÜ", "name": "x"}, "key"),
        ({"key": "OPS", "name": " "}, "name"),
        ({"key": "OPS", "name": "x" * 121}, "name"),
        ({"key": "OPS", "name": "x", "archived": "yes"}, "archived"),
        ({"key": "OPS", "name": "x", "archived": None}, "archived"),
        ({"key": "OPS", "name": "x", "id": 7}, "id"),
        ({"key": "OPS", "name": "x", "owner_id": 7}, "owner_id"),
    ],
)
def test_a_wrong_field_of_a_project_is_named(ada: Person, body: dict[str, Any], field: str) -> None:
    response = ada.post("/projects", body)
    assert response.status_code == 422
    assert list(details(response)) == [field]


def test_a_key_is_taken_only_once(ada: Person, bob: Person, ops: dict[str, Any]) -> None:
    response = bob.post("/projects", {"key": "OPS", "name": "Mine"})
    assert response.status_code == 409
    assert list(details(response)) == ["key"]
    other = data(bob.post("/projects", {"key": "OTHER", "name": "Mine"}))
    assert bob.patch(f"/projects/{other['id']}", {"key": "OPS"}).status_code == 409


def test_a_project_is_replaced_and_patched_by_its_owner(ada: Person, ops: dict[str, Any]) -> None:
    path = f"/projects/{ops['id']}"
    patched = data(ada.patch(path, {"description": "New", "archived": True}))
    assert (patched["description"], patched["archived"], patched["version"]) == ("New", True, 2)
    replaced = data(ada.put(path, {"key": "OPSX", "name": "Other"}))
    assert (replaced["key"], replaced["description"], replaced["archived"]) == ("OPSX", None, False)
    assert ada.patch(path, {}).status_code == 400
    assert ada.patch(path, {"name": None}).status_code == 422


def test_everybody_lists_their_own_projects_and_an_administrator_all(
    ada: Person, bob: Person, admin: Person, ops: dict[str, Any]
) -> None:
    bob.post("/projects", {"key": "BOB", "name": "Bob's", "archived": True})
    assert [project["key"] for project in data(ada.get("/projects"))] == ["OPS"]
    assert {project["key"] for project in data(admin.get("/projects?sort=key"))} == {"BOB", "OPS"}
    assert [project["key"] for project in data(admin.get("/projects?archived=true"))] == ["BOB"]
    assert bob.get("/projects?archived=perhaps").status_code == 400


OUTCOMES = {
    # What the owner, an editor, a viewer and a stranger are answered.
    ("GET", ""): (200, 200, 200, 403),
    ("GET", "/members"): (200, 200, 200, 403),
    ("PATCH", ""): (200, 403, 403, 403),
    ("PUT", ""): (200, 403, 403, 403),
    ("DELETE", ""): (204, 403, 403, 403),
    ("PUT", "/members"): (201, 403, 403, 403),
    ("DELETE", "/members"): (204, 403, 403, 403),
    ("GET", "tasks"): (200, 200, 200, 403),
    ("POST", "tasks"): (201, 201, 403, 403),
    ("PATCH", "tasks"): (200, 200, 403, 403),
    ("STATUS", "tasks"): (200, 200, 403, 403),
    ("PROCESS", "tasks"): (202, 202, 403, 403),
    ("DELETE", "tasks"): (204, 403, 403, 403),
}


@pytest.mark.parametrize("operation", OUTCOMES, ids=" ".join)
def test_each_role_may_do_what_it_says(
    app: Flask, team: dict[str, Person], ops: dict[str, Any], operation: tuple[str, str]
) -> None:
    method, place = operation
    path, owner = f"/projects/{ops['id']}", team["owner"]
    # Somebody who has left the project owns the tasks, so that only roles decide.
    author = make_person(app, "author")
    statuses = []
    # Its owner comes last, whose success may end the project.
    for role in ("stranger", "viewer", "editor", "owner"):
        person = team[role]
        if place == "tasks":
            owner.put(f"{path}/members/{author.user_id}", {"role": "editor"})
            task = author.create_task(project_id=ops["id"])
            owner.delete(f"{path}/members/{author.user_id}")
            one = f"/tasks/{task['id']}"
            calls: dict[str, tuple[str, str, Any]] = {
                "GET": ("GET", one, None),
                "POST": ("POST", "/tasks", {"title": "New", "project_id": ops["id"]}),
                "PATCH": ("PATCH", one, {"title": "Changed"}),
                "STATUS": ("PUT", f"{one}/status", {"status": "completed"}),
                "PROCESS": ("POST", f"{one}/process", None),
                "DELETE": ("DELETE", one, None),
            }
            response = person.open(*calls[method])
        elif place == "/members" and method != "GET":
            member = f"{path}/members/{author.user_id}"
            if method == "DELETE":
                owner.put(member, {"role": "viewer"})
            response = person.open(method, member, {"role": "viewer"} if method == "PUT" else None)
        else:
            body = {"PATCH": {"name": "Changed"}, "PUT": {"key": "OPS", "name": "Changed"}}.get(method)
            response = person.open(method, path + place, body)
        statuses.append(response.status_code)
    assert tuple(reversed(statuses)) == OUTCOMES[operation]


def test_the_list_of_tasks_shows_those_of_the_own_projects(team: dict[str, Person], ops: dict[str, Any]) -> None:
    task = team["editor"].create_task(title="Shared", project_id=ops["id"])
    team["editor"].create_task(title="Personal")
    for role, titles in {"owner": ["Shared"], "viewer": ["Shared"], "stranger": []}.items():
        assert [row["title"] for row in data(team[role].get("/tasks"))] == titles
    for role in ("owner", "viewer"):
        assert [row["id"] for row in data(team[role].get(f"/tasks?project_id={ops['id']}"))] == [task["id"]]
    assert team["stranger"].get(f"/tasks?project_id={ops['id']}").status_code == 403


def test_a_role_is_changed_and_a_membership_ended_at_once(team: dict[str, Person], ops: dict[str, Any]) -> None:
    member = f"/projects/{ops['id']}/members/{team['viewer'].user_id}"
    changed = team["owner"].put(member, {"role": "editor"})
    assert changed.status_code == 200
    assert data(team["viewer"].get(member))["role"] == "editor"
    assert team["viewer"].post("/tasks", {"title": "x", "project_id": ops["id"]}).status_code == 201
    assert team["owner"].delete(member).status_code == 204
    assert team["viewer"].get(f"/projects/{ops['id']}").status_code == 403
    assert team["owner"].delete(member).status_code == 404
    assert team["owner"].get(member).status_code == 404


def test_everybody_may_leave_but_the_last_owner(team: dict[str, Person], ops: dict[str, Any]) -> None:
    path = f"/projects/{ops['id']}/members"
    assert team["viewer"].delete(f"{path}/{team['viewer'].user_id}").status_code == 204
    own = f"{path}/{team['owner'].user_id}"
    assert team["owner"].delete(own).status_code == 409
    assert team["owner"].put(own, {"role": "viewer"}).status_code == 409
    assert team["owner"].put(own, {"role": "owner"}).status_code == 200
    team["owner"].put(f"{path}/{team['editor'].user_id}", {"role": "owner"})
    assert team["owner"].delete(own).status_code == 204


def test_two_owners_who_leave_at_the_same_time_do_not_both_succeed(
    app: Flask, team: dict[str, Person], ops: dict[str, Any]
) -> None:
    path = f"/projects/{ops['id']}/members"
    team["owner"].put(f"{path}/{team['editor'].user_id}", {"role": "owner"})
    codes: list[int] = []

    def leave(person: Person) -> None:
        codes.append(person.delete(f"{path}/{person.user_id}").status_code)

    threads = [threading.Thread(target=leave, args=(team[role],)) for role in ("owner", "editor")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [204, 409]


@pytest.mark.parametrize("body", [{}, {"role": "king"}, {"role": None}, {"role": "viewer", "user_id": 1}])
def test_a_wrong_role_is_refused(ada: Person, bob: Person, ops: dict[str, Any], body: dict[str, Any]) -> None:
    assert ada.put(f"/projects/{ops['id']}/members/{bob.user_id}", body).status_code == 422


def test_only_an_active_user_becomes_a_member(app: Flask, ada: Person, bob: Person, ops: dict[str, Any]) -> None:
    assert ada.put(f"/projects/{ops['id']}/members/{10**9}", {"role": "viewer"}).status_code == 422
    with app.app_context(), transaction() as session:
        session.get_one(User, bob.user_id).is_active = False
    assert ada.put(f"/projects/{ops['id']}/members/{bob.user_id}", {"role": "viewer"}).status_code == 422


def test_a_project_with_tasks_is_not_deleted_in_silence(ada: Person, ops: dict[str, Any]) -> None:
    task = ada.create_task(project_id=ops["id"])
    refused = ada.delete(f"/projects/{ops['id']}")
    assert refused.status_code == 409
    assert details(refused) == {"tasks": ["1 tasks belong to this project."]}
    ada.patch(f"/tasks/{task['id']}", {"project_id": None})
    assert ada.delete(f"/projects/{ops['id']}").status_code == 204
    assert ada.get(f"/projects/{ops['id']}").status_code == 404
    assert ada.get(f"/tasks/{task['id']}").status_code == 200


def test_the_tasks_of_an_archived_project_can_only_be_read(ada: Person, ops: dict[str, Any]) -> None:
    task = ada.create_task(project_id=ops["id"])
    ada.patch(f"/projects/{ops['id']}", {"archived": True})
    path = f"/tasks/{task['id']}"
    assert ada.get(path).status_code == 200
    answers = [
        ada.patch(path, {"title": "x"}),
        ada.put(f"{path}/status", {"status": "completed"}),
        ada.post(f"{path}/process"),
        ada.delete(path),
        ada.post("/tasks", {"title": "x", "project_id": ops["id"]}),
    ]
    assert [answer.status_code for answer in answers] == [409] * 5
    ada.patch(f"/projects/{ops['id']}", {"archived": False})
    assert ada.patch(path, {"title": "x"}).status_code == 200


def test_a_task_moves_only_into_a_project_that_its_mover_may_fill(
    ada: Person, bob: Person, team: dict[str, Person], ops: dict[str, Any]
) -> None:
    task = bob.create_task()
    path = f"/tasks/{task['id']}"
    assert bob.patch(path, {"project_id": ops["id"]}).status_code == 403
    assert details(bob.patch(path, {"project_id": 10**9})) == {"project_id": ["There is no such project."]}
    ada.put(f"/projects/{ops['id']}/members/{bob.user_id}", {"role": "editor"})
    assert data(bob.patch(path, {"project_id": ops["id"]}))["project_id"] == ops["id"]
    assert data(team["viewer"].get(path))["title"] == task["title"]


@pytest.mark.parametrize("number", ["0", "99999999", "abc"])
def test_an_unknown_project_is_404(ada: Person, number: str) -> None:
    for path in (f"/projects/{number}", f"/projects/{number}/members", f"/projects/{number}/members/1"):
        assert ada.get(path).status_code == 404
    assert ada.patch(f"/projects/{number}", {"name": "x"}).status_code == 404
    assert ada.put(f"/projects/{number}/members/1", {"role": "viewer"}).status_code == 404
    assert ada.delete(f"/projects/{number}/members/1").status_code == 404


# --- what visibility costs ----------------------------------------------------------


def plan(session: Session, person: Person) -> str:
    """Return how the engine would find the newest tasks that somebody may see."""
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    seen = Task.__table__.select().where(policy.visible_to(person.actor))
    query = seen.order_by(Task.created_at.desc(), Task.id.desc()).limit(20)
    compiled = query.compile(session.get_bind(), compile_kwargs={"literal_binds": True})
    explain = "EXPLAIN QUERY PLAN " if is_sqlite else "EXPLAIN (COSTS OFF) "
    if not is_sqlite:
        # A small table is quicker read as a whole; and until it has been vacuumed, which no
        # transaction can do, an index does not answer by itself.
        session.execute(text("SET LOCAL enable_seqscan = off"))
        session.execute(text("SET LOCAL enable_bitmapscan = off"))
    lines = "\n".join(str(row[-1]) for row in session.execute(text(explain + str(compiled))))
    return re.sub(rf"(user_id|owner_id|assignee_id) = {person.user_id}\b", r"\1 = ?", lines)


def test_visibility_costs_a_member_of_200_projects_what_it_costs_a_member_of_one(
    app: Flask, ada: Person, bob: Person
) -> None:
    crowd = [make_person(app, f"member{number}") for number in range(10)]
    with app.app_context(), transaction() as session:
        rows = [
            {
                "key": "".join(chr(65 + int(digit)) for digit in f"{number:04d}"),
                "name": "x",
                "archived": False,
                "version": 1,
            }
            for number in range(200)
        ]
        projects = list(session.scalars(insert(Project).returning(Project.id), rows))
        # Both are asked of the same tables, in the transaction that filled and analysed them: nobody
        # else, the engine's own housekeeping included, changes what the planner knows in between.
        memberships = [(ada.user_id, projects[:1]), (bob.user_id, projects)]
        memberships += [(person.user_id, projects) for person in crowd]
        session.execute(
            insert(ProjectMember),
            [
                {"project_id": project_id, "user_id": user_id, "role": ProjectRole.VIEWER}
                for user_id, theirs in memberships
                for project_id in theirs
            ],
        )
        owners = {"title": "x", "status": "pending", "owner_id": crowd[0].user_id, "version": 1}
        session.execute(insert(Task), [owners | {"project_id": projects[n % 200]} for n in range(5_000)])
        analyze(session)
        one, many = plan(session, ada), plan(session, bob)
    assert one == many
    assert "ix_project_members_user_id_project_id_role" in many
    assert "ix_tasks_project_id_created_at_id" in many or "ix_tasks_created_at_id" in many
