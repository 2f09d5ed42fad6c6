"""Locks of each change: what it decides by is locked, strongly enough and in the order of docs/architecture.md.

A lock that is missing shows itself in a race that is lost once in a thousand times; its statement shows every time.
"""

import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from uuid import UUID

from flask import Flask

from core.files.repository import FileRepository
from core.mail.reminders import order_reminders
from core.platform import clock
from core.platform.access import Author, Via
from core.platform.database.session import transaction
from core.removal import references
from core.runs import lifecycle
from tests.support.database import empty
from tests.support.engines import on_postgresql
from tests.support.imports import run, upload
from tests.support.people import Person
from tests.support.world import TABLE, make_world

LOCKING = re.compile(r" FROM (\w+) .*?FOR ((?:NO KEY |KEY )?(?:UPDATE|SHARE).*)$")

ACCOUNT = ("users NO KEY UPDATE",)
TASK = ("tasks NO KEY UPDATE",)
PROJECT = ("projects NO KEY UPDATE",)
POST = ("posts NO KEY UPDATE",)
ITEM = ("items NO KEY UPDATE",)
JOB = ("jobs NO KEY UPDATE",)

# What is not here locks nothing: it only adds rows, or its one statement decides by itself.
LOCKS = {
    "POST /api/v1/auth/login": ACCOUNT,
    "POST /api/v1/auth/session": ACCOUNT,
    "POST /api/v1/auth/refresh": ("login_sessions NO KEY UPDATE",),
    "PATCH /api/v1/auth/me": ACCOUNT,
    "POST /api/v1/auth/password": ACCOUNT,
    "POST /api/v1/auth/password/reset": ACCOUNT,
    "POST /api/v1/users/<int:user_id>/password-reset": ACCOUNT,
    "PATCH /api/v1/auth/me/notifications": ACCOUNT,
    "POST /api/v1/notifications/unsubscribe/<token>": ACCOUNT,
    "POST /api/v1/auth/keys": ACCOUNT,
    "DELETE /api/v1/auth/keys/<int:key_id>": ("api_keys NO KEY UPDATE",),
    "PUT /api/v1/users/<int:user_id>": ACCOUNT,
    "PATCH /api/v1/users/<int:user_id>": ACCOUNT,
    "DELETE /api/v1/users/<int:user_id>": (*PROJECT, *ITEM, *TASK, *POST, "users UPDATE"),
    "PUT /api/v1/projects/<int:project_id>": PROJECT,
    "PATCH /api/v1/projects/<int:project_id>": PROJECT,
    "DELETE /api/v1/projects/<int:project_id>": ("projects UPDATE", *TASK),
    "PUT /api/v1/projects/<int:project_id>/members/<int:user_id>": PROJECT,
    "DELETE /api/v1/projects/<int:project_id>/members/<int:user_id>": PROJECT,
    "PUT /api/v1/tasks/<int:task_id>": TASK,
    "PATCH /api/v1/tasks/<int:task_id>": TASK,
    "DELETE /api/v1/tasks/<int:task_id>": TASK,
    "PUT /api/v1/tasks/<int:task_id>/status": TASK,
    "POST /api/v1/tasks/<int:task_id>/process": TASK,
    "POST /api/v1/tasks/<int:task_id>/restore": TASK,
    "POST /api/v1/tasks/transfer": TASK,
    "POST /api/v1/tasks/bulk": TASK,
    "PUT /api/v1/posts/<int:post_id>": POST,
    "PATCH /api/v1/posts/<int:post_id>": POST,
    "DELETE /api/v1/posts/<int:post_id>": POST,
    "PUT /api/v1/items/<int:item_id>": ITEM,
    "PATCH /api/v1/items/<int:item_id>": ITEM,
    "DELETE /api/v1/items/<int:item_id>": ("items UPDATE", *TASK),
    "DELETE /api/v1/jobs/<job_id>": JOB,
    "POST /api/v1/jobs/<job_id>/retry": JOB,
    "DELETE /api/v1/tasks/process/status/<job_id>": JOB,
}


