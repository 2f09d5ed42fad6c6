"""Every operation of the document, with a request for it that nothing is wrong with."""

import json
from collections.abc import Mapping

from flask import Flask
from flask_restx.swagger import extract_path
from werkzeug.test import EnvironBuilder

from tests.support.document import document_of
from tests.support.hostile import Operation, Request
from tests.support.world import TABLE, World


def credentials(world: World, name: str) -> dict[str, str]:
    """Return the header by which somebody who may use an operation shows who they are."""
    row = TABLE[name]
    if "anonymous" in row.allowed:
        return {}
    someone = next(identity for identity in ("owner", "project_owner", "admin") if identity in row.allowed)
    kind = "refresh_token" if name.endswith("/refresh") else "access_token"
    return {"Authorization": f"Bearer {world.people[someone].tokens[kind]}"}


def operations(app: Flask, world: World) -> list[Operation]:
    """Return all operations, each with a request by somebody who may do it."""
    document = document_of(app)
    found = []
    for name, row in TABLE.items():
        method, _, rule = name.partition(" ")
        body, headers = b"", credentials(world, name)
        if row.body:
            body = json.dumps(row.body(world)).encode()
            headers["Content-Type"] = "application/json"
        elif row.form:
            builder = EnvironBuilder(method="POST", data=row.form(world))
            environ = builder.get_environ()
            body, headers["Content-Type"] = environ["wsgi.input"].read(), environ["CONTENT_TYPE"]
            builder.close()

        def path(others: Mapping[str, str], rule: str = rule) -> str:
            for placeholder, text in others.items():
                rule = rule.replace(placeholder, text)
            return world.path(rule)

        query = row.query(world).removeprefix("?")
        sound = Request("sound", method, path({}), frozenset(), query, body, tuple(headers.items()))
        described = document["paths"][extract_path(rule).removeprefix("/api")][method.lower()]
        succeeds = row.answer is None
        found.append(Operation(rule, sound, described, document["definitions"], path, succeeds))
    return found
