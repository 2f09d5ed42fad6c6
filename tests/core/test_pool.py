"""A pool keeps its processes, whatever happens to what it starts."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.platform.config.load import ROOT
from core.platform.process.cores import cores_of, usable_cores
from tests.support.processes import wait_for

CHILD = f"""#!{sys.executable}
import os, sys, time
os.write(int(sys.argv[sys.argv.index("--ready-fd") + 1]), b"x")
print("works", os.getpid(), flush=True)
time.sleep(120)
"""
PARENT = """
import logging, sys
from core.platform.process.pool import Pool
logging.basicConfig(level="INFO", stream=sys.stdout, format="%(message)s")
Pool([sys.argv[1]], 1, stop_seconds=5, must_start=True).run()
"""


@pytest.mark.slow
def test_a_process_that_cannot_be_started_takes_nobody_with_it(tmp_path: Path) -> None:
    program, away, log = tmp_path / "program", tmp_path / "away", tmp_path / "log"
    program.write_text(CHILD)
    program.chmod(0o755)
    with log.open("wb") as file:
        command = [sys.executable, "-c", PARENT, str(program)]
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        parent = subprocess.Popen(command, stdout=file, stderr=file, env=environ)

    def said(word: str) -> list[str]:
        return [line for line in log.read_text().splitlines() if word in line]

    try:
        wait_for(lambda: said("works"), bool)
        # As it is while a new version is being installed.
        program.rename(away)
        parent.send_signal(signal.SIGHUP)
        wait_for(lambda: said("The new process does not start; the old ones stay."), bool)
        assert said("No process can be started: No such file or directory.")
        old = int(said("works")[0].split()[1])
        os.kill(old, 0)
        os.kill(old, signal.SIGKILL)
        wait_for(lambda: said("No process can be started"), lambda lines: len(lines) == 2)
        away.rename(program)
        wait_for(lambda: said("works"), lambda lines: len(lines) == 2)
        assert parent.poll() is None
    finally:
        parent.terminate()
        assert parent.wait(20) == 0
    started = time.monotonic()
    program.unlink()
    done = subprocess.run(command, env=environ, capture_output=True, timeout=20, check=False)
    assert done.returncode == 0
    assert time.monotonic() - started < 15


def test_each_process_has_a_core_of_its_own_where_there_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.platform.process.cores.usable_cores", lambda: [2, 3, 7])
    of_three = cores_of(3, is_wanted=True)
    assert sorted(of_three(place)[1] for place in range(3)) == ["2", "3", "7"]
    assert of_three(0)[0] == "--core"
    assert [cores_of(4, is_wanted=True)(place) for place in range(4)] == [()] * 4
    assert cores_of(1, is_wanted=False)(0) == ()
    monkeypatch.setattr("core.platform.process.cores.usable_cores", list)  # A system that does not say.
    assert cores_of(1, is_wanted=True)(0) == ()


def test_a_process_stays_on_its_core_and_one_that_was_taken_away_stops_nobody() -> None:
    own = usable_cores()
    script = "import os, sys; from core.platform.process.cores import stay_on; stay_on(int(sys.argv[1])); "
    script += "import threading; found = []; "
    script += "thread = threading.Thread(target=lambda: found.append(os.sched_getaffinity(0))); "
    script += "thread.start(); thread.join(); print(*found[0])"

    def started(core: int) -> str:
        done = subprocess.run(
            [sys.executable, "-c", script, str(core)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            text=True,
            capture_output=True,
            check=True,
        )
        return done.stdout.strip()

    assert started(own[-1]) == str(own[-1])
    assert started(10_000) == " ".join(map(str, own))


@pytest.mark.slow
def test_who_replaces_a_process_takes_its_place(tmp_path: Path) -> None:
    program, log = tmp_path / "program", tmp_path / "log"
    program.write_text(CHILD.replace('print("works", os', 'print("works", sys.argv[1], os'))
    program.chmod(0o755)
    options = "2, stop_seconds=5, must_start=True, options_of=lambda place: (f'place-{place}',)"
    with log.open("wb") as file:
        command = [sys.executable, "-c", PARENT.replace("1, stop_seconds=5, must_start=True", options), str(program)]
        parent = subprocess.Popen(command, stdout=file, stderr=file, env={**os.environ, "PYTHONPATH": str(ROOT)})

    def started() -> list[list[str]]:
        return [line.split()[1:] for line in log.read_text().splitlines() if line.startswith("works")]

    try:
        wait_for(started, lambda found: len(found) == 2)
        assert sorted(place for place, _ in started()) == ["place-0", "place-1"]
        killed = next(pid for place, pid in started() if place == "place-0")
        os.kill(int(killed), signal.SIGKILL)
        wait_for(started, lambda found: len(found) == 3)
        parent.send_signal(signal.SIGHUP)
        wait_for(started, lambda found: len(found) == 5)
        places = [place for place, _ in started()]
        assert (places[2], sorted(places[3:])) == ("place-0", ["place-0", "place-1"])
    finally:
        parent.terminate()
        assert parent.wait(30) == 0
