"""The other commands, run as an operator runs them: where the process itself does not matter, in that of the tests."""

import json
from pathlib import Path
from uuid import UUID

import pytest
from click.testing import CliRunner
from flask import Flask
from sqlalchemy import delete, update

from core.bootstrap import create_core_app
from core.jobs.model import Job, JobState
from core.platform.access import Actor, Role
from core.platform.config.load import load_settings
from core.platform.database.base import db
from core.platform.database.session import transaction
from core.platform.preconditions import ANY_STATE
from core.tasks import processing
from core.tasks import service as tasks
from manage import cli
from tests.support import smtp
from tests.support.commands import Operator


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path / "instance")


def test_a_database_is_made_and_seeded_and_both_may_be_repeated(operator: Operator) -> None:
    assert operator.process("init-db").returncode == 0
    assert (operator.instance / "tasklane.db").stat().st_mode & 0o777 == 0o600
    assert operator.run("init-db").stdout == "The database is up to date.\n"
    first = operator.run("seed").stdout
    assert first.count("password") == 2
    assert "2 accounts and 4 tasks created." in first
    assert operator.run("seed").stdout == "0 accounts and 0 tasks created.\n"
    listed = operator.run("user", "list").stdout
    assert "admin@example.com" in listed
    assert len(listed.splitlines()) == 2


def test_an_operator_creates_accounts(operator: Operator) -> None:
    operator.run("init-db")
    arguments = ("user", "create", "grace", "grace@example.com", "--role", "admin", "--password-stdin")
    created = operator.run(*arguments, text="a long password\n")
    assert created.stdout == "Created admin grace with id 1.\n", created.stderr
    for wrong, sentence in [
        (arguments, "username: This username is already taken. email: This e-mail address is already registered."),
        (("user", "create", "x", "x@example.com", "--password-stdin"), "username: Must be 3 to 80 letters"),
        (("user", "create", "hopper", "nonsense", "--password-stdin"), "email: Must be a valid e-mail address."),
    ]:
        refused = operator.run(*wrong, text="a long password\n")
        assert refused.returncode == 1
        assert sentence in refused.stderr
    short = operator.run("user", "create", "hopper", "hopper@example.com", "--password-stdin", text="short\n")
    assert "password: Must be 8 to 128 characters long." in short.stderr


def test_an_operator_changes_and_deletes_accounts_by_the_rules_of_the_api(operator: Operator) -> None:
    operator.run("init-db")
    for name, role in (("grace", "admin"), ("ada", "user")):
        arguments = ("user", "create", name, f"{name}@example.com", "--role", role, "--password-stdin")
        assert operator.run(*arguments, text="a long password\n").returncode == 0

    for last in (("role", "grace", "user"), ("deactivate", "GRACE"), ("delete", "grace@example.com")):
        refused = operator.run("user", *last)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert refused.stderr == "tasklane: This is the last active administrator. Make somebody else one first.\n"
    assert "no such user" in operator.run("user", "role", "nobody", "admin").stderr

    assert operator.run("user", "role", "ada", "admin").stdout == "ada is now admin.\n"
    assert operator.run("user", "deactivate", "grace").stdout == "grace is inactive.\n"
    assert operator.run("user", "activate", "grace").stdout == "grace is active.\n"
    changed = operator.run("user", "password", "grace", "--password-stdin", text="another long one\n")
    assert changed.stdout == "grace has a new password.\n"
    short = operator.run("user", "password", "grace", "--password-stdin", text="short\n")
    assert "password: Must be 8 to 128 characters long." in short.stderr
    deleted = operator.run("user", "delete", "grace", "--transfer-to", "ada")
    assert deleted.stdout == "grace is deleted.\n"
    assert "grace" not in operator.run("user", "list").stdout


def test_the_database_commands_work(operator: Operator) -> None:
    assert operator.run("db", "upgrade", "0001").returncode == 0
    assert "0001" in operator.process("db", "current").stdout
    assert operator.run("db", "upgrade").returncode == 0
    assert "0002" in operator.process("db", "history").stdout
    assert operator.run("db", "downgrade", "base").returncode == 0
    assert operator.run("db", "stamp", "head").returncode == 0
    # Only its owner reads what was made here; a mode that somebody has chosen stays.
    path = operator.instance / "tasklane.db"
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    assert operator.run("db", "upgrade").returncode == 0
    assert path.stat().st_mode & 0o777 == 0o640
    unknown = operator.run("db", "upgrade", "nonsense")
    assert unknown.returncode == 1
    assert "Traceback" not in unknown.stderr


def test_what_is_no_database_or_a_damaged_one_ends_a_command_in_one_sentence(operator: Operator) -> None:
    operator.run("init-db")
    whole = (operator.instance / "tasklane.db").read_bytes()
    for content, reason in (
        (b"Dear diary, nothing has happened since.\n" * 100, "file is not a database"),
        (whole[:100] + b"x" * 4000, "database disk image is malformed"),
    ):
        path = operator.instance / "other.db"
        path.write_bytes(content)
        for command in (("db", "upgrade"), ("user", "list"), ("jobs", "list")):
            done = operator.run(*command, DATABASE_URL=f"sqlite:///{path}")
            assert (done.returncode, done.stdout) == (1, "")
            assert done.stderr == f"tasklane: The database sqlite:///{path} cannot be used: {reason}.\n"


