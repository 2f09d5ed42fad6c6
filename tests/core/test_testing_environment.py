"""Tests of somebody, written as a course writes them, lose nobody's data."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import flask_migrate
import pytest
from flask import Flask
from sqlalchemy import text

from api import create_app
from core.bootstrap import create_core_app
from core.operations.commands.process import share_folder
from core.platform.config.errors import ConfigError
from core.platform.config.keys import LEADING_OUT
from core.platform.config.load import ROOT, load_settings
from core.platform.config.settings import Settings
from core.platform.config.testing import MARK
from core.platform.database.base import db
from tests.support.commands import Operator

CONFTEST = """
import sys
sys.path.insert(0, {root!r})

import pytest
from api import create_app
from core.platform.database.base import db

@pytest.fixture
def app():
    app = create_app("testing")
    with app.app_context():
        db.create_all()
        yield app
        db.session.remove()
        db.drop_all()

@pytest.fixture
def client(app):
    return app.test_client()
"""
TESTS = """
import pytest

GRACE = {"username": "grace", "email": "grace@example.com", "password": "a long password"}

@pytest.mark.parametrize("round", [1, 2])
def test_grace_starts_with_nothing_each_time(client, round):
    assert client.post("/api/v1/auth/register", json=GRACE).status_code == 201
    token = client.post("/api/v1/auth/login", json={
        "username": "grace", "password": GRACE["password"]}).json["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert client.get("/api/v1/tasks", headers=headers).json["data"] == []
    assert client.post("/api/v1/tasks", json={"title": "Milk"}, headers=headers).status_code == 201
    assert len(client.get("/api/v1/tasks", headers=headers).json["data"]) == 1
    assert client.get("/api/v1/search?q=milk", headers=headers).json["data"][0]["title"] == "Milk"
    assert client.get("/api/v1/tasks").status_code == 401
"""
# What of another environment could be meant, whatever it is called.
OTHERS = {
    "DATABASE_URL": "sqlite:////srv/others.db",
    "TASKLANE_DATABASE_URL": "sqlite:////srv/others.db",
    "REDIS_URL": "redis://others.example/0",
    "CACHE_URL": "redis://others.example/1",
    "MAIL_SERVER": "others.example",
    "MAIL_USERNAME": "others",
    "MAIL_PASSWORD": "others",
    "TASKLANE_MAIL__SERVER": "others.example",
    "SENTRY_DSN": "https://others@others.example/1",
    "TASKLANE_LOG__FILE": "/srv/others.log",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "config.toml").write_text((ROOT / "config.toml").read_text())
    (tmp_path / "instance").mkdir()
    return tmp_path


def values_of(settings: Settings) -> list[str]:
    return [
        settings.database_url,
        settings.redis_url,
        settings.cache.url,
        settings.mail.server,
        settings.mail.username,
        settings.mail.password,
        settings.sentry.dsn,
        settings.log.file,
    ]


def as_toml(table: str) -> str:
    return f"""
[{table}]
database_url = "sqlite:////srv/others.db"
redis_url = "redis://others.example/0"
[{table}.cache]
url = "redis://others.example/1"
[{table}.mail]
server = "others.example"
[{table}.log]
file = "/srv/others.log"
"""


def test_nothing_of_another_environment_is_taken_from_any_layer(project: Path) -> None:
    (project / ".env").write_text("\n".join(f"{name}={value}" for name, value in OTHERS.items()))
    (project / "instance" / "config.toml").write_text(as_toml("default"))
    text = (project / "config.toml").read_text()
    (project / "config.toml").write_text(text.replace('database_url = ""', 'database_url = "sqlite:////srv/others.db"'))
    settings = load_settings("testing", environ=OTHERS, root=project)
    assert not [value for value in values_of(settings) if "others" in value]
    assert not settings.instance_path.is_relative_to(project)
    assert settings.database_url == f"sqlite:///{settings.instance_path}/tasklane.db"


def test_the_table_for_tests_does_not_name_the_database_either(project: Path) -> None:
    (project / "instance" / "config.toml").write_text(as_toml("testing"))
    settings = load_settings("testing", environ={}, root=project)
    assert "others" not in settings.database_url
    assert settings.redis_url == "redis://others.example/0"


def test_each_application_of_tests_has_a_database_of_its_own_that_goes(project: Path) -> None:
    first, second = (load_settings("testing", environ={}, root=project) for _ in range(2))
    assert first.database_url != second.database_url
    code = "from core.platform.config.load import load_settings; print(load_settings('testing').instance_path)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not Path(done.stdout.strip()).exists()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file::memory:?uri=true"])
def test_a_database_in_memory_is_a_file_that_goes(project: Path, url: str) -> None:
    settings = load_settings("testing", environ={"TEST_DATABASE_URL": url}, root=project)
    assert settings.database_url == f"sqlite:///{settings.instance_path}/tasklane.db"


def test_variables_for_tests_are_taken_by_tests_alone(project: Path) -> None:
    own = {"TEST_DATABASE_URL": "sqlite:///of_tests.db", "TEST_REDIS_URL": "redis://127.0.0.1:1/0"}
    settings = load_settings("testing", environ=own, root=project)
    assert settings.database_url == f"sqlite:///{project}/instance/of_tests.db"
    assert settings.redis_url == own["TEST_REDIS_URL"]
    assert load_settings(environ=own, root=project).sources["database_url"] == "embedded"


@pytest.mark.parametrize(
    ("names", "is_used"), [([], True), (["config.toml"], True), ([MARK, "outbox"], True), (["outbox"], False)]
)
def test_the_instance_folder_of_another_environment_is_not_written(
    tmp_path: Path, names: list[str], is_used: bool
) -> None:
    named = tmp_path / "instance"
    named.mkdir()
    for name in names:
        (named / name).touch()
    settings = load_settings("testing", environ={"TASKLANE_INSTANCE_PATH": str(named)})
    assert (settings.instance_path == named) is is_used
    assert (named / MARK).exists() is is_used


def test_processes_that_a_process_of_tests_starts_share_its_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKLANE_ENV", "testing")
    monkeypatch.setenv("TASKLANE_INSTANCE_PATH", "")
    parent = load_settings()
    share_folder(parent)
    child = load_settings()
    assert (child.instance_path, child.database_url) == (parent.instance_path, parent.database_url)


def test_all_that_leads_out_is_in_the_table(project: Path) -> None:
    assert set(LEADING_OUT) >= {"database_url", "redis_url", "cache.url", "mail.server", "sentry.dsn"}


# --- databases of others -------------------------------------------------------------


@pytest.fixture
def make_app(tmp_path: Path, new_database_url: Callable[[], str]) -> Callable[..., Flask]:
    """Return a function that makes an application of any environment on the same database."""
    url = new_database_url()

    def make(env: str) -> Flask:
        name = "TEST_DATABASE_URL" if env == "testing" else "DATABASE_URL"
        secrets = {"SECRET_KEY": "s" * 40, "JWT_SECRET_KEY": "j" * 40, "REDIS_URL": "redis://127.0.0.1:1/0"}
        environ = {"TASKLANE_INSTANCE_PATH": str(tmp_path / env), name: url, **secrets}
        return create_core_app(settings=load_settings(env, environ=environ))

    return make


def migrate(app: Flask) -> None:
    with app.app_context():
        flask_migrate.upgrade()
        db.engine.dispose()


def test_tests_do_not_run_on_a_database_that_another_environment_has_migrated(make_app: Callable[..., Flask]) -> None:
    early = make_app("testing")
    migrate(make_app("production"))
    refused = "Tests would destroy .* the production environment has migrated it"
    with pytest.raises(ConfigError, match=refused):
        make_app("testing")
    with early.app_context():
        for touch in (db.engine.connect, db.create_all, db.drop_all):
            with pytest.raises(ConfigError, match=refused):
                touch()
        db.session.remove()


def test_tests_do_not_run_on_a_database_that_was_migrated_before_there_were_marks(
    make_app: Callable[..., Flask],
) -> None:
    app = make_app("production")
    migrate(app)
    with app.app_context():
        with db.engine.begin() as connection:
            if connection.dialect.name == "sqlite":
                connection.execute(text("PRAGMA application_id = 0"))
            else:
                connection.execute(text("COMMENT ON TABLE alembic_version IS NULL"))
        db.engine.dispose()
    with pytest.raises(ConfigError, match=r"Tests would destroy .* another environment"):
        make_app("testing")


def test_a_database_of_tests_is_theirs_until_another_environment_migrates_it(make_app: Callable[..., Flask]) -> None:
    for _ in range(2):
        migrate(make_app("testing"))
    migrate(make_app("development"))  # It is at the newest version already, and changes hands all the same.
    with pytest.raises(ConfigError, match="the development environment"):
        make_app("testing")


def test_only_tests_drop_all_tables_whatever_the_application_says_of_itself(make_app: Callable[..., Flask]) -> None:
    app = make_app("development")
    migrate(app)
    app.config["TESTING"] = app.testing = True
    with app.app_context():
        with pytest.raises(ConfigError, match="Tests would destroy"):
            db.drop_all()
        db.engine.dispose()


def test_all_is_made_and_dropped_as_often_as_one_likes(make_app: Callable[..., Flask]) -> None:
    app = make_app("testing")
    with app.app_context():
        for _ in range(2):
            db.create_all()
            db.session.execute(text("SELECT * FROM tasks"))
            db.drop_all()
            assert not db.inspect(db.engine).get_table_names()
        db.engine.dispose()


@pytest.mark.slow
def test_a_command_of_the_testing_environment_refuses_in_one_sentence(tmp_path: Path) -> None:
    operator = Operator(tmp_path / "instance")
    assert operator.run("init-db").returncode == 0
    url = f"sqlite:///{tmp_path}/instance/tasklane.db"
    done = operator.process("init-db", TASKLANE_ENV="testing", TEST_DATABASE_URL=url)
    assert done.returncode == 1
    assert done.stderr.startswith("tasklane: Tests would destroy what is in this database: the development environment")
    assert len(done.stderr.splitlines()) == 1


def test_an_application_of_tests_is_not_even_made_on_such_a_database(tmp_path: Path) -> None:
    assert Operator(tmp_path / "instance").run("init-db").returncode == 0
    settings = load_settings("testing", environ={"TEST_DATABASE_URL": f"sqlite:///{tmp_path}/instance/tasklane.db"})
    with pytest.raises(ConfigError, match="Tests would destroy"):
        create_app(settings=settings)


@pytest.mark.slow
def test_the_tests_of_a_course_pass_and_leave_everything_as_it_was(tmp_path: Path) -> None:
    operator = Operator(tmp_path / "instance")
    for command in (["init-db"], ["seed"]):
        assert operator.run(*command).returncode == 0
    before = {path: path.read_bytes() for path in operator.instance.iterdir() if path.is_file()}
    tests = tmp_path / "course" / "tests"
    tests.mkdir(parents=True)
    (tests / "conftest.py").write_text(CONFTEST.format(root=str(ROOT)))
    (tests / "test_course.py").write_text(TESTS)
    environ = operator.environ({"DATABASE_URL": f"sqlite:///{operator.instance}/tasklane.db"})
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tests)]
    done = subprocess.run(command, cwd=tests.parent, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert {path: path.read_bytes() for path in operator.instance.iterdir() if path.is_file()} == before
