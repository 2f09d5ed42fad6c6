"""Changing many tasks at once: bulks and transfers, all or nothing."""

import threading
from typing import Any

import pytest
from flask import Flask

from core.platform.database.session import transaction
from core.users.model import User
from tests.support.answers import data, details
from tests.support.engines import on_sqlite
from tests.support.people import Person


def results(response: Any) -> Any:
    return data(response)["results"]


def titles(person: Person) -> list[str]:
    return sorted(row["title"] for row in data(person.get("/tasks?per_page=100")))


# --- bulk ---------------------------------------------------------------------------


def test_a_bulk_creates_updates_and_deletes_and_tells_what_became_of_each(ada: Person) -> None:
    old, gone = ada.create_task(title="Old", description="Kept"), ada.create_task(title="Gone")
    answers = results(
        ada.post(
            "/tasks/bulk",
            {
                "operations": [
                    {"op": "create", "task": {"title": " New ", "due_date": "2026-12-01"}},
                    {
                        "op": "update",
                        "id": old["id"],
                        "version": 1,
                        "task": {"title": "Changed", "status": "completed"},
                    },
                    {"op": "delete", "id": gone["id"]},
                    {"op": "create", "task": {"title": "Second", "status": "completed"}},
                ]
            },
        )
    )
    assert [(answer["op"], answer["status"]) for answer in answers] == [
        ("create", 201),
        ("update", 200),
        ("delete", 204),
        ("create", 201),
    ]
    new, changed, deleted, second = answers
    assert new["task"] == data(ada.get(f"/tasks/{new['id']}"))
    assert (new["task"]["title"], new["task"]["due_date"], new["task"]["owner_id"]) == (
        "New",
        "2026-12-01",
        ada.user_id,
    )
    assert changed["task"] == data(ada.get(f"/tasks/{old['id']}"))
    assert (changed["task"]["description"], changed["task"]["version"]) == ("Kept", 2)
    assert changed["task"]["completed_at"] is not None
    assert (deleted["id"], deleted["task"]) == (gone["id"], None)
    assert ada.get(f"/tasks/{gone['id']}").status_code == 404
    assert second["task"]["completed_at"] is not None
    jobs = data(ada.get("/jobs?kind=email.task_created"))
    assert len(jobs) == 4, "each new task is confirmed by e-mail"


REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({"op": "create", "task": {"title": ""}}, 422, "task.title"),
    ({"op": "create", "task": {"title": "x", "due_date": "soon"}}, 422, "task.due_date"),
    ({"op": "create", "task": {"title": "x", "owner_id": 1}}, 422, "task.owner_id"),
    ({"op": "create", "task": {"title": "x", "assignee_id": 10**12}}, 422, "assignee_id"),
    ({"op": "create", "task": {"title": "x", "project_id": 10**12}}, 422, "project_id"),
    ({"op": "create", "task": {"title": "x", "item_id": 10**12}}, 422, "item_id"),
    ({"op": "create"}, 422, "task"),
    ({"op": "create", "id": 5, "task": {"title": "x"}}, 422, "id"),
    ({"op": "update", "task": {"title": "x"}}, 422, "id"),
    ({"op": "delete"}, 422, "id"),
    ({"op": "delete", "id": 10**12}, 404, ""),
    ({"op": "update", "id": 10**12, "task": {"title": "x"}}, 404, ""),
    ({"op": "delete", "id": 10**12, "task": {}}, 422, "task"),
]


@pytest.mark.parametrize(("entry", "status", "field"), REFUSED)
def test_one_refused_operation_undoes_the_whole_bulk(
    ada: Person, entry: dict[str, Any], status: int, field: str
) -> None:
    kept = ada.create_task(title="Kept")
    good = [{"op": "create", "task": {"title": "New"}}, {"op": "delete", "id": kept["id"]}]
    response = ada.post("/tasks/bulk", {"operations": [*good, entry]})
    assert response.status_code == status, response.text
    assert list(details(response)) == [f"operations.2.{field}" if field else "operations.2"]
    assert titles(ada) == ["Kept"]


@pytest.mark.parametrize(("entry", "status", "field"), REFUSED)
def test_without_atomic_a_refused_operation_leaves_the_others_alone(
    ada: Person, entry: dict[str, Any], status: int, field: str
) -> None:
    gone = ada.create_task(title="Gone")
    operations = [{"op": "create", "task": {"title": "New"}}, entry, {"op": "delete", "id": gone["id"]}]
    first, refused, last = results(ada.post("/tasks/bulk", {"operations": operations, "atomic": False}))
    assert (first["status"], refused["status"], last["status"]) == (201, status, 204)
    assert refused["task"] is None
    assert list(refused["error"].get("details", {})) == ([field] if field else [])
    assert titles(ada) == ["New"]


