"""Backups of both databases, made while Tasklane works, and restored as an operator does it."""

import os
import signal
import sqlite3
import tarfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import flask_migrate
import pytest
from flask import Flask
from sqlalchemy import func, select

from api import create_app
from core.jobs.model import Job
from core.operations.backup import service
from core.operations.backup.engines import BackupError
from core.platform.config.load import load_settings
from core.platform.config.settings import SECRETS
from core.platform.database.base import db
from core.tasks.model import Task, TaskChange
from tests.support.commands import Done, Operator
from tests.support.engines import on_postgresql, on_sqlite
from tests.support.loaded import Forked, loaded
from tests.support.people import make_person
from tests.support.servers import PostgresServer


@dataclass
class Installation:
    """A database and an instance folder, and the commands of Tasklane on them."""

    folder: Path
    database_url: str
    tools: str

    def __post_init__(self) -> None:
        self.path = f"{self.tools}:{os.environ['PATH']}"
        self.operator = Operator(self.folder, self.database_url)

    def start(self, *arguments: str | Path) -> Forked:
        """Start what is killed in the middle."""
        environ = self.operator.environ({"PATH": self.path})
        return loaded.start([str(argument) for argument in arguments], environ, self.folder.with_suffix(".log"))

    def process(self, *arguments: str | Path) -> Done:
        return self.operator.process(*map(str, arguments), PATH=self.path)

    def run(self, *arguments: str | Path) -> Done:
        return self.operator.run(*map(str, arguments), PATH=self.path)

    def app(self) -> Flask:
        app = create_app(settings=load_settings(environ=self.operator.environ({})))
        with app.app_context():
            flask_migrate.upgrade()
        return app


