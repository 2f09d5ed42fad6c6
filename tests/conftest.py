"""Fixtures: real databases, a real Redis-protocol server, and people who use the API."""

import gc
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import flask_migrate
import pytest
from argon2 import PasswordHasher
from flask import Flask

from api import create_app
from api.http.door import limiters
from core.platform import clock, passwords
from core.platform.access import Role
from core.platform.config.load import ROOT, load_settings
from core.platform.config.settings import Settings
from core.platform.database.base import db
from core.platform.logs.lines import JsonLines
from core.platform.text.redaction import Redactor
from tests.support.applications import remaking, urls_built_on_demand
from tests.support.database import empty, forget_power_cuts, recorded_statements
from tests.support.engines import engines_of
from tests.support.loading import load_in_turn
from tests.support.measured import repeats
from tests.support.order import spread
from tests.support.people import PASSWORD, Person, make_person
from tests.support.servers import EncryptedRedis, PostgresServer, RedisServer

# Where Python has been told to store no bytecode, each worker would compile thousands of assertions anew (7 s of CPU),
# and each of the hundreds of processes that tests start all of our modules.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# What needs a server that is no part of Python.
SERVERS = {"postgres", "redis_server", "own_redis_server", "engine_name"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as `quick` what starts none of the servers and is not `slow`: some thirteen hundred tests.

    And what coverage need not look at.
    """
    for item in items:
        folder = item.path.relative_to(ROOT / "tests").parts[0]
        starts_servers = SERVERS & set(getattr(item, "fixturenames", ()))
        is_slow = item.get_closest_marker("slow") is not None
        if folder in ("api", "architecture", "core") and not starts_servers and not is_slow:
            item.add_marker("quick")
        if repeats(item.path.relative_to(ROOT / "tests").as_posix()):
            item.add_marker("no_cover")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what needs a database on both engines, unless its file (tests/support/engines.py) or the test chooses."""
    marks = metafunc.definition.iter_markers("parametrize")
    if "engine_name" in metafunc.fixturenames and not any("engine_name" in mark.args[0] for mark in marks):
        file = metafunc.definition.path.relative_to(ROOT / "tests").as_posix()
        metafunc.parametrize("engine_name", engines_of(file), indirect=True, scope="session")


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Share with the other processes what it costs to load all tests for the first time."""
    if session.config.args_source is pytest.Config.ArgsSource.TESTPATHS:
        load_in_turn(os.environ.get("PYTEST_XDIST_WORKER", ""), int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Put the tests into their order before xdist hears of them.

    And keep the collection of garbage from looking at all of them, and at all that was imported, over and over.
    """
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if processes > 1:
        session.items[:] = spread(session.items, processes)
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture(autouse=True)
def _push_request_context() -> None:
    """Replace pytest-flask's fixture of this name.

    It keeps one context open through a whole test, in which all requests would
    share one database session; real requests do not.
    """


class _Guard(logging.Handler):
    """Formats what the tests have logged as an installation would, and notes what looks like a secret."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.formatter = JsonLines(Redactor())
        self.leaks: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record)
        if re.search(rf"{PASSWORD}|eyJ[\w-]{{10,}}\.eyJ|tl_[0-9a-f]{{48}}|\$argon2id\$", line):
            self.leaks.append(line)


@pytest.fixture(scope="session", autouse=True)
def _no_line_of_any_test_tells_a_secret() -> Iterator[None]:
    guard = _Guard()
    log = logging.getLogger("tasklane")
    log.addHandler(guard)
    yield
    log.removeHandler(guard)
    assert guard.leaks == []


# What argon2 does at least. Each of the thousands of hashes of the tests would take as long as a dozen requests.
_CHEAP = PasswordHasher(memory_cost=8, time_cost=1, parallelism=1)
_DEAR = {"_hasher": passwords._hasher, "NOBODYS_HASH": passwords.NOBODYS_HASH}


@pytest.fixture(scope="session", autouse=True)
def _passwords_are_hashed_cheaply() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_hasher", _CHEAP)
        patch.setattr(passwords, "NOBODYS_HASH", _CHEAP.hash("nobody's"))
        yield


@pytest.fixture(scope="session", autouse=True)
def _urls_are_built_on_demand() -> Iterator[None]:
    with urls_built_on_demand():
        yield


@pytest.fixture
def dear_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash as an installation does, for those who are asked for after it."""
    for name, value in _DEAR.items():
        monkeypatch.setattr(passwords, name, value)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    server = PostgresServer()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def own_redis_server() -> Iterator[RedisServer]:
    """A server that a test may kill."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def encrypted_redis(own_redis_server: RedisServer) -> Iterator[EncryptedRedis]:
    """The same server, by `rediss://` and with a certificate that nobody has signed."""
    door = EncryptedRedis(own_redis_server)
    yield door
    door.close()


@pytest.fixture(scope="session")
def engine_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def new_database_url(
    engine_name: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], str]:
    def create() -> str:
        if engine_name == "sqlite":
            return f"sqlite:///{tmp_path_factory.mktemp('db') / 'test.db'}"
        server: PostgresServer = request.getfixturevalue("postgres")
        return server.create_database()

    return create


@pytest.fixture(scope="session")
def make_settings(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Settings]:
    def make(database_url: str, redis_url: str, **overrides: Any) -> Settings:
        keys = {name.replace("__", "."): value for name, value in overrides.items()}
        return load_settings(
            "testing",
            environ={"TASKLANE_INSTANCE_PATH": str(tmp_path_factory.mktemp("instance"))},
            overrides={"database_url": database_url, "redis_url": redis_url, **keys},
        )

    return make


@pytest.fixture(scope="session")
def _applications() -> Iterator[dict[str, Flask]]:
    made: dict[str, Flask] = {}
    yield made
    for app in made.values():
        with app.app_context():
            db.engine.dispose()


@pytest.fixture(scope="session")
def application(
    engine_name: str,
    new_database_url: Callable[[], str],
    make_settings: Callable[..., Settings],
    redis_server: RedisServer,
    _applications: dict[str, Flask],
) -> Flask:
    """The web application on a migrated database, once for each engine, in whatever order tests ask for them."""
    if engine_name not in _applications:
        app = create_app(settings=make_settings(new_database_url(), redis_server.url))
        with app.app_context():
            forget_power_cuts(db.engine)
            flask_migrate.upgrade()
        _applications[engine_name] = app
    return _applications[engine_name]


@pytest.fixture
def app(application: Flask, redis_server: RedisServer) -> Iterator[Flask]:
    yield application
    empty(application)
    redis_server.empty()


@pytest.fixture
def remake_app(app: Flask, make_settings: Callable[..., Settings]) -> Iterator[Callable[..., Flask]]:
    """Return a function that makes another application on the same database, with other settings."""
    with remaking(app, make_settings) as remake:
        yield remake


@pytest.fixture(scope="module")
def remake_for_module(application: Flask, make_settings: Callable[..., Settings]) -> Iterator[Callable[..., Flask]]:
    """Return the same, for applications that all tests of a file share."""
    with remaking(application, make_settings) as remake:
        yield remake


@pytest.fixture
def patient_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for Redis as long as a busy machine takes. Who waits a tenth of a second goes on counting elsewhere."""
    monkeypatch.setattr(limiters, "PATIENCE", 5.0)


@pytest.fixture
def anonymous(app: Flask) -> Person:
    return Person(app)


@pytest.fixture
def ada(app: Flask) -> Person:
    return make_person(app, "ada")


@pytest.fixture
def bob(app: Flask) -> Person:
    return make_person(app, "bob")


@pytest.fixture
def admin(app: Flask) -> Person:
    return make_person(app, "root.admin", Role.ADMIN)


@pytest.fixture
def statements(app: Flask) -> Iterator[list[str]]:
    """The SQL statements that were executed since the list was last emptied."""
    with recorded_statements(app) as seen:
        yield seen


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A function that sets the clock of the domain."""

    def move(moment: str) -> None:
        monkeypatch.setattr(clock, "now", lambda: datetime.fromisoformat(moment))

    return move


@pytest.fixture
def outbox(app: Flask) -> Path:
    """Folder that e-mails are written into; those of earlier tests are gone."""
    settings: Settings = app.extensions["tasklane"]
    folder = settings.instance_path / "outbox"
    for path in folder.glob("*.eml"):
        path.unlink()
    return folder


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT
