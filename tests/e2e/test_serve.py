"""`manage.py serve` with several processes: rolled, killed, ended. tests/faults has the long forms."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from core.operations.commands.serve import number_of_processes
from core.platform.config.settings import Settings
from tests.support.prometheus import TOKEN, Samples, scrape
from tests.support.serving import CREDENTIALS, Load, Service, wait_for_end


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place with a database, made once."""
    path = tmp_path_factory.mktemp("serve")
    Service(path).prepare()
    return path


@pytest.fixture
def serve(folder: Path) -> Iterator[Callable[..., Service]]:
    started: list[Service] = []

    def make(*arguments: str, is_forked: bool = False, **environ: str) -> Service:
        service = Service(folder, *arguments, is_forked=is_forked, **environ)
        started.append(service)
        return service.start().log_in()

    yield make
    for service in started:
        if service.process is not None:
            service.stop(signal.SIGTERM)


def test_processes_are_rolled_and_replaced_without_losing_a_request_or_a_count_and_go_with_their_parent(
    serve: Callable[..., Service], folder: Path, tmp_path: Path
) -> None:
    service = serve(
        *("--processes", "2"),
        PYTHONPATH=str(tmp_path),
        TASKLANE_METRICS__ENABLED="true",
        TASKLANE_METRICS__TOKEN=TOKEN,
        TASKLANE_LOG_FORMAT="json",
    )
    first = service.wait_for_children(2, without=set())
    assert "processes: 2, threads of each: 8" in service.log.read_text()
    with (
        Load(service, clients=4, keep=True, pause=0.05) as kept,
        Load(service, clients=3, keep=False, pause=0.02) as fresh,
    ):
        settings = folder / "instance" / "config.toml"
        settings.write_text("[default]\nregistration_open = false\nthreads = 3\n")
        service.parent.send_signal(signal.SIGHUP)
        service.wait_for_line("All processes have been replaced.")
        settings.unlink()
        second = service.wait_for_children(2, without=first)
        kept.wait_until(300)
        fresh.wait_until(500)
    assert (kept.lost, fresh.lost) == ([], [])
    assert set(kept.answers) | set(fresh.answers) == {200, 201}
    # The counters are those of all processes, and outlive each.
    asked = kept.answers[200] + fresh.answers[200]
    assert answered(scrape_when_all_serve(service, 2)) == asked
    # The new ones work by what the files say now.
    newcomer = {"username": "grace", "email": "grace@example.com", "password": "a long password"}
    assert service.call("POST", "/auth/register", newcomer)[0] == 403
    for post_id in (*kept.stored, *fresh.stored):
        assert service.call("GET", f"/posts/{post_id}")[0] == 200

    # A release that does not start changes nothing.
    broken = break_release(tmp_path)
    service.parent.send_signal(signal.SIGHUP)
    service.wait_for_line("The new process does not start; the old ones stay.")
    assert service.wait_for_children(2, without=set()) == second
    broken.unlink()

    # One that is killed takes what it was working on with it; the others go on.
    victim = second.pop()
    psutil.Process(victim).kill()
    service.wait_for_line(f"Process {victim} ended with code -9; starting another.")
    for _ in range(20):
        assert service.call("GET", "/auth/me")[0] == 200
    third = service.wait_for_children(2, without={victim})
    assert third > second
    counted = scrape_when_all_serve(service, 2)
    assert answered(counted) == asked + 20
    assert counted["tasklane_http_requests_in_progress", ()] == 1
    # What dead processes have left is used again, so there are never more files than processes at once.
    family = folder / "instance" / "metrics" / f"{service.parent.pid}"
    assert 2 <= len(list(family.glob("counter_*.db"))) <= 4

    # Also without the one that watched them they end, and tidy up behind themselves.
    children = [psutil.Process(pid) for pid in third]
    service.stop(signal.SIGKILL)
    assert wait_for_end(children) == []
    assert not family.exists()
    with pytest.raises(ConnectionRefusedError):
        service.call("GET", "/health")

    log = service.log.read_text()
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    told = [line for line in lines if line.get("route") == "/api/v1/auth/me"]
    assert len(told) == len({line["request_id"] for line in told}) == asked + 20
    assert {line["user_id"] for line in told} == {1}
    assert TOKEN not in log


def answered(found: Samples) -> float:
    labels = (("method", "GET"), ("route", "/api/v1/auth/me"), ("status", "200"))
    return found.get(("tasklane_http_requests_total", labels), 0)


def scrape_when_all_serve(service: Service, processes: int) -> Samples:
    """Ask until so many processes are there: `serve` answers as soon as one of them is."""
    until = time.monotonic() + 60
    while (found := scrape(service))["tasklane_web_processes", ()] != processes:
        assert time.monotonic() < until, service.log.read_text()
        time.sleep(0.05)
    return found


def break_release(folder: Path) -> Path:
    """Make every web process that starts from now on fail; return what to delete to mend it."""
    path = folder / "sitecustomize.py"
    path.write_text("import sys\nif 'serve-process' in sys.argv: raise SystemExit('broken release')\n")
    return path


def test_a_full_queue_is_answered_before_the_end_and_long_polls_at_once(
    serve: Callable[..., Service], folder: Path
) -> None:
    service = serve("--processes", "2", "--threads", "2", is_forked=True)
    task_id = service.call("POST", "/tasks", {"title": "Wait"})[1]["data"]["id"]
    job_id = service.call("POST", f"/tasks/{task_id}/process")[1]["data"]["job_id"]
    answers: list[tuple[int, float]] = []

    def ask(method: str, path: str, body: dict[str, str] | None = None) -> None:
        answers.append((service.call(method, path, body)[0], time.monotonic()))

    # Each log-in hashes a password, which is slow on purpose; two threads wait for a job that nobody runs.
    slow = [threading.Thread(target=ask, args=("POST", "/auth/login", CREDENTIALS)) for _ in range(24)]
    waiting = [threading.Thread(target=ask, args=("GET", f"/jobs/{job_id}?wait=30")) for _ in range(2)]
    for thread in (*waiting, *slow):
        thread.start()
    service.wait_for_line("POST /api/v1/auth/login 200", count=3)
    begun = len(answers)
    code, seconds, left = service.stop()
    for thread in (*waiting, *slow):
        thread.join(30)
    assert [status for status, _ in answers] == [200] * 26
    assert begun < 24
    assert (code, left) == (0, [])
    assert seconds < 25


@pytest.mark.parametrize(
    ("database", "cores", "configured", "expected"),
    [
        ("postgresql://db.example/tasklane", 1, 0, 1),
        ("postgresql://db.example/tasklane", 3, 0, 3),
        ("postgresql://db.example/tasklane", 64, 0, 4),
        ("sqlite:////srv/tasklane.db", 1, 0, 1),
        ("sqlite:////srv/tasklane.db", 64, 0, 2),
        ("sqlite:////srv/tasklane.db", 1, 3, 3),
    ],
)
def test_there_are_as_many_processes_as_machine_and_database_can_use_unless_somebody_says_how_many(
    make_settings: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
    database: str,
    cores: int,
    configured: int,
    expected: int,
) -> None:
    monkeypatch.setattr("core.operations.commands.serve.number_of_cores", lambda: cores)
    settings = make_settings(database, "redis://redis.example", processes=configured)
    assert number_of_processes(settings) == expected


def test_processes_that_cannot_start_end_the_command_instead_of_letting_clients_wait(
    folder: Path, tmp_path: Path
) -> None:
    break_release(tmp_path)
    service = Service(folder, PYTHONPATH=str(tmp_path))
    assert service.launch().wait(20) == 1
    assert "The web process does not start; its lines above say why." in service.log.read_text()


def test_several_processes_end_when_who_started_them_is_gone(tmp_path: Path) -> None:
    # Somebody who is alive, but has not started it: for it that is the same.
    service = Service(tmp_path, "--processes", "2", "--exit-with-parent", str(os.getppid()), is_forked=True)
    running = service.launch()
    try:
        assert running.wait(40) in (0, -signal.SIGTERM)
    finally:
        running.kill()