def test_all_refused_operations_are_named_at_once(ada: Person) -> None:
    operations = [{"op": "create", "task": {}}, {"op": "create", "task": {"title": "x", "status": "done"}}]
    response = ada.post("/tasks/bulk", {"operations": operations})
    assert set(details(response)) == {"operations.0.task.title", "operations.1.task.status"}


def test_each_new_task_of_a_bulk_has_a_moment_of_its_own(ada: Person) -> None:
    """By them a list is in the order of the bulk, and what was inserted finds its entry again."""
    operations = [{"op": "create", "task": {"title": title}} for title in "CAB"]
    assert ada.post("/tasks/bulk", {"operations": operations}).status_code == 200
    listed = ada.get("/tasks?sort=created_at").get_json()["data"]
    assert [task["title"] for task in listed] == ["C", "A", "B"]
    assert len({task["created_at"] for task in listed}) == 3


def test_an_old_version_is_a_conflict(ada: Person) -> None:
    task = ada.create_task(title="Old")
    for operation in ({"op": "update", "task": {"title": "New"}}, {"op": "delete"}):
        response = ada.post("/tasks/bulk", {"operations": [{**operation, "id": task["id"], "version": 9}]})
        assert response.status_code == 409
        assert list(details(response)) == ["operations.0.version"]
    assert titles(ada) == ["Old"]


def test_a_task_may_be_named_once(ada: Person) -> None:
    task = ada.create_task()
    twice = [{"op": "update", "id": task["id"], "task": {"title": "a"}}, {"op": "delete", "id": task["id"]}]
    assert ada.post("/tasks/bulk", {"operations": twice}).status_code == 422


def test_a_bulk_obeys_the_rules_of_single_changes(ada: Person, bob: Person) -> None:
    foreign, assigned = ada.create_task(title="Secret"), ada.create_task(assignee_id=bob.user_id)
    project = bob.post("/projects", {"key": "OPS", "name": "x"}).get_json()["data"]
    hidden = ada.post("/projects", {"key": "HID", "name": "x"}).get_json()["data"]
    operations = [
        {"op": "update", "id": foreign["id"], "task": {"title": "x"}},
        {"op": "delete", "id": foreign["id"]},
        {"op": "update", "id": assigned["id"], "task": {"status": "in_progress"}},
        {"op": "update", "id": assigned["id"] + 0, "task": {"title": "x"}},
        {"op": "create", "task": {"title": "In mine", "project_id": project["id"]}},
        {"op": "create", "task": {"title": "In hers", "project_id": hidden["id"]}},
    ]
    response = bob.post("/tasks/bulk", {"operations": operations, "atomic": False})
    assert [answer["status"] for answer in results(response)] == [403, 422, 200, 422, 201, 403]
    assert "Secret" not in response.text
    refused = bob.post("/tasks/bulk", {"operations": operations[:1]})
    assert refused.status_code == 403


@on_sqlite
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "operations"),
        ({"operations": []}, "operations"),
        ({"operations": [{"op": "create", "task": {"title": "x"}}] * 101}, "operations"),
        ({"operations": {}}, "operations"),
        ({"operations": ["x"]}, "operations.0"),
        ({"operations": [{}]}, "operations.0.op"),
        ({"operations": [{"op": "move"}]}, "operations.0.op"),
        ({"operations": [{"op": "delete", "id": "x"}]}, "operations.0.id"),
        ({"operations": [{"op": "create", "task": ["x"]}]}, "operations.0.task"),
        ({"operations": [{"op": "delete", "id": 1, "version": 0}]}, "operations.0.version"),
        ({"operations": [{"op": "delete", "id": 1, "colour": 0}]}, "operations.0.colour"),
        ({"operations": [{"op": "delete", "id": 1}], "atomic": "no"}, "atomic"),
    ],
)
def test_a_malformed_bulk_is_refused_as_a_whole(ada: Person, body: dict[str, Any], field: str) -> None:
    response = ada.post("/tasks/bulk", body)
    assert response.status_code == 422
    assert list(details(response)) == [field]


@pytest.mark.parametrize("count", [3, 99])
def test_a_bulk_costs_the_same_number_of_statements_whatever_its_size(
    ada: Person, bob: Person, statements: list[str], count: int
) -> None:
    project = ada.post("/projects", {"key": "OPS", "name": "x"}).get_json()["data"]
    creates = [
        {"op": "create", "task": {"title": f"{n}", "project_id": project["id"], "assignee_id": bob.user_id}}
        for n in range(count)
    ]
    made = results(ada.post("/tasks/bulk", {"operations": creates}))
    third = count // 3
    operations = [{"op": "update", "id": row["id"], "task": {"title": "New"}} for row in made[:third]]
    operations += [{"op": "delete", "id": row["id"]} for row in made[third : 2 * third]]
    operations += creates[:third]
    statements.clear()
    answers = results(ada.post("/tasks/bulk", {"operations": operations}))
    assert len(answers) == 3 * third
    assert len(statements) <= 9, [s[:60] for s in statements]


# --- transfer -----------------------------------------------------------------------