def locks_of(statements: Sequence[str]) -> tuple[str, ...]:
    """Return the tables whose rows were locked, and how, each once and in the order of the first time.

    Where several rows may be locked at once, everybody has to begin with the same one.
    """
    found = [match for statement in statements if (match := LOCKING.search(" ".join(statement.split())))]
    for match in found:
        assert " ORDER BY " in match[0] or re.search(rf"{match[1]}\.id = %\(", match[0]), match[0]
        assert " DESC" not in match[0], match[0]
    return tuple(dict.fromkeys(f"{match[1]} {match[2]}" for match in found))


# SQLite has one writer, and locks no rows.
pytestmark = on_postgresql


def test_each_change_locks_what_it_decides_by(app: Flask, statements: list[str]) -> None:
    found = {}
    for operation, row in TABLE.items():
        method, rule = operation.split(" ")
        if method == "GET":
            continue
        world = make_world(app)
        if operation == "DELETE /api/v1/projects/<int:project_id>":
            assert world.people["admin"].patch(f"/tasks/{world.task_id}", {"project_id": None}).status_code == 200
        person = world.people[next(name for name in ("owner", "project_owner", "admin") if name in row.allowed)]
        token = person.tokens["refresh_token"] if rule.endswith("/refresh") else None
        options = {"data": row.form(world)} if row.form else {}
        body = row.body(world) if row.body else None
        statements.clear()
        answer = person.open(method, world.path(rule) + row.query(world), body, token=token, **options)
        assert answer.status_code == (row.answer or answer.status_code) < 500, operation
        if locks := locks_of(statements):
            found[operation] = locks
        empty(app)
    assert found == LOCKS


def test_background_work_locks_what_it_decides_by(app: Flask, ada: Person, statements: list[str]) -> None:
    tomorrow = clock.now().date() + timedelta(days=1)
    task_id = ada.create_task(due_date=tomorrow.isoformat())["id"]
    item_id = ada.create_item()["id"]
    job_id = ada.post(f"/tasks/{task_id}/process").get_json()["data"]["job_id"]
    tasks = upload(ada, f"id,title\n{task_id},Renamed\n", match="id").get_json()["data"]["job_id"]
    items = upload(ada, f"id,name\n{item_id},Renamed\n", kind="items", match="id").get_json()["data"]["job_id"]

    def locked_by(work: Callable[[], object]) -> tuple[str, ...]:
        statements.clear()
        with app.app_context():
            work()
        return locks_of(statements)

    def let_go_of_a_file() -> None:
        with transaction() as session:
            FileRepository(session).delete_unattached(UUID(int=0))

    assert locked_by(lambda: lifecycle.take_due(lease_seconds=30)) == ("jobs UPDATE OF jobs SKIP LOCKED",)
    token = lifecycle.new_token()
    attempts = [lifecycle.Attempt(UUID(job_id), 0)]
    assert locked_by(lambda: lifecycle.claim_all(attempts, token=token, lease_seconds=30)) == ()
    assert locked_by(lambda: lifecycle.give_up(UUID(job_id), token, error="It died.")) == JOB
    assert locked_by(lambda: run(app, job_id)) == TASK
    assert locked_by(lambda: run(app, tasks)) == TASK
    assert locked_by(lambda: run(app, items)) == ITEM
    assert locked_by(lambda: order_reminders(hour=0)) == ("tasks KEY SHARE OF tasks, users SKIP LOCKED",)
    assert locked_by(let_go_of_a_file) == ("files UPDATE",)


def test_what_a_user_is_to_do_is_locked_when_they_go_also_what_is_in_no_trash(
    app: Flask, ada: Person, bob: Person, statements: list[str]
) -> None:
    """Another transaction may have restored it after it was counted, so it has to be counted again under its lock."""
    ada.create_task(assignee_id=bob.user_id)
    with app.app_context(), transaction() as session:
        statements.clear()
        references.clear_owner(session, Author(ada.user_id, Via.API), user_id=bob.user_id)
        assert locks_of(statements) == TASK