@pytest.fixture
def install(
    new_database_url: Callable[[], str], engine_name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> Callable[[str], Installation]:
    tools = ""
    if engine_name == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        tools = str(server.tools)

    def make(name: str) -> Installation:
        folder = tmp_path / name
        folder.mkdir()
        return Installation(folder, new_database_url(), tools)

    return make


def close(app: Flask) -> None:
    with app.app_context():
        db.engine.dispose()


def test_a_backup_is_one_moment_and_comes_back_on_another_machine(
    install: Callable[[str], Installation], tmp_path: Path
) -> None:
    here, there = install("here"), install("there")
    app = here.app()
    ada = make_person(app, "ada")
    key = ada.post("/auth/keys", {"name": "CI", "scopes": ["tasks:read"]}).get_json()["data"]["key"]
    done, written = threading.Event(), []

    def write() -> None:
        while not done.is_set():
            written.append(ada.create_task()["id"])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        backup = here.process("backup", tmp_path / "one.tar.gz")
    finally:
        done.set()
        writer.join()
    assert (backup.returncode, backup.stderr) == (0, "")
    assert backup.stdout.startswith(f"{tmp_path / 'one.tar.gz'} has the ")
    assert (tmp_path / "one.tar.gz").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    close(app)

    restore = there.run("restore", tmp_path / "one.tar.gz")
    assert (restore.returncode, restore.stderr) == (0, "")
    restored = there.app()
    assert restored.extensions["tasklane"].secret_key == app.extensions["tasklane"].secret_key
    with restored.app_context():
        count = db.session.scalar(select(func.count()).select_from(Task)) or 0
        # Every task was stored together with its history and the job of its e-mail, and is here with them.
        assert db.session.scalar(select(func.count(TaskChange.task_id.distinct()))) == count
        assert db.session.scalar(select(func.count()).select_from(Job).where(Job.kind == "email.task_created")) == count
    assert 0 < count < len(written)
    # Neither tokens nor keys notice that it is another machine, and the next number is a new one.
    same = ada.at(restored)
    assert same.get("/tasks", token="", headers={"X-API-Key": key}).status_code == 200
    assert same.create_task()["id"] > count
    found = same.get("/search?q=plants").get_json()
    assert found["data"]
    close(restored)


def test_what_is_there_is_only_replaced_on_demand_and_never_under_somebody(
    install: Callable[[str], Installation], tmp_path: Path
) -> None:
    here = install("here")
    app = here.app()
    ada = make_person(app, "ada")
    first = ada.create_task(title="In the backup")
    close(app)
    assert here.run("backup", tmp_path / "one.tar.gz").returncode == 0
    assert (
        here.run("backup", tmp_path / "one.tar.gz").stderr == f"tasklane: {tmp_path / 'one.tar.gz'} exists already.\n"
    )
    later = ada.create_task(title="After it")
    close(app)

    refused = here.run("restore", tmp_path / "one.tar.gz")
    assert (refused.returncode, "--replace" in refused.stderr) == (1, True)
    with app.app_context(), db.engine.connect() as connection:
        connection.exec_driver_sql("SELECT 1")
        refused = here.process("restore", "--replace", tmp_path / "one.tar.gz")
    assert refused.returncode == 1
    assert refused.stderr == "tasklane: The database is in use. Stop Tasklane, then restore.\n"
    close(app)
    assert ada.get(f"/tasks/{later['id']}").status_code == 200
    close(app)

    assert here.run("restore", "--replace", tmp_path / "one.tar.gz").returncode == 0
    assert ada.get(f"/tasks/{first['id']}").get_json()["data"]["title"] == "In the backup"
    assert ada.get(f"/tasks/{later['id']}").status_code == 404
    close(app)


def test_who_is_refused_a_restore_keeps_database_and_secrets(
    install: Callable[[str], Installation], tmp_path: Path
) -> None:
    here, there = install("here"), install("there")
    make_person(here.app(), "ada")
    assert here.run("backup", tmp_path / "one.tar.gz").returncode == 0
    app = there.app()
    bob = make_person(app, "bob")
    secrets = {name: (there.folder / name).read_bytes() for name in SECRETS}
    with app.app_context(), db.engine.connect() as connection:
        connection.exec_driver_sql("SELECT 1")
        assert there.process("restore", "--replace", tmp_path / "one.tar.gz").returncode == 1
    close(app)
    assert {name: (there.folder / name).read_bytes() for name in SECRETS} == secrets
    assert bob.get("/auth/me").status_code == 200
    close(app)
    # With nobody there it does what it is told, and then bob is a stranger here.
    assert there.run("restore", "--replace", tmp_path / "one.tar.gz").returncode == 0
    assert {name: (there.folder / name).read_bytes() for name in SECRETS} == {
        name: (here.folder / name).read_bytes() for name in SECRETS
    }
    assert list(there.folder.glob(".*")) == []


def test_a_restore_that_is_killed_leaves_the_old_state_or_the_new_one(
    install: Callable[[str], Installation], tmp_path: Path
) -> None:
    here = install("here")
    app = here.app()
    ada = make_person(app, "ada")
    for _ in range(20):
        ada.create_task(description="x" * 5000)
    close(app)
    assert here.run("backup", tmp_path / "one.tar.gz").returncode == 0
    assert ada.delete("/tasks/1").status_code == 204
    close(app)
    seen, killed = set(), []
    left = set(here.folder.glob(".restore-*"))
    for seconds in (0, 0.02, 0.04, None):
        running = here.start("restore", "--replace", tmp_path / "one.tar.gz")
        # It unpacks into such a folder first, and has that until the end.
        while running.poll() is None and not set(here.folder.glob(".restore-*")) - left:
            time.sleep(0.001)
        if seconds is not None:
            time.sleep(seconds)
            running.send_signal(signal.SIGKILL)
        running.wait(60)
        left = set(here.folder.glob(".restore-*"))
        killed.append(running.returncode == -signal.SIGKILL)
        # PostgreSQL notices only when it next writes to the client that is gone.
        status = ada.get("/tasks/1").status_code
        tasks = ada.get("/tasks").get_json()["meta"]["pagination"]["total"]
        assert (status, tasks) in ((404, 19), (200, 20))
        seen.add(status)
        close(app)
    assert 200 in seen
    assert any(killed)


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def kill_while_it_works(running: Forked, folder: Path, *, has_child: bool) -> None:
    wait_for(lambda: running.poll() is not None or list(folder.glob(".tasklane-*")))
    wait_for(lambda: not has_child or children_of(running.pid))
    children = children_of(running.pid) if has_child else []
    running.send_signal(signal.SIGKILL)
    running.wait(60)
    wait_for(lambda: not any(is_alive(child) for child in children))


def test_a_backup_that_is_killed_leaves_nothing_that_grows(
    install: Callable[[str], Installation], tmp_path: Path, engine_name: str
) -> None:
    here = install("here")
    app = here.app()
    ada = make_person(app, "ada")
    for _ in range(20):
        ada.create_task(description="x" * 5000)
    folder = tmp_path / "backups"
    folder.mkdir()
    with app.app_context(), db.engine.connect() as connection:
        if engine_name == "postgresql":
            # So that the dump waits, and writes nothing by which it would notice that its reader is gone.
            connection.exec_driver_sql("LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE")
        for _ in range(2):
            kill_while_it_works(here.start("backup", folder), folder, has_child=engine_name == "postgresql")
            # The second has removed what the first has left.
            assert len(list(folder.glob(".*"))) <= 1
    close(app)
    for path in folder.glob("*.gz"):
        path.unlink()
    done = here.run("backup", folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert [path.suffix for path in folder.iterdir()] == [".gz"]


def wait_for(condition: Callable[[], object], seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.002)


def test_what_is_no_whole_backup_is_refused_and_changes_nothing(
    install: Callable[[str], Installation], tmp_path: Path, engine_name: str
) -> None:
    here = install("here")
    app = here.app()
    ada = make_person(app, "ada")
    ada.create_task()
    close(app)
    assert here.run("backup", tmp_path / "whole.tar.gz").returncode == 0
    whole = (tmp_path / "whole.tar.gz").read_bytes()
    (tmp_path / "short.tar.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.tar.gz").write_text("no backup")
    settings = app.extensions["tasklane"]
    (tmp_path / "parts").mkdir()
    with tarfile.open(tmp_path / "whole.tar.gz") as archive:
        for part in ("manifest.json", "database"):
            content = archive.extractfile(part)
            assert content
            (tmp_path / "parts" / part).write_bytes(content.read())
    for name, change in (
        ("newer", ('"revision": "', '"revision": "9')),
        ("format", ('"format": 1', '"format": 2')),
        ("engine", (f'"{engine_name}"', '"oracle"')),
        ("digest", ('"sha256": "', '"sha256": "0')),
    ):
        manifest = (tmp_path / "parts" / "manifest.json").read_text()
        changed = tmp_path / "manifest.json"
        changed.write_text(manifest.replace(*change))
        with tarfile.open(tmp_path / f"{name}.tar.gz", "w:gz") as archive:
            archive.add(changed, "manifest.json")
            archive.add(tmp_path / "parts" / "database", "database")
    for name, reason in (
        ("short", "is not a backup of Tasklane, or damaged"),
        ("text", "is not a backup of Tasklane, or damaged"),
        ("newer", "by a newer version of Tasklane"),
        ("format", "by a newer version of Tasklane"),
        ("engine", "The backup is of oracle"),
        ("digest", "is damaged"),
        ("absent", "There is no file"),
    ):
        with pytest.raises(BackupError, match=reason):
            service.restore(settings, tmp_path / f"{name}.tar.gz", replace=True)
    refused = here.run("restore", "--replace", tmp_path / "text.tar.gz")
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (1, "", 1)
    assert here.run("restore", "--check", tmp_path / "whole.tar.gz").stdout.endswith(" MB).\n")
    assert ada.get("/tasks/1").status_code == 200
    assert sorted(path.name for path in here.folder.iterdir() if path.name.startswith(".")) == []
    close(app)


@on_sqlite
def test_only_the_newest_are_kept(install: Callable[[str], Installation], tmp_path: Path) -> None:
    here = install("here")
    assert here.run("backup", tmp_path).stderr == "tasklane: The database is empty, so there is nothing to back up.\n"
    close(here.app())
    folder = tmp_path / "backups"
    folder.mkdir()
    for day in (1, 2, 3):
        (folder / f"tasklane-2025010{day}T000000Z.tar.gz").touch()
    (folder / "something-else.tar.gz").touch()
    done = here.run("backup", folder, "--keep", "2")
    assert done.returncode == 0
    assert done.stdout.count("is deleted") == 2
    kept = sorted(path.name for path in folder.iterdir())
    assert kept[:2] == ["something-else.tar.gz", "tasklane-20250103T000000Z.tar.gz"]
    assert len(kept) == 3
    for file in (folder / "new.tar.gz", folder / "something-else.tar.gz", here.folder / "secret_key"):
        assert here.run("backup", file, "--keep", "2").stderr == "tasklane: --keep needs a folder.\n"
    assert sorted(path.name for path in folder.iterdir()) == kept


@on_sqlite
def test_a_folder_that_is_missing_is_made_for_its_owner_only(
    install: Callable[[str], Installation], tmp_path: Path
) -> None:
    here = install("here")
    place = tmp_path / "var" / "backups"
    assert here.run("backup", f"{place}/").returncode == 1
    assert not place.parent.exists(), "there was nothing to back up"
    close(here.app())
    for arguments in ((f"{place}/",), (place / "daily", "--keep", "1"), (f"{place}/2026.gz/", "--keep", "1")):
        done = here.run("backup", *arguments)
        assert (done.returncode, done.stderr) == (0, "")
        folder = Path(arguments[0])
        (made,) = folder.glob("tasklane-*Z.tar.gz")
        assert done.stdout.startswith(f"{made} has ")
        assert {path.stat().st_mode & 0o777 for path in (folder, place, place.parent)} == {0o700}
    (tmp_path / "file").touch()
    for target, sentence in (
        (f"{tmp_path}/file/", f"{tmp_path}/file is not a folder."),
        (f"{tmp_path}/file/below/", f"The folder {tmp_path}/file/below cannot be made: Not a directory."),
    ):
        refused = here.run("backup", target)
        assert (refused.returncode, refused.stderr) == (1, f"tasklane: {sentence}\n")
    for arguments in (("x" * 300,), ("x" * 300, "--keep", "1"), (f"{'x' * 300}/",)):
        refused = here.run("backup", *arguments)
        assert (refused.returncode, refused.stderr.endswith(": File name too long.\n")) == (1, True)


def test_a_file_that_is_named_from_the_instance_folder_on_is_backed_up_and_restored(tmp_path: Path) -> None:
    operator = Operator(tmp_path / "instance", "sqlite:///own.db")
    operator.run("init-db")
    assert operator.run("backup", "one.tar.gz").returncode == 0
    assert operator.run("restore", "--replace", "one.tar.gz").returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["instance", "one.tar.gz"]


@on_sqlite
def test_only_its_owner_reads_what_was_restored(install: Callable[[str], Installation], tmp_path: Path) -> None:
    here, there = install("here"), install("there")
    close(here.app())
    assert here.run("backup", tmp_path / "one.tar.gz").returncode == 0
    path = Path(there.database_url.removeprefix("sqlite:///"))
    for mode, kept in ((None, 0o600), (0o644, 0o600), (0o600, 0o600)):
        if mode is not None:
            path.chmod(mode)
        done = there.run("restore", "--replace", tmp_path / "one.tar.gz")
        assert (done.returncode, done.stderr) == (0, "")
        assert path.stat().st_mode & 0o777 == kept
    # What is written next goes into the file beside it first.
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE alembic_version SET version_num = version_num")
        database.commit()
        assert {file.stat().st_mode & 0o777 for file in path.parent.glob(f"{path.name}*")} == {0o600}
        assert path.with_name(f"{path.name}-wal").exists()


@on_postgresql
def test_without_the_tools_of_postgresql_it_says_what_to_install(
    install: Callable[[str], Installation], tmp_path: Path
) -> None:
    here = install("here")
    close(here.app())
    done = here.operator.run("backup", str(tmp_path), PATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith("tasklane: pg_dump is not installed.")
