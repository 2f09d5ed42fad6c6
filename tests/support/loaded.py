"""Processes of `manage.py` that are forked from one that has loaded it already: loading is most of what a start costs.

From there on all is as after `python manage.py`: a process with its own arguments, environment, folder, streams,
signals and exit code, which opens its connections itself, because loading has no effect (tests/architecture). How a
program starts by itself, and what it loads then, is for tests/e2e.
"""

import atexit
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import manage
from core.operations.commands import names
from core.platform.config.load import ROOT
from tests.support.forking import fork_from_now_on

# What is loaded beforehand.
COMMANDS = ("worker", "scheduler", "serve", "serve-process", "dev", "backup")


class Forked:
    """A process as `subprocess.Popen` has it, as far as tests use that. Its parent is the one that has loaded all."""

    def __init__(self, parent: "Loaded", pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._parent = parent

    def poll(self) -> int | None:
        """Return the exit code, below zero for a signal; None while it runs."""
        if self.returncode is None:
            self.returncode = self._parent.ask(pid=self.pid)["code"]
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code. Raises subprocess.TimeoutExpired."""
        until = time.monotonic() + (timeout or float("inf"))
        while (code := self.poll()) is None:
            if time.monotonic() > until:
                raise subprocess.TimeoutExpired("manage.py", timeout or 0)
            time.sleep(0.01)
        return code

    def send_signal(self, number: int) -> None:
        # Until it is asked for its exit code, nobody else can have its number.
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Loaded:
    """The process that has loaded it all, started when it is first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The parent of all that it starts."""
        with self._lock:
            return self._running().pid

    def start(
        self, arguments: Sequence[str], environ: Mapping[str, str], log: Path, *, new_session: bool = False
    ) -> Forked:
        """Run `manage.py <arguments>`, which writes to the end of `log`."""
        order = {"arguments": arguments, "environ": environ, "log": str(log), "folder": os.getcwd()}
        return Forked(self, self.ask(**order, new_session=new_session)["pid"])

    def ask(self, **order: Any) -> dict[str, Any]:
        with self._lock:
            self._running()
            self._stream.write(json.dumps(order).encode() + b"\n")
            self._stream.flush()
            answer: dict[str, Any] = json.loads(self._stream.readline())
        return answer

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            own, other = socket.socketpair()
            with other:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "tests.support.loaded", str(other.fileno())],
                    cwd=ROOT,
                    stdin=subprocess.DEVNULL,
                    pass_fds=[other.fileno()],
                    # What interrupts the tests is not for what they have started; they end that themselves.
                    start_new_session=True,
                )
            self._channel, self._stream = own, own.makefile("rwb")
            atexit.register(self._end)
        return self._process

    def _end(self) -> None:
        self._stream.close()
        self._channel.close()
        if self._process is not None:
            self._process.wait(10)


loaded = Loaded()


def _serve(channel: socket.socket) -> bool:
    """Answer orders. Returns True in each process that was started, and False when nobody orders any more."""
    codes: dict[int, int | None] = {}
    with channel, channel.makefile("rwb") as stream:
        for line in stream:
            order = json.loads(line)
            if "pid" in order:
                # Several threads may ask, and the system answers once.
                pid = order["pid"]
                codes[pid] = _code_of(pid) if codes[pid] is None else codes[pid]
                answer = {"code": codes[pid]}
            else:
                pid = os.fork()
                if not pid:
                    break
                codes[pid] = None
                answer = {"pid": pid}
            stream.write(json.dumps(answer).encode() + b"\n")
            stream.flush()
        else:
            return False
    _become(order)
    return True


def _code_of(pid: int) -> int | None:
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def _become(order: Mapping[str, Any]) -> None:
    """Be a process of its own."""
    if order["new_session"]:
        os.setsid()
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environ"])
    log = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    os.close(log)
    fork_from_now_on()
    sys.argv = [manage.__file__, *order["arguments"]]


if __name__ == "__main__":
    for name in COMMANDS:
        names.load(name)
    gc.collect()
    gc.freeze()
    if _serve(socket.socket(fileno=int(sys.argv[1]))):
        manage.main()
