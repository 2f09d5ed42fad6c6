"""Every route with who may use it, and people in every relation to one task, one project and what hangs on them."""

import io
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

from flask import Flask
from sqlalchemy import select

from core.mail.model import MailKind
from core.mail.preferences import unsubscribe_token
from core.platform.access import Permission, Role
from core.platform.database.base import db
from core.platform.database.session import transaction
from core.users.model import User
from tests.support.database import Snapshot
from tests.support.people import Person, make_people

IDENTITIES = (
    "anonymous",
    "inactive",
    # The owner's API key, without the scope that the operation asks for.
    "key",
    "stranger",
    "viewer",
    "assignee",
    "editor",
    "project_owner",
    "owner",
    "admin",
)

ACTIVE = frozenset(IDENTITIES) - {"anonymous", "inactive", "key"}
UNAUTHENTICATED = frozenset({"anonymous", "inactive"})
PUBLIC = frozenset(IDENTITIES)
OWNER = frozenset({"owner", "admin"})
ADMIN = frozenset({"admin"})
# The owner of the task is in no project: they gave the task to the team and left.
TASK_SEEN = ACTIVE - {"stranger"}
TASK_CHANGED = frozenset({"owner", "editor", "project_owner", "admin"})
TASK_WORKED_ON = TASK_CHANGED | {"assignee"}
TASK_DELETED = frozenset({"owner", "project_owner", "admin"})
PROJECT_SEEN = frozenset({"viewer", "editor", "project_owner", "admin"})
PROJECT_FILLED = PROJECT_SEEN - {"viewer"}
PROJECT_MANAGED = frozenset({"project_owner", "admin"})


@dataclass(frozen=True)
class Row:
    """Callers who succeed; all others get 401 without credentials that count, and 403 with them."""

    allowed: frozenset[str]
    body: Callable[["World"], Any] | None = None
    # Parts of a form instead of a JSON body.
    form: Callable[["World"], dict[str, Any]] | None = None
    query: Callable[["World"], str] = lambda world: ""
    answer: int | None = None


