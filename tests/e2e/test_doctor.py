"""`manage.py doctor`: what is well, and each thing that may be wrong, with real servers."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.engine import make_url

from api import create_app
from core.operations.doctor.examination import examine
from core.operations.doctor.findings import Finding, Verdict
from core.platform import clock
from core.platform.config.settings import Settings
from core.platform.database.base import db
from tests.support.commands import Operator
from tests.support.engines import on_sqlite
from tests.support.people import Person
from tests.support.ports import free_port
from tests.support.servers import RedisServer

Remake = Callable[..., Flask]


def examined(app: Flask) -> dict[str, Finding]:
    """Return what is not well, by part."""
    with app.app_context():
        return {finding.part: finding for finding in examine() if finding.verdict is not Verdict.OK}


def test_a_redis_that_forgets_is_a_fault(remake_app: Remake, own_redis_server: RedisServer) -> None:
    with own_redis_server.client as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        client.config_set("appendonly", "no")
    app = remake_app(redis_url=own_redis_server.url)
    with app.app_context():
        found = [finding for finding in examine() if finding.part == "redis"]
    assert [(finding.verdict, finding.text) for finding in found] == [
        (Verdict.OK, "ok"),
        (Verdict.FAILED, "maxmemory-policy allkeys-lru"),
        (Verdict.WARNING, "appendonly no"),
    ]
    assert all(finding.advice for finding in found[1:])


def test_a_database_that_is_not_migrated_is_a_fault(app: Flask) -> None:
    with app.app_context():
        with db.engine.begin() as connection:
            head = connection.scalar(text("SELECT version_num FROM alembic_version"))
            connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
        try:
            found = examined(app)["database"]
        finally:
            with db.engine.begin() as connection:
                connection.execute(text("UPDATE alembic_version SET version_num = :head"), {"head": head})
    assert (found.verdict, found.text) == (Verdict.FAILED, "migrations: pending")
    assert found.advice == "Run `python manage.py db upgrade`."


def test_clocks_that_differ_are_noticed(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    now = clock.now
    for minutes, verdict in ((0.1, Verdict.WARNING), (5, Verdict.FAILED)):
        monkeypatch.setattr(clock, "now", lambda minutes=minutes: now() + timedelta(minutes=minutes))
        assert examined(app)["clock"].verdict is verdict


def test_a_mail_server_that_lets_nobody_in_is_a_fault(remake_app: Remake) -> None:
    app = remake_app(mail__server="127.0.0.1", mail__port=free_port(), mail__use_tls=False)
    assert examined(app)["mail"].verdict is Verdict.FAILED


def test_secrets_that_others_can_read_are_a_fault(tmp_path: Path) -> None:
    operator = Operator(tmp_path / "instance")
    operator.run("init-db")
    (tmp_path / "instance" / "secret_key").chmod(0o644)
    done = operator.run("doctor", "--json")
    failed = {finding["part"]: finding for finding in json.loads(done.stdout) if finding["verdict"] == "failed"}
    assert failed["secrets"]["advice"] == f"chmod 600 {tmp_path / 'instance' / 'secret_key'}"


def told_of(operator: Operator, part: str, **environ: str) -> list[dict[str, str]]:
    """Return what the whole command says that is not well with a part."""
    done = operator.run("doctor", "--json", **environ)
    assert "Traceback" not in done.stderr
    return [found for found in json.loads(done.stdout) if found["part"] == part and found["verdict"] != "ok"]


def test_a_database_that_others_can_read_is_a_warning(tmp_path: Path) -> None:
    operator = Operator(tmp_path / "instance")
    operator.instance.mkdir(mode=0o755)
    operator.run("init-db")
    path = operator.instance / "tasklane.db"
    assert told_of(operator, "secrets") == []
    # As an installation has it whose database was made before that was taken care of.
    path.chmod(0o644)
    with closing(sqlite3.connect(path)) as other:
        other.execute("SELECT 1 FROM users").fetchall()
        (found,) = told_of(operator, "secrets")
    assert (found["verdict"], found["text"]) == ("warning", f"{path} is readable by others")
    assert found["advice"] == f"chmod 600 {path} {path}-wal {path}-shm"
    # Nobody gets to what is in a folder that they cannot enter.
    operator.instance.chmod(0o700)
    assert told_of(operator, "secrets") == []


def test_a_file_that_cannot_be_the_database_is_told_and_left_alone(tmp_path: Path) -> None:
    operator = Operator(tmp_path / "instance")
    operator.run("config")
    place = tmp_path / "data"
    place.mkdir()
    (place / "text.db").write_text("Dear diary, nothing has happened since.\n" * 100)
    (place / "empty.db").touch()
    with closing(sqlite3.connect(place / "music.db")) as other:
        other.execute("CREATE TABLE songs (title TEXT)")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for name, told, advice in (
        ("", f"there is no file {operator.instance}/tasklane.db", "To make it, run `python manage.py init-db`, or"),
        ("absent.db", f"there is no file {place}/absent.db", "Look at DATABASE_URL. To make it, run "),
        ("no/x.db", f"there is no folder {place}/no", "Look at DATABASE_URL. Make the folder."),
        ("text.db", f"{place}/text.db is no SQLite database, or damaged", "Look at DATABASE_URL. If it was "),
        ("empty.db", f"{place}/empty.db is empty", "Look at DATABASE_URL. To fill it, run "),
        ("music.db", f"{place}/music.db has no tables of Tasklane", "Look at DATABASE_URL. If it is to have them"),
        ("../data", f"{place}/../data cannot be read: Is a directory", "Look at DATABASE_URL. Let the user "),
    ):
        (found,) = told_of(operator, "database", DATABASE_URL=f"sqlite:///{place}/{name}" if name else "")
        assert (found["verdict"], found["text"]) == ("failed", f"sqlite: {told}")
        assert found["advice"].startswith(advice)
        assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before, name
    (found,) = told_of(operator, "disk", DATABASE_URL=f"sqlite:///{place}/no/x.db")
    assert found["text"] == f"{place}/no cannot be used: No such file or directory"


def test_a_damaged_file_is_told_as_one(tmp_path: Path) -> None:
    operator = Operator(tmp_path / "instance")
    operator.run("init-db")
    path = operator.instance / "tasklane.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (root,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'items'").fetchone()
        size = database.execute("PRAGMA page_size").fetchone()[0]
    whole = path.read_bytes()
    # In a table that nobody asks here, and in the list of all tables.
    for begin, told in ((size * (root - 1), "file: "), (100, "sqlite: down: database disk image is malformed")):
        path.write_bytes(whole[:begin] + b"x" * 1000 + whole[begin + 1000 :])
        found = told_of(operator, "database")[-1]
        assert found["text"].startswith(told)
        assert "restore a backup: docs/backups.md" in found["advice"]


def test_the_reason_of_the_database_is_for_operators_only(
    application: Flask, engine_name: str, make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    if engine_name == "sqlite":
        path = tmp_path / "text.db"
        path.write_text("Dear diary")
        cases = {f"sqlite:///{path}": "is no SQLite database, or damaged"}
        public = "file is not"
    else:
        url = make_url(application.extensions["tasklane"].database_url)
        cases = {
            url.set(database="nowhere").render_as_string(hide_password=False): 'database "nowhere" does not exist',
            f"postgresql://ada:canary-7@127.0.0.1:{free_port()}/tasklane": "Connection refused",
            f"{url.render_as_string(hide_password=False)}&color=red": 'invalid connection option "color"',
        }
        public = "connection"
    for wrong, reason in cases.items():
        app = create_app(settings=make_settings(wrong, application.extensions["tasklane"].redis_url))
        found = examined(app)["database"]
        assert found.verdict is Verdict.FAILED
        assert reason in found.text
        assert "DATABASE_URL" in found.advice
        assert "canary" not in found.text + found.advice
        ready = Person(app).get("/health/ready", token="")
        assert (ready.status_code, ready.get_json()["checks"]["database"]) == (503, "down")
        assert not [word for word in (reason, public, "nowhere", "text.db") if word in ready.get_data(as_text=True)]
        with app.app_context():
            db.engine.dispose()


@on_sqlite
def test_the_reason_of_redis_is_for_operators_only(remake_app: Remake, own_redis_server: RedisServer) -> None:
    port = free_port()
    with own_redis_server.client as client:
        client.config_set("port", port)
        client.config_set("requirepass", "canary-8")
    for url, state, reason, advice in (
        (own_redis_server.url, "down", "authentica", "Look at the user and the password in REDIS_URL"),
        (f"redis://:canary-9@127.0.0.1:{port}/0", "down", "password pair", "Look at the user and the password in"),
        (f"rediss://:canary-8@127.0.0.1:{port}/0", "hung", "imeout", "Look whether the server speaks TLS there"),
        (f"redis://127.0.0.1:{free_port()}/0", "down", "Connection refused", "Look at REDIS_URL (redis://127.0.0.1:"),
    ):
        app = remake_app(redis_url=url)
        found = examined(app)["redis"]
        assert found.text.startswith(f"{state}: ")
        assert reason in found.text
        assert found.advice.startswith(advice)
        assert "canary" not in found.text + found.advice
        ready = Person(app).get("/health/ready", token="")
        assert ready.get_json()["checks"]["redis"] == state
        assert reason not in ready.get_data(as_text=True)


@on_sqlite
def test_looking_at_a_file_takes_no_lock_from_those_who_read_it(app: Flask, ada: Person) -> None:
    """Another process that opens and closes the file would take itself for the last, and delete the log."""
    examined(app)
    with app.app_context():
        path = Path(str(db.engine.url.database))
    script = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('SELECT 1 FROM users').close()"
    subprocess.run([sys.executable, "-c", script, str(path)], check=True)
    assert path.with_name(f"{path.name}-wal").exists()
    assert ada.create_task()
