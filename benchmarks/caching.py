"""Measure what cached answers save: `python -m benchmarks.caching [<database URL> [<Redis URL>]]`.

The database must be empty or made by an earlier run; without one, an SQLite
file is used for this run. Prints the median time of a request in this process, through the whole
application but for the network: made anew, made and cached, found in the cache,
and known by its tag to be unchanged. It is processor time, which other work on
the machine does not disturb; what a database or Redis server does in another
process, and waiting for it, comes on top.
"""

import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import flask_migrate
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select, update

from api import create_app
from api.http.door import tokens
from core.auth import accounts
from core.auth import service as auth
from core.items import service as items
from core.platform.access import Actor
from core.platform.cache.answers import cache
from core.platform.cache.marks.model import ChangeMark
from core.platform.config.load import load_settings
from core.platform.database.base import db
from core.platform.database.session import transaction
from core.posts import service as posts
from core.tasks import service as tasks
from core.tasks.model import Task
from core.users.repository import UserRepository

ROUNDS = 150
PASSWORD = "correct horse battery"  # noqa: S105 - of nobody, in a database of its own
TASKS = 200
TEXT = "Everything that has to be done before the end of the month, in two sentences. " * 3


def fill(app: Flask) -> str:
    """Make one person with tasks, posts and items; return a token of theirs."""
    with app.app_context():
        flask_migrate.upgrade()
        user = UserRepository(db.session()).find_by_login("bench")
        if user is None:
            user = accounts.create(username="bench", email="bench@example.com", password=PASSWORD)
        actor = Actor(user.id, user.role)
        if not db.session.scalar(select(func.count()).select_from(Task)):
            for number in range(TASKS):
                task = tasks.create(actor, title=f"Task {number}", description=TEXT)
                posts.create(actor, title=f"Post {number}", content=TEXT, task_id=task.id)
                items.create(actor, name=f"Item {number}", price=Decimal(number), description=TEXT)
        with transaction() as session:
            grant = auth.open_session(session, user, lifetime=timedelta(days=1))
        return str(tokens.issue(grant)["access_token"])


def median(work: Callable[[], object], before: Callable[[], object] = lambda: None) -> float:
    """Return the microseconds of `work`, each time after `before`."""
    for _ in range(5):
        before()
        work()
    times = []
    for _ in range(ROUNDS):
        before()
        start = time.thread_time()
        work()
        times.append((time.thread_time() - start) * 1e6)
    return statistics.median(times)


def without_cache(client: FlaskClient, path: str, headers: dict[str, str]) -> float:
    """Measure as if nothing was ever cached."""
    find, keep = cache.get, cache.set
    cache.get, cache.set = lambda key, **how: None, lambda key, value, **how: None  # type: ignore[method-assign]
    try:
        return median(lambda: client.get(path, headers=headers))
    finally:
        cache.get, cache.set = find, keep  # type: ignore[method-assign]


def measure(app: Flask, name: str, token: str) -> None:
    """Print the times of some reads."""
    client = app.test_client()
    headers = {"Authorization": f"Bearer {token}"}
    number = client.get("/api/v1/tasks", headers=headers).get_json()["data"][0]["id"]
    for path in (
        "/tasks",
        "/tasks?per_page=100",
        f"/tasks/{number}",
        "/posts",
        "/items",
        "/users",
        "/search?q=month",
        "/stats",
    ):
        url = "/api/v1" + path

        def drop() -> None:
            # Under other marks, nothing is found.
            with app.app_context(), transaction() as session:
                session.execute(update(ChangeMark).values(mark=secrets.token_hex(8)))

        anew = without_cache(client, url, headers)
        missed = median(lambda url=url: client.get(url, headers=headers), drop)  # type: ignore[misc]
        tag = client.get(url, headers=headers).headers["ETag"]
        hit = median(lambda url=url: client.get(url, headers=headers))  # type: ignore[misc]
        known = {**headers, "If-None-Match": tag}
        unchanged = median(lambda url=url, known=known: client.get(url, headers=known))  # type: ignore[misc]
        print(
            f"{name:<7} {path:<20} anew {anew:7.0f}  missed {missed:7.0f}  hit {hit:7.0f}  304 {unchanged:7.0f} us"
            f"   {anew / hit:4.1f} times"
        )


def main() -> None:
    """Measure with each backend."""
    with tempfile.TemporaryDirectory() as folder:
        url = sys.argv[1] if len(sys.argv) > 1 else f"sqlite:///{folder}/bench.db"
        backends = [("memory", ""), *([("redis", sys.argv[2])] if len(sys.argv) > 2 else [])]
        for backend, redis_url in backends:
            overrides = {"database_url": url, "cache.backend": backend, "cache.url": redis_url, "secret_key": "b" * 40}
            settings = load_settings("testing", environ={"TASKLANE_INSTANCE_PATH": folder}, overrides=overrides)
            app = create_app(settings=settings)
            measure(app, backend, fill(app))
            with app.app_context():
                db.engine.dispose()


if __name__ == "__main__":
    main()
