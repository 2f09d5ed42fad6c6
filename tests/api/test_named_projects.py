"""A question that names a project is never answered with an empty list that means "not yours" or "no such thing"."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from tests.support.document import document_of
from tests.support.people import Person
from tests.support.world import World, make_world

NOWHERE = 999_999_999

# What operations that take `project_id` need besides.
NEEDED = {"/v1/search": {"q": "task"}}


def asked(app: Flask) -> dict[str, Callable[[World, Person, int], Any]]:
    """Return every question that can name a project, each as a function; those in URLs as the document has them."""
    questions: dict[str, Callable[[World, Person, int], Any]] = {}
    for template, methods in document_of(app)["paths"].items():
        for method, operation in methods.items():
            if method == "parameters" or not any(
                parameter["name"] == "project_id" and parameter["in"] == "query"
                for parameter in operation.get("parameters", [])
            ):
                continue

            def ask(world: World, person: Person, number: int, template: str = template, method: str = method) -> Any:
                path = template.replace("{user_id}", str(world.people["owner"].user_id))
                query = NEEDED.get(template, {}) | {"project_id": str(number)}
                return person.open(method.upper(), f"/api{path}", query_string=query)

            questions[f"{method.upper()} {template}"] = ask
    questions["POST /v1/reports"] = lambda world, person, number: person.post("/reports", {"project_id": number})
    for kind, more in (("tasks", {}), ("tasks", {"deleted": "true"})):
        order = {"kind": kind, "format": "csv"}
        questions[f"POST /v1/exports {kind} {more}"] = lambda world, person, number, order=order, more=more: (
            person.post("/exports", {**order, "filters": {"project_id": number, **more}})
        )
    return questions


def test_the_document_names_the_questions_that_are_known(app: Flask) -> None:
    assert {name for name in asked(app) if name.startswith("GET")} == {
        "GET /v1/tasks",
        "GET /v1/users/{user_id}/tasks",
        "GET /v1/search",
        "GET /v1/stats",
    }


def test_whoever_names_a_project_hears_what_is_wrong_with_it(app: Flask) -> None:
    world = make_world(app)
    wrong = []
    for name, ask in asked(app).items():
        # Its owner is in no project: they gave the task to the team and left. Nor is its assignee.
        for who in ("stranger", "owner", "assignee"):
            answer = ask(world, world.people[who], world.project_id)
            if answer.status_code != 403:
                wrong.append(f"{name} answers {who} {answer.status_code}")
        for who in ("viewer", "editor", "project_owner", "admin"):
            answer = ask(world, world.people[who], world.project_id)
            if answer.status_code >= 300:
                wrong.append(f"{name} answers {who} {answer.status_code}")
            answer = ask(world, world.people[who], NOWHERE)
            body, field = (422, "filters.project_id") if "exports" in name else (422, "project_id")
            expected = body if name.startswith("POST") else 400
            if answer.status_code != expected or list(answer.get_json()["error"]["details"]) != [field]:
                wrong.append(f"{name} answers {who} {answer.text} where there is no project")
    assert wrong == []


@pytest.mark.parametrize("change", ["left", "deleted"])
def test_no_kept_answer_outlives_the_right_to_it(app: Flask, ada: Person, bob: Person, change: str) -> None:
    project_id = ada.post("/projects", {"key": "OPS", "name": "Operations"}).get_json()["data"]["id"]
    member = f"/projects/{project_id}/members/{bob.user_id}"
    assert ada.put(member, {"role": "viewer"}).status_code == 201
    paths = [f"/tasks?project_id={project_id}", f"/stats?project_id={project_id}"]
    paths.append(f"/search?q=task&project_id={project_id}")
    tags = {}
    for path in paths:
        for _ in range(2):
            answer = bob.get(path)
            assert answer.status_code == 200
        tags[path] = answer.headers["ETag"]
    if change == "left":
        assert ada.delete(member).status_code == 204
    else:
        assert ada.delete(f"/projects/{project_id}").status_code == 204
    for path in paths:
        for headers in ({}, {"If-None-Match": tags[path]}):
            assert bob.get(path, headers=headers).status_code == (403 if change == "left" else 400)
