"""The company that is measured with: believable, repeatable, complete after an interruption, alike on both engines."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import flask_migrate
import pytest
from flask import Flask
from sqlalchemy import func, select

from benchmarks.company import rows, store
from benchmarks.company.rows import Size
from core.bootstrap import create_core_app
from core.items.model import Item
from core.jobs.model import Job
from core.platform import clock, passwords
from core.platform.config.load import ROOT
from core.platform.config.settings import Settings
from core.platform.database.base import db
from core.platform.database.session import transaction
from core.platform.errors import Conflict
from core.posts.model import Post
from core.projects.model import Project, ProjectMember, ProjectRole
from core.tasks.fields import TaskStatus
from core.tasks.model import Task
from core.users.model import User
from tests.support.commands import Operator
from tests.support.database import empty


@pytest.fixture(scope="module")
def installation(new_database_url: Callable[[], str], make_settings: Callable[..., Settings]) -> Iterator[Flask]:
    """An application on a database of its own."""
    app = create_core_app(settings=make_settings(new_database_url(), "redis://127.0.0.1:1"))
    with app.app_context():
        flask_migrate.upgrade()
        yield app
        db.engine.dispose()


@pytest.fixture
def company(installation: Flask) -> Iterator[Flask]:
    """The same, with nothing in it."""
    with installation.app_context():
        yield installation
        db.session.remove()
    empty(installation)


def count(model: Any) -> int:
    return db.session.scalar(select(func.count()).select_from(model)) or 0


def seed(size: Size = Size.SMALL, number: int = 1) -> tuple[str | None, list[int]]:
    return store.begin(size, seed=number), list(store.fill(size))


def test_a_small_company_has_everything_and_orders_no_work(company: Flask) -> None:
    password, stored = seed()
    assert stored == [100]
    counts = {model: count(model) for model in (User, Task, Post, Item, Project)}
    assert counts == {User: 10, Task: 100, Post: 30, Item: 15, Project: 5}
    assert count(Job) == 0
    hashes = db.session.scalars(select(User.password_hash).distinct()).all()
    assert len(hashes) == 1
    assert password is not None
    assert passwords.verify_password(hashes[0], password)


def test_the_data_is_believable(company: Flask) -> None:
    seed()
    now = clock.now()
    joined = {user.id: user.created_at for user in db.session.scalars(select(User))}
    tasks = list(db.session.scalars(select(Task).order_by(Task.id)))
    assert {task.status for task in tasks} == set(TaskStatus)
    assert [task.created_at for task in tasks] == sorted(task.created_at for task in tasks)
    assert tasks[0].created_at < now - timedelta(days=300)
    assert tasks[-1].created_at > now - timedelta(days=30)
    for task in tasks:
        assert joined[task.owner_id] < task.created_at <= task.updated_at <= now
        assert (task.completed_at is None) == (task.status is not TaskStatus.COMPLETED)
        assert task.completed_at is None or task.created_at < task.completed_at <= now
        assert task.due_date is None or task.due_date > task.created_at.date()
    writers = {
        (member.project_id, member.user_id)
        for member in db.session.scalars(select(ProjectMember).where(ProjectMember.role != ProjectRole.VIEWER))
    }
    assert any(task.project_id for task in tasks)
    assert all((task.project_id, task.owner_id) in writers for task in tasks if task.project_id)
    owned = set(db.session.scalars(select(ProjectMember.project_id).where(ProjectMember.role == ProjectRole.OWNER)))
    assert owned == set(db.session.scalars(select(Project.id)))
    about = {task.id: task.created_at for task in tasks}
    posts = list(db.session.scalars(select(Post)))
    assert any(post.task_id for post in posts)
    assert all(about[post.task_id] <= post.created_at <= now for post in posts if post.task_id)
    assert len({task.title for task in tasks}) > 80


def test_it_satisfies_the_rules_of_the_models(company: Flask) -> None:
    """Rows that are inserted in bulk pass no validation of the models, so this does it afterwards."""
    seed()
    checked = ("title", "name", "description", "content", "username", "email", "price", "sku", "key")
    for model in (User, Task, Post, Item, Project):
        names = [name for name in checked if hasattr(model, name)]
        for row in db.session.scalars(select(model)):
            values = {name: getattr(row, name) for name in names}
            again = model(**values)
            assert {name: getattr(again, name) for name in names} == values


def test_repeating_it_changes_nothing_and_another_size_comes_beside_it(company: Flask) -> None:
    seed()
    assert seed() == (None, [])
    assert seed(number=2) == (None, [])
    assert count(Task) == 100
    assert store.missing(Size.SMALL) == 0
    store.begin(Size.MEDIUM, seed=1)
    assert count(User) == 210
    assert store.missing(Size.MEDIUM) == 10_000


def test_the_seed_decides_what_comes_out(
    new_database_url: Callable[[], str], make_settings: Callable[..., Settings]
) -> None:
    def made_with(number: int) -> list[Any]:
        app = create_core_app(settings=make_settings(new_database_url(), "redis://127.0.0.1:1"))
        with app.app_context():
            flask_migrate.upgrade()
            seed(number=number)
            tasks = db.session.execute(select(Task.title, Task.status, Task.created_at, Task.due_date, Task.owner_id))
            users = db.session.execute(select(User.username))
            made = [*tasks.all(), *users.all()]
            db.session.remove()
            db.engine.dispose()
        return made

    first = made_with(1)
    assert made_with(1) == first
    assert made_with(2) != first


def test_what_was_interrupted_goes_on_where_it_stopped(company: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "PART", 30)
    store.begin(Size.SMALL, seed=5)
    parts = store.fill(Size.SMALL)
    assert [next(parts), next(parts)] == [30, 30]
    parts.close()
    assert store.missing(Size.SMALL) == 40
    assert seed() == (None, [30, 10])
    assert count(Task) == 100
    newest = db.session.scalars(select(Task.created_at).order_by(Task.id)).all()
    assert newest[-1] - newest[0] > timedelta(days=300)


def test_a_name_that_is_taken_stops_it_before_anything_is_stored(company: Flask) -> None:
    seed()
    taken = db.session.scalars(select(User.username)).first()
    assert taken is not None
    with transaction() as session:
        marker = session.scalars(select(Project).where(Project.key == "DEMOSMALL")).one()
        marker.key = "OTHER"
    with pytest.raises(Conflict):
        store.begin(Size.SMALL, seed=1)
    assert count(User) == 10


@pytest.mark.slow
def test_the_command_may_be_repeated(tmp_path: Path) -> None:
    operator = Operator(tmp_path / "instance")
    assert operator.run("init-db").returncode == 0

    def fill(*arguments: str) -> str:
        command = [sys.executable, "-m", "benchmarks.company", *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=operator.environ({}), stdout=subprocess.PIPE, text=True, timeout=60, check=True
        )
        return done.stdout

    first = fill("small", "--seed", "3")
    assert re.search(r"10 accounts at small\.example\.com created, with the password \S{16}\n", first)
    assert "100 tasks of the small company created.\n" in first
    assert fill("small") == "The small company is there already.\n"
    assert len(operator.run("user", "list").stdout.splitlines()) == 10