TABLE: dict[str, Row] = {
    "GET /api/v1/welcome": Row(PUBLIC),
    "GET /api/v1/greet/<path:name>": Row(PUBLIC),
    "GET /api/v1/echo": Row(PUBLIC),
    "GET /api/v1/health": Row(PUBLIC),
    "GET /api/v1/health/ready": Row(PUBLIC),
    "POST /api/v1/auth/register": Row(
        PUBLIC, lambda w: {"username": "newcomer", "email": "new@example.com", "password": "a long password"}
    ),
    "POST /api/v1/auth/login": Row(PUBLIC, lambda w: {"username": "stranger", "password": "correct horse battery"}),
    "POST /api/v1/auth/refresh": Row(ACTIVE),
    "POST /api/v1/auth/logout": Row(ACTIVE),
    "POST /api/v1/auth/logout-all": Row(ACTIVE),
    "GET /api/v1/auth/me": Row(ACTIVE),
    "PATCH /api/v1/auth/me": Row(ACTIVE, lambda w: {"name": "Somebody"}),
    "POST /api/v1/auth/password": Row(
        ACTIVE, lambda w: {"old_password": "correct horse battery", "new_password": "another long one"}
    ),
    # Whoever has forgotten their password cannot say who they are, except by a token.
    "POST /api/v1/auth/password/forgotten": Row(PUBLIC, lambda w: {"username": "owner"}),
    "POST /api/v1/auth/password/reset": Row(
        PUBLIC, lambda w: {"token": w.reset_token, "new_password": "another long one"}
    ),
    "POST /api/v1/users/<int:user_id>/password-reset": Row(ADMIN),
    "GET /api/v1/auth/me/notifications": Row(ACTIVE),
    "PATCH /api/v1/auth/me/notifications": Row(ACTIVE, lambda w: {"task_reminder": False}),
    # Whoever has the link of a message may end such messages.
    "GET /api/v1/notifications/unsubscribe/<token>": Row(PUBLIC),
    "POST /api/v1/notifications/unsubscribe/<token>": Row(PUBLIC),
    "POST /api/v1/auth/session": Row(PUBLIC, lambda w: {"username": "stranger", "password": "correct horse battery"}),
    "DELETE /api/v1/auth/session": Row(ACTIVE),
    "GET /api/v1/auth/keys": Row(ACTIVE),
    "POST /api/v1/auth/keys": Row(ACTIVE, lambda w: {"name": "New", "scopes": ["tasks:read"]}),
    # A key is its owner's alone; what an administrator can do is deactivate the account.
    "GET /api/v1/auth/keys/<int:key_id>": Row(frozenset({"owner"})),
    "DELETE /api/v1/auth/keys/<int:key_id>": Row(frozenset({"owner"})),
    "GET /api/v1/users": Row(ACTIVE),
    "POST /api/v1/users": Row(
        ADMIN, lambda w: {"username": "newcomer", "email": "new@example.com", "password": "a long password"}
    ),
    "GET /api/v1/users/<int:user_id>": Row(OWNER),
    "PUT /api/v1/users/<int:user_id>": Row(OWNER, lambda w: {"username": "renamed", "email": "re@example.com"}),
    "PATCH /api/v1/users/<int:user_id>": Row(OWNER, lambda w: {"name": "Somebody"}),
    "DELETE /api/v1/users/<int:user_id>": Row(OWNER, query=lambda w: f"?transfer_to={w.people['stranger'].user_id}"),
    "GET /api/v1/users/<int:user_id>/tasks": Row(ACTIVE),
    "GET /api/v1/projects": Row(ACTIVE),
    "POST /api/v1/projects": Row(ACTIVE, lambda w: {"key": "NEW", "name": "New"}),
    "GET /api/v1/projects/<int:project_id>": Row(PROJECT_SEEN),
    "PUT /api/v1/projects/<int:project_id>": Row(PROJECT_MANAGED, lambda w: {"key": "OPS", "name": "Changed"}),
    "PATCH /api/v1/projects/<int:project_id>": Row(PROJECT_MANAGED, lambda w: {"name": "Changed"}),
    "DELETE /api/v1/projects/<int:project_id>": Row(PROJECT_MANAGED),
    "GET /api/v1/projects/<int:project_id>/members": Row(PROJECT_SEEN),
    "GET /api/v1/projects/<int:project_id>/members/<int:user_id>": Row(PROJECT_SEEN),
    "PUT /api/v1/projects/<int:project_id>/members/<int:user_id>": Row(PROJECT_MANAGED, lambda w: {"role": "editor"}),
    # The member is the viewer, and everybody may leave.
    "DELETE /api/v1/projects/<int:project_id>/members/<int:user_id>": Row(PROJECT_MANAGED | {"viewer"}),
    "GET /api/v1/tasks": Row(ACTIVE),
    "POST /api/v1/tasks": Row(PROJECT_FILLED, lambda w: {"title": "New", "project_id": w.project_id}),
    "GET /api/v1/tasks/<int:task_id>": Row(TASK_SEEN),
    "PUT /api/v1/tasks/<int:task_id>": Row(
        TASK_CHANGED, lambda w: {"title": "Changed", "status": "pending", "project_id": w.project_id}
    ),
    "PATCH /api/v1/tasks/<int:task_id>": Row(TASK_CHANGED, lambda w: {"title": "Changed"}),
    "DELETE /api/v1/tasks/<int:task_id>": Row(TASK_DELETED),
    "PUT /api/v1/tasks/<int:task_id>/status": Row(TASK_WORKED_ON, lambda w: {"status": "in_progress"}),
    "POST /api/v1/tasks/<int:task_id>/process": Row(TASK_WORKED_ON),
    "GET /api/v1/tasks/<int:task_id>/history": Row(TASK_SEEN),
    # It is not in the trash, which only those hear who could restore it.
    "POST /api/v1/tasks/<int:task_id>/restore": Row(TASK_DELETED, answer=409),
    "POST /api/v1/tasks/transfer": Row(
        OWNER, lambda w: {"from_user_id": w.people["owner"].user_id, "to_user_id": w.people["stranger"].user_id}
    ),
    "POST /api/v1/tasks/bulk": Row(
        TASK_CHANGED,
        lambda w: {"operations": [{"op": "update", "id": w.task_id, "task": {"title": "Changed"}}]},
    ),
    "GET /api/v1/tasks/<int:task_id>/posts": Row(TASK_SEEN),
    "POST /api/v1/tasks/<int:task_id>/posts": Row(TASK_SEEN, lambda w: {"title": "New", "content": "Text"}),
    "GET /api/v1/posts": Row(ACTIVE),
    "POST /api/v1/posts": Row(TASK_SEEN, lambda w: {"title": "New", "content": "Text", "task_id": w.task_id}),
    "GET /api/v1/posts/<int:post_id>": Row(TASK_SEEN),
    "PUT /api/v1/posts/<int:post_id>": Row(OWNER, lambda w: {"title": "Changed", "content": "Text"}),
    "PATCH /api/v1/posts/<int:post_id>": Row(OWNER, lambda w: {"title": "Changed"}),
    "DELETE /api/v1/posts/<int:post_id>": Row(OWNER),
    "GET /api/v1/users/<int:user_id>/posts": Row(ACTIVE),
    "GET /api/v1/items": Row(ACTIVE),
    "POST /api/v1/items": Row(ACTIVE, lambda w: {"name": "New", "price": 1}),
    "GET /api/v1/items/<int:item_id>": Row(ACTIVE),
    "PUT /api/v1/items/<int:item_id>": Row(OWNER, lambda w: {"name": "Changed", "price": 1}),
    "PATCH /api/v1/items/<int:item_id>": Row(OWNER, lambda w: {"name": "Changed"}),
    "DELETE /api/v1/items/<int:item_id>": Row(OWNER),
    "GET /api/v1/items/by-sku/<rest:sku>": Row(ACTIVE),
    "GET /api/v1/search": Row(ACTIVE, query=lambda w: "?q=task"),
    "GET /api/v1/security-events": Row(ACTIVE),
    "GET /api/v1/stats": Row(ACTIVE),
    "GET /api/v1/users/<int:user_id>/profile": Row(OWNER),
    "POST /api/v1/reports": Row(PROJECT_SEEN, lambda w: {"project_id": w.project_id}),
    "GET /api/v1/upstreams": Row(ACTIVE),
    # None is configured here, which everybody who may ask is told.
    "GET /api/v1/upstreams/<name>/<path:path>": Row(ACTIVE, answer=404),
    "POST /api/v1/upstreams/<name>/<path:path>": Row(ACTIVE, lambda w: {}, answer=404),
    "POST /api/v1/imports": Row(
        ACTIVE, form=lambda w: {"kind": "items", "file": (io.BytesIO(b"name,price\nPrinter,5\n"), "items.csv")}
    ),
    "POST /api/v1/exports": Row(ACTIVE, lambda w: {"kind": "tasks", "format": "csv"}),
    "GET /api/v1/jobs": Row(ACTIVE),
    "GET /api/v1/jobs/<job_id>": Row(OWNER),
    "DELETE /api/v1/jobs/<job_id>": Row(OWNER),
    # It has not failed, which only those hear who may read it.
    "POST /api/v1/jobs/<job_id>/retry": Row(OWNER, answer=409),
    "GET /api/v1/jobs/<job_id>/result": Row(OWNER, answer=409),
    "GET /api/v1/tasks/process/status/<job_id>": Row(OWNER),
    "DELETE /api/v1/tasks/process/status/<job_id>": Row(OWNER),
}


