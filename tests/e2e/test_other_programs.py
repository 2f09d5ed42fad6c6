"""People who come from a course start Tasklane by other programs than `manage.py`."""

import subprocess
import sys
from pathlib import Path

import pytest

from api import create_app
from core.operations.commands.names import COMMANDS
from core.platform.config.load import ROOT
from core.platform.database.base import db
from tests.support.commands import Done, Operator

ACCOUNT = {"username": "grace", "email": "grace@example.com", "password": "a long password"}


def flask(operator: Operator, *arguments: str, **environ: str) -> Done:
    """Run `flask --app api <arguments>` where its reader is: in the folder of the clone."""
    command = [sys.executable, "-m", "flask", "--app", "api", *arguments]
    known = operator.environ(environ)
    done = subprocess.run(command, cwd=ROOT, env=known, capture_output=True, text=True, timeout=60, check=False)
    return Done(done.returncode, done.stdout, done.stderr)


def test_flask_knows_every_command(tmp_path: Path) -> None:
    done = flask(Operator(tmp_path / "instance"), "--help")
    listed = {line.split()[0] for line in done.stdout.partition("Commands:")[2].splitlines() if line.strip()}
    assert set(COMMANDS) <= listed


def test_a_command_does_the_same_by_either_program(tmp_path: Path) -> None:
    operator = Operator(tmp_path / "instance")
    assert flask(operator, "db", "upgrade").returncode == 0
    assert operator.run("seed").returncode == 0
    by_flask = flask(operator, "user", "list")
    assert (by_flask.returncode, by_flask.stderr) == (0, "")
    assert by_flask.stdout == operator.run("user", "list").stdout


def test_what_a_person_can_mend_is_one_sentence_there_too(tmp_path: Path) -> None:
    done = flask(Operator(tmp_path / "instance"), "user", "list", FLASK_ENV="production")
    assert done.returncode == 1
    assert done.stderr.startswith("tasklane: FLASK_ENV=production has no effect here")
    assert len(done.stderr.splitlines()) == 1


def test_an_application_in_another_server_trusts_the_proxies_that_it_is_told_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TASKLANE_ENV", "testing")
    monkeypatch.setenv("TASKLANE_TRUSTED_PROXIES", "1")
    app = create_app()
    with app.app_context():
        db.create_all()
    client = app.test_client()
    client.post("/api/v1/auth/register", json=ACCOUNT)
    login = {"username": "grace", "password": ACCOUNT["password"]}
    token = client.post("/api/v1/auth/login", json=login).get_json()["access_token"]
    headers = {"Authorization": f"Bearer {token}", "X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.7"}
    made = client.post("/api/v1/tasks", json={"title": "Milk"}, headers=headers)
    assert made.headers["Location"].startswith("https://")
    with app.app_context():
        db.drop_all()
        db.engine.dispose()