def test_all_tasks_of_a_leaver_go_to_a_colleague(ada: Person, bob: Person, admin: Person) -> None:
    first, second = ada.create_task(title="a"), ada.create_task(title="b", assignee_id=bob.user_id)
    mine = bob.create_task(title="c")
    moved = data(admin.post("/tasks/transfer", {"from_user_id": ada.user_id, "to_user_id": bob.user_id}))
    assert moved == {"from_user_id": ada.user_id, "to_user_id": bob.user_id, "transferred": 2}
    assert titles(bob) == ["a", "b", "c"]
    assert titles(ada) == []
    for before in (first, second):
        after = data(bob.get(f"/tasks/{before['id']}"))
        assert (after["owner_id"], after["version"]) == (bob.user_id, 2)
        assert after["updated_at"] > before["updated_at"]
    assert data(bob.get(f"/tasks/{mine['id']}"))["version"] == 1


def test_the_giver_hands_over_some_of_their_own(ada: Person, bob: Person) -> None:
    task = ada.create_task(title="a")
    ada.create_task(title="b")
    body = {"from_user_id": ada.user_id, "to_user_id": bob.user_id, "task_ids": [task["id"]]}
    assert data(ada.post("/tasks/transfer", body))["transferred"] == 1
    assert titles(bob) == ["a"]
    again = ada.post("/tasks/transfer", body)
    assert again.status_code == 422
    assert details(again) == {"task_ids.0": ["The giver owns no such task."]}


def test_one_bad_task_and_nothing_moves(ada: Person, bob: Person, admin: Person) -> None:
    task, foreign = ada.create_task(title="a"), bob.create_task(title="b")
    for bad in (foreign["id"], 10**12):
        body = {"from_user_id": ada.user_id, "to_user_id": admin.user_id, "task_ids": [task["id"], bad]}
        response = ada.post("/tasks/transfer", body)
        assert response.status_code == 422
        assert list(details(response)) == ["task_ids.1"]
    assert titles(ada) == ["a"]


def test_a_receiver_that_cannot_be_used_gets_nothing(app: Flask, ada: Person, bob: Person, admin: Person) -> None:
    ada.create_task(title="a")
    with app.app_context(), transaction() as session:
        session.get_one(User, bob.user_id).is_active = False
    for person, receiver in ((ada, bob.user_id), (ada, 10**12), (ada, ada.user_id), (admin, 10**12)):
        response = person.post("/tasks/transfer", {"from_user_id": ada.user_id, "to_user_id": receiver})
        assert response.status_code == 422
        assert list(details(response)) == ["to_user_id"]
    unknown = admin.post("/tasks/transfer", {"from_user_id": 10**12, "to_user_id": ada.user_id})
    assert list(details(unknown)) == ["from_user_id"]
    assert titles(ada) == ["a"]


def test_nobody_takes_another_ones_tasks(ada: Person, bob: Person) -> None:
    ada.create_task(title="a")
    response = bob.post("/tasks/transfer", {"from_user_id": ada.user_id, "to_user_id": bob.user_id})
    assert response.status_code == 403
    assert titles(ada) == ["a"]


@on_sqlite
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"to_user_id": 1}, "from_user_id"),
        ({"from_user_id": 1}, "to_user_id"),
        ({"from_user_id": 1, "to_user_id": 2, "task_ids": []}, "task_ids"),
        ({"from_user_id": 1, "to_user_id": 2, "task_ids": [1, 1]}, "task_ids"),
        ({"from_user_id": 1, "to_user_id": 2, "task_ids": ["x"]}, "task_ids.0"),
        ({"from_user_id": 1, "to_user_id": 2, "task_ids": [0]}, "task_ids.0"),
        ({"from_user_id": 1, "to_user_id": 2, "task_ids": None}, "task_ids"),
        ({"from_user_id": 1, "to_user_id": 2, "task_ids": list(range(1, 1002))}, "task_ids"),
        ({"from_user_id": "me", "to_user_id": 2}, "from_user_id"),
    ],
)
def test_a_malformed_transfer_is_refused(ada: Person, body: dict[str, Any], field: str) -> None:
    response = ada.post("/tasks/transfer", body)
    assert response.status_code == 422
    assert list(details(response)) == [field]


def test_two_transfers_of_the_same_tasks_do_not_both_succeed(
    app: Flask, ada: Person, bob: Person, admin: Person
) -> None:
    ids = [ada.create_task()["id"] for _ in range(5)]
    codes: list[int] = []

    def give(to: Person) -> None:
        body = {"from_user_id": ada.user_id, "to_user_id": to.user_id, "task_ids": ids}
        codes.append(Person(app, tokens=ada.tokens).post("/tasks/transfer", body).status_code)

    threads = [threading.Thread(target=give, args=(person,)) for person in (bob, admin)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [200, 422]
    owners = {row["owner_id"] for row in data(admin.get("/tasks"))}
    assert len(owners) == 1
