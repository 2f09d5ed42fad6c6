"""Rights on operations: every route and method, driven as each kind of caller, against one table.

A route without a row fails, and so does a row without a route.
"""

import pytest
from flask import Flask

from tests.support.database import empty
from tests.support.world import IDENTITIES, TABLE, UNAUTHENTICATED, World, make_world, permission_of, routes


def test_every_route_has_a_row_and_every_row_a_route(app: Flask) -> None:
    assert set(TABLE) == routes(app)


def test_what_is_outside_of_the_table_is_the_same_for_everybody(app: Flask) -> None:
    """The documents, their page, and probes; each is a way to something that the table has or that is no secret."""
    outside = {rule.rule for rule in app.url_map.iter_rules() if not rule.rule.startswith("/api/v1/")}
    pages = {"/api/", "/api/reference", "/api/ui/<version>/<name>"}
    documents = {"/api/openapi.json", "/api/swagger.json"}
    assert outside == documents | {"/", "/health", "/health/ready"} | pages


@pytest.mark.parametrize("operation", TABLE)
def test_everybody_gets_what_the_table_says(app: Flask, operation: str) -> None:
    row = TABLE[operation]
    method, rule = operation.split(" ")
    wrong: dict[str, str] = {}
    world: World | None = None
    for identity in IDENTITIES:
        if world is None:
            world = make_world(app)
            if operation == "DELETE /api/v1/projects/<int:project_id>":
                world.people["admin"].patch(f"/tasks/{world.task_id}", {"project_id": None})
        person = world.people["owner" if identity == "key" else identity]
        token = person.tokens.get("refresh_token") if rule.endswith("/refresh") else None
        body = row.body(world) if row.body else None
        headers = {}
        if identity == "key":
            token, headers = "", {"X-API-Key": world.key_without(permission_of(app, method, rule))}
        options = {"data": row.form(world)} if row.form else {}
        path = world.path(rule) + row.query(world)
        response = person.open(method, path, body, token=token, headers=headers, **options)
        if identity in row.allowed:
            expected = str(row.answer or "2xx")
            right = response.status_code == row.answer if row.answer else response.status_code < 300
        else:
            expected = "401" if identity in UNAUTHENTICATED else "403"
            right = str(response.status_code) == expected
        if not right:
            wrong[identity] = f"{response.status_code} instead of {expected}: {response.text[:200]}"
        if response.status_code < 300 and method != "GET":
            # Whoever succeeded has changed the world; the next one gets a new one.
            empty(app)
            world = None
    assert wrong == {}