class World:
    """People in every relation to one task, one project and what hangs on them."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        roles = {name: Role.USER for name in IDENTITIES if name not in ("anonymous", "key")}
        self.people = make_people(app, roles | {"admin": Role.ADMIN})
        self.people["anonymous"] = Person(app)
        boss, owner = self.people["project_owner"], self.people["owner"]
        self.project_id = boss.post("/projects", {"key": "OPS", "name": "Operations"}).get_json()["data"]["id"]
        for name, role in (("viewer", "viewer"), ("editor", "editor"), ("owner", "editor")):
            member = f"/projects/{self.project_id}/members/{self.people[name].user_id}"
            assert boss.put(member, {"role": role}).status_code == 201
        assignee_id = self.people["assignee"].user_id
        self.task_id = owner.create_task(project_id=self.project_id, assignee_id=assignee_id)["id"]
        self.job_id = owner.post(f"/tasks/{self.task_id}/process").get_json()["data"]["job_id"]
        post = {"title": "Done so far", "content": "Half of it.", "task_id": self.task_id}
        self.post_id = owner.post("/posts", post).get_json()["data"]["id"]
        item = {"name": "Server", "price": 19.99, "sku": "SRV/1"}
        self.item_id = owner.post("/items", item).get_json()["data"]["id"]
        self.key_id = owner.post("/auth/keys", {"name": "CI", "scopes": ["tasks:read"]}).get_json()["data"]["id"]
        assert boss.delete(f"/projects/{self.project_id}/members/{owner.user_id}").status_code == 204
        link = self.people["admin"].post(f"/users/{owner.user_id}/password-reset")
        self.reset_token = link.get_json()["data"]["token"]
        secret_keys = app.extensions["tasklane"].secret_keys
        self.link = unsubscribe_token(owner.user_id, MailKind.TASK_CREATED, secret_keys=secret_keys)
        with app.app_context(), transaction() as session:
            session.get_one(User, self.people["inactive"].user_id).is_active = False

    def as_it_was(self) -> "World":
        """Return the same world with people who hold the tokens of now, whatever they do with them afterwards."""
        world = copy(self)
        world.people = {name: replace(person, tokens=dict(person.tokens)) for name, person in self.people.items()}
        return world

    def key_without(self, permission: Permission) -> str:
        """Return an API key of the owner that has another scope than this."""
        scope = Permission.SEARCH_READ if permission is not Permission.SEARCH_READ else Permission.ITEMS_READ
        made = self.people["owner"].post("/auth/keys", {"name": "Narrow", "scopes": [scope]})
        key: str = made.get_json()["data"]["key"]
        return key

    def path(self, rule: str) -> str:
        """Fill in the rule with what the world holds."""
        # A project is only deleted when it is empty; whose membership is meant is the viewer's.
        values = {
            "<path:name>": "Ada",
            "<name>/<path:path>": "nobody/home",
            "<int:project_id>": self.project_id,
            "<int:user_id>": self.people["viewer"].user_id if "/members/" in rule else self.people["owner"].user_id,
            "<int:task_id>": self.task_id,
            "<int:post_id>": self.post_id,
            "<int:item_id>": self.item_id,
            "<rest:sku>": "SRV/1",
            "<int:key_id>": self.key_id,
            "<job_id>": self.job_id,
            "<token>": self.link,
        }
        for name, value in values.items():
            rule = rule.replace(name, str(value))
        assert "<" not in rule, rule
        return rule


# The first world of an application, and the rows that it consists of.
_first: dict[Flask, tuple[World, Snapshot]] = {}


def make_world(app: Flask) -> World:
    """Return a world in an empty database. After the first one, only its rows are put back."""
    if app not in _first or _first[app][1].is_old:
        with app.app_context(), db.engine.connect() as connection:
            assert not connection.scalar(select(User.id)), "a world begins from nothing"
        _first[app] = (World(app), Snapshot(app))
    else:
        _first[app][1].put_back()
    return _first[app][0].as_it_was()


def permission_of(app: Flask, method: str, rule: str) -> Permission:
    """Return what the operation asks for."""
    endpoint = next(found.endpoint for found in app.url_map.iter_rules() if found.rule == rule)
    view: Any = app.view_functions[endpoint]
    permission: Permission = view.view_class.permissions[method]
    return permission


def routes(app: Flask) -> set[str]:
    return {
        f"{method} {rule.rule}"
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/v1/")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