def test_the_routes_are_listed(operator: Operator) -> None:
    listed = operator.run("routes").stdout
    assert "/api/v1/tasks/<int:task_id>/process" in listed


def test_a_shell_runs_in_the_application(operator: Operator) -> None:
    done = operator.process(
        "shell", text="from core.platform.config.current import current_settings; print(current_settings().env)\n"
    )
    assert "development" in done.stdout


COMMANDS = [
    "dev",
    "serve",
    "worker",
    "scheduler",
    "db",
    "init-db",
    "seed",
    "user",
    "user create",
    "user list",
    "user password",
    "user role",
    "user activate",
    "user deactivate",
    "user delete",
    "config",
    "reference",
    "openapi",
    "routes",
    "shell",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(operator: Operator, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKLANE_INSTANCE_PATH", str(operator.instance))
    done = CliRunner().invoke(cli, [*command.split(), "--help"])
    assert done.exit_code == 0
    assert done.stdout.startswith("Usage: ")
    assert len(done.stdout.splitlines()) >= 5
    assert "exit-with-parent" not in done.stdout
    assert not operator.instance.exists(), "asking for help must not create anything"


def test_an_operator_prints_either_document(operator: Operator) -> None:
    new = json.loads(operator.run("openapi").stdout)
    old = json.loads(operator.run("openapi", "--format", "2.0").stdout)
    assert (new["openapi"], new["servers"]) == ("3.1.1", [{"url": "/api"}])
    assert (old["swagger"], old["basePath"]) == ("2.0", "/api")
    assert new["paths"].keys() == old["paths"].keys()


def test_help_needs_no_database_and_no_folder(operator: Operator) -> None:
    done = operator.process("serve", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert not operator.instance.exists()


def order(operator: Operator, count: int) -> list[str]:
    """Order the processing of new tasks with nobody there to do it; return the ids of the jobs, oldest first."""
    with core_app(operator).app_context():
        ids = []
        for _ in range(count):
            task = tasks.create(ADMIN, title="Water the plants")
            ids.append(str(processing.start(ADMIN, ANY_STATE, task_id=task.id).id))
        with transaction() as session:
            session.execute(delete(Job).where(Job.kind != "task.process"))
        db.engine.dispose()
    return ids


ADMIN = Actor(1, Role.ADMIN)


def core_app(operator: Operator) -> Flask:
    return create_core_app(settings=load_settings(environ={"TASKLANE_INSTANCE_PATH": str(operator.instance)}))


def fail(operator: Operator, job_id: str) -> None:
    with core_app(operator).app_context():
        with transaction() as session:
            session.execute(
                update(Job).where(Job.id == UUID(job_id)).values(state=JobState.FAILED, error="Out of ink.", attempts=4)
            )
        db.engine.dispose()


def test_jobs_are_listed_shown_cancelled_and_tried_again(operator: Operator) -> None:
    operator.run("init-db")
    operator.run("seed")
    first, second, third = order(operator, 3)
    listed = operator.run("jobs", "list").stdout.splitlines()
    assert [line[:36] for line in listed] == [third, second, first]
    assert "task.process" in listed[0]
    assert "[..........]   0 %" in listed[0]
    assert len(operator.run("jobs", "list", "--limit", "1").stdout.splitlines()) == 1

    shown = operator.run("jobs", "show", second).stdout
    assert "state        queued" in shown
    assert "position     2" in shown
    assert '"task_id"' in shown

    assert operator.run("jobs", "dead").stdout == "No job has failed.\n"
    fail(operator, second)
    dead = operator.run("jobs", "dead").stdout
    assert dead.startswith(second)
    assert dead.rstrip().endswith("Out of ink.")
    assert operator.run("jobs", "retry", second).stdout == f"{second} is queued.\n"

    assert operator.run("jobs", "cancel", first, third).stdout == f"{first} is cancelled.\n{third} is cancelled.\n"
    assert operator.run("jobs", "list", "--state", "queued").stdout.startswith(second)
    again = operator.run("jobs", "cancel", first)
    assert again.returncode == 1
    assert again.stderr == "tasklane: This job is over: it has been cancelled.\n"
    assert operator.run("jobs", "retry", second).returncode == 1
    unknown = operator.run("jobs", "show", "00000000-0000-4000-8000-000000000000")
    assert (unknown.returncode, unknown.stderr) == (1, "tasklane: There is no such job.\n")
    assert operator.run("jobs", "show", "abc").returncode == 2


def test_a_job_is_followed_to_its_end(operator: Operator) -> None:
    operator.run("init-db")
    operator.run("seed")
    (job_id,) = order(operator, 1)
    with operator.start("jobs", "show", job_id, "--follow") as followed:
        assert followed.stderr is not None
        assert followed.stderr.readline() == "Progress\n"
        fail(operator, job_id)
        shown, said = followed.communicate(timeout=30)
    assert followed.returncode == 1
    assert "state        failed" in shown
    assert said == "tasklane: The job has failed.\n"


# --- exports ------------------------------------------------------------------------


def test_an_operator_exports_everything_or_what_somebody_sees(operator: Operator, tmp_path: Path) -> None:
    operator.run("init-db")
    operator.run("seed")
    file = tmp_path / "tasks.csv"
    done = operator.run("export", "tasks", "--output", str(file), "--sort", "title")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert done.stderr.endswith(f"4 tasks written to {file}.\n")
    lines = file.read_bytes().removeprefix(b"\xef\xbb\xbf").decode().split("\r\n")
    assert [line.split(",")[2].strip('"') for line in lines[1:-1]] == [
        "Clean up old branches",
        "Order a second monitor",
        "Renew the TLS certificate",
        "Write the post-mortem of Tuesday",
    ]
    assert list(tmp_path.glob("*.part")) == []

    narrow = ("--format", "jsonl", "--output", "-", "--filter", "status=completed", "--filter", "owner_id=me")
    found = operator.run("export", "tasks", *narrow, "--as", "user")
    assert [json.loads(line)["title"] for line in found.stdout.splitlines()] == ["Clean up old branches"]
    assert operator.run("export", "tasks", *narrow, "--as", "admin").stdout == ""
    assert len(operator.run("export", "users", "--format", "jsonl", "--output", "-").stdout.splitlines()) == 2


def test_an_export_that_cannot_be_made_says_why_and_leaves_no_file(operator: Operator, tmp_path: Path) -> None:
    operator.run("init-db")
    operator.run("seed")
    file = str(tmp_path / "tasks.csv")
    nowhere = str(tmp_path / "no" / "tasks.csv")
    for arguments, code, sentence in [
        (("tasks", "--filter", "statsu=x"), 1, "filters.statsu: Unknown filter. Did you mean 'status'?"),
        (("tasks", "--filter", "owner_id=me"), 1, "filters.owner_id: Nobody is `me` here."),
        (("tasks", "--sort", "colour"), 1, "sort: Use each of "),
        (("users", "--as", "user"), 1, "Only administrators may export users."),
        (("tasks", "--as", "nobody"), 1, "There is no such user."),
        (("tasks", "--filter", "status"), 2, "A filter is written as NAME=VALUE."),
        (("tasks", "--filter", "q=a", "--filter", "q=b"), 2, "A filter is given twice."),
        (("tasks", "--format", "pdf"), 2, "'pdf' is not one of"),
        (("jobs",), 2, "'jobs' is not one of"),
        (("tasks", "--output", nowhere), 1, f"{nowhere} cannot be written: No such file or directory."),
    ]:
        refused = operator.run("export", *("--output", file), *arguments)
        assert refused.returncode == code, refused.stderr
        assert sentence in refused.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["instance"]


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
def test_an_operator_tries_out_the_mail_server(operator: Operator) -> None:
    to_folder = operator.run("mail", "test", "ada@example.com")
    assert (to_folder.returncode, to_folder.stderr) == (0, "")
    path = Path(to_folder.stdout.removeprefix("No mail server is configured, so the message is in ").strip()[:-1])
    assert path.parent == operator.instance / "outbox"
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert "To: ada <ada@example.com>" in path.read_text()

    # The server logs in the process of the tests, so a command that talks to it has one of its own.
    box, controller = smtp.start()
    known = {"MAIL_SERVER": "127.0.0.1", "MAIL_PORT": str(box.port), "MAIL_USE_TLS": "false"}
    known |= {"MAIL_USERNAME": "tasklane", "MAIL_PASSWORD": "secret"}
    try:
        sent = operator.process("mail", "test", "ada@example.com", **known)
        assert sent.stdout == f"127.0.0.1:{box.port} has taken a message to ada@example.com.\n", sent.stderr
        assert [str(mail["Subject"]) for mail in box.received] == ["Tasklane can send e-mail"]
        box.answers["RCPT"] = "550 5.1.1 No such user."
        refused = operator.process("mail", "test", "ada@example.com", **known)
        wrong = operator.process("mail", "test", "ada@example.com", **{**known, "MAIL_PASSWORD": "guess"})
    finally:
        controller.stop()
    away = operator.run("mail", "test", "ada@example.com", **known)
    nowhere = operator.run("mail", "test", "nobody", **known)
    server = f"The server is 127.0.0.1:{box.port}."
    sentences = {
        refused.stderr: f"The mail server refused the recipient (550): 550 5.1.1 No such user. {server}",
        wrong.stderr: "The mail server does not accept our login (535): 535 5.7.8 Authentication credentials invalid."
        f" {server}",
        away.stderr: f"The mail server cannot be reached: [Errno 111] Connection refused. {server}",
        nowhere.stderr: "The request has invalid fields. email: Must be a valid e-mail address.",
    }
    assert sentences == {f"tasklane: {sentence}\n": sentence for sentence in sentences.values()}
    assert {run.returncode for run in (refused, wrong, away, nowhere)} == {1}
