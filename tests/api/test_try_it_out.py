"""Swagger UI offers a request for each operation. On a fresh demo installation it works as it is offered."""

import io
import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import flask_migrate
import pytest
from flask import Flask
from flask_restx.swagger import extract_path
from werkzeug.datastructures import FileStorage
from werkzeug.test import TestResponse, encode_multipart

from api import create_app
from api.http.door import tokens
from core.auth import service as auth
from core.operations import demo as demo_data
from core.platform.access import Permission
from core.platform.config.settings import Settings
from core.platform.database.base import db
from core.platform.database.session import transaction
from core.users.repository import UserRepository
from tests.support.document import CheckedClient, document_of
from tests.support.servers import RedisServer
from tests.support.swagger_ui import NOTHING, offered_body, offered_parameter, sample
from tests.support.world import permission_of

# What can be done needs something that is there: things are made, looked at, changed, and taken away.
ORDER = ("post", "get", "put", "patch", "delete")
FIRST = ("/v1/auth/register", "/v1/auth/login", "/v1/auth/session")

# What nobody can fill in beforehand, and what a person would fill in.
FILLED_IN = {"token": "from-a-message"}

# Where only the state of a fresh demo installation is in the way, and what it is.
EXPLAINED = {
    ("post", "/v1/auth/password/reset"): (422, "tokens come by mail"),
    ("post", "/v1/auth/password"): (422, "nobody knows the password of the demo administrator"),
    ("post", "/v1/jobs/{job_id}/retry"): (409, "the job waits for a worker"),
    ("get", "/v1/jobs/{job_id}/result"): (409, "the job waits for a worker"),
    ("get", "/v1/notifications/unsubscribe/{token}"): (404, "tokens come by mail"),
    ("post", "/v1/notifications/unsubscribe/{token}"): (404, "tokens come by mail"),
    ("post", "/v1/tasks/{task_id}/restore"): (409, "the task is not in the trash"),
    ("get", "/v1/projects/{project_id}/members/{user_id}"): (404, "nobody was added yet"),
    ("get", "/v1/upstreams/{name}/{path}"): (404, "no upstream is configured"),
    ("post", "/v1/upstreams/{name}/{path}"): (404, "no upstream is configured"),
    ("delete", "/v1/jobs/{job_id}"): (409, "the job was cancelled just before"),
    ("delete", "/v1/users/{user_id}"): (409, "the account has tasks"),
}


@pytest.fixture(scope="module")
def demo(
    make_settings: Callable[..., Settings], redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Flask]:
    """A fresh installation as `manage.py dev` makes it. What is offered does not depend on the engine."""
    url = f"sqlite:///{tmp_path_factory.mktemp('demo') / 'demo.db'}"
    app = create_app(settings=make_settings(url, redis_server.url))
    with app.app_context():
        flask_migrate.upgrade()
        demo_data.create_demo_users()
        demo_data.create_example_tasks()
    app.test_client_class = CheckedClient
    yield app
    with app.app_context():
        db.engine.dispose()


class Visitor:
    """Presses Execute, logged in as the demo administrator, and types nothing that is not asked for."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.document = document_of(app)
        self.filled_in = dict(FILLED_IN)

    def execute(self, verb: str, template: str) -> TestResponse:
        item = self.document["paths"][template]
        operation = item[verb]
        values: dict[str, dict[str, Any]] = {"path": {}, "query": {}, "header": {}, "formData": {}}
        for parameter in [*item.get("parameters", []), *operation.get("parameters", [])]:
            if parameter["in"] == "body":
                continue
            value = self.filled_in.get(parameter["name"], offered_parameter(parameter))
            if parameter.get("type") == "file":
                value = FileStorage(io.BytesIO(b"title\nWater the plants\n"), "tasks.csv")
            assert value is not NOTHING or not parameter.get("required"), (
                f"{verb} {template}: nothing is offered for {parameter['name']}; see api.http.input.places."
            )
            if value is not NOTHING:
                values[parameter["in"]][parameter["name"]] = value
        path = template.format(**{name: quote(str(value), safe="") for name, value in values["path"].items()})
        headers = {**self._credentials(verb, template), **values["header"]}
        content: dict[str, Any] = {}
        body = offered_body(operation, self.document["definitions"])
        if body is not NOTHING:
            content = {"data": json.dumps(body), "content_type": "application/json"}
        elif values["formData"]:
            boundary, data = encode_multipart(values["formData"])
            content = {"data": data, "content_type": f"multipart/form-data; boundary={boundary}"}
        with self.app.test_client(use_cookies=False) as client:
            return client.open(
                "/api" + path, method=verb.upper(), query_string=values["query"], headers=headers, **content
            )

    def _credentials(self, verb: str, template: str) -> dict[str, str]:
        permission = permission_of(self.app, verb.upper(), _rule(self.app, verb, template))
        if permission is Permission.PUBLIC:
            return {}
        with self.app.app_context(), transaction() as session:
            user = UserRepository(session).find_by_login("admin")
            assert user is not None
            issued = tokens.issue(auth.open_session(session, user, lifetime=timedelta(days=1)))
        kind = "refresh_token" if permission is Permission.SESSION_REFRESH else "access_token"
        return {"Authorization": f"Bearer {issued[kind]}"}


def _rule(app: Flask, verb: str, template: str) -> str:
    return next(rule.rule for rule in app.url_map.iter_rules() if extract_path(rule.rule) == "/api" + template)


def _in_order(paths: dict[str, Any]) -> list[tuple[str, str]]:
    def rank(one: tuple[str, str]) -> tuple[int, int, int]:
        verb, path = one
        first = FIRST.index(path) if path in FIRST else len(FIRST)
        # What belongs to something is taken away before it.
        return first, ORDER.index(verb), -path.count("/") if verb == "delete" else 0

    return sorted(((verb, path) for path, item in paths.items() for verb in item if verb in ORDER), key=rank)


def test_every_operation_works_as_it_is_offered(demo: Flask) -> None:
    visitor = Visitor(demo)
    wrong = []
    explained = dict(EXPLAINED)
    for verb, template in _in_order(visitor.document["paths"]):
        if "{job_id}" in template and "job_id" not in visitor.filled_in:
            visitor.filled_in["job_id"] = visitor.execute("post", "/v1/exports").get_json()["data"]["job_id"]
        answer = visitor.execute(verb, template)
        code, why = explained.pop((verb, template), (0, ""))
        wanted = [code] if code else range(200, 300)
        if answer.status_code not in wanted:
            wrong.append(f"{verb} {template}: {answer.status_code}, not {code or '2xx'} {why}: {answer.text[:300]}")
    assert not wrong, "\n".join(wrong)
    assert not explained, "These are no operations."


def test_no_offered_number_is_larger_than_a_browser_can_write(demo: Flask) -> None:
    document = document_of(demo)
    models = document["definitions"]
    shown = {name: json.dumps(sample({"$ref": f"#/definitions/{name}"}, models)) for name in models}
    assert [name for name, text in shown.items() if re.search(r"\d{16}", text)] == []
