"""A pool keeps its processes, whatever happens to what it starts."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from core.platform.config.load import ROOT
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
