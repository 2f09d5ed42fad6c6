"""Several processes as one: started together, their lines named, ended without a rest.

A Procfile runner would do for the happy path. This adds what `dev` promises: an
order (what is started last is stopped first, so that nobody loses the server
under their feet), a restart of what dies, and no process left behind.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType

import psutil

COLOURS = (36, 33, 32, 35, 34)
RESTART_PAUSE = 1.0
GIVE_UP_AFTER = 5
# Who has lived this long before is not in a crash loop.
HEALTHY_SECONDS = 60


@dataclass(slots=True)
class Child:
    """One process and how often it had to be started again."""

    name: str
    command: Sequence[str]
    environ: Mapping[str, str]
    colour: int
    process: subprocess.Popen[bytes]
    restarts: int = 0
    started_at: float = field(default_factory=time.monotonic)


class Supervisor:
    """Runs children until it is told to stop. `stop_seconds` is for all of them together."""

    def __init__(self, *, stop_seconds: float = 8, write: Callable[[str], None] | None = None) -> None:
        self.stop_seconds = stop_seconds
        self._children: list[Child] = []
        self._stopping = threading.Event()
        self._write = write or self._print
        self._lock = threading.Lock()
        self.has_given_up = False
        self._readers: list[threading.Thread] = []

    def handle_signals(self) -> None:
        """Let SIGINT, SIGTERM and the end of the terminal end `run`."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    @property
    def is_stopping(self) -> bool:
        return self._stopping.is_set()

    def start(self, name: str, command: Sequence[str], environ: Mapping[str, str] | None = None) -> Child:
        """Start a child in a process group of its own, so that Ctrl-C reaches only the supervisor."""
        variables = {**os.environ, "PYTHONUNBUFFERED": "1", **(environ or {})}
        if sys.stdout.isatty():
            # Children write into a pipe, and would take it for nobody looking. NO_COLOR still wins.
            variables.setdefault("FORCE_COLOR", "1")
        colour = COLOURS[len(self._children) % len(COLOURS)]
        child = Child(name, command, variables, colour, self._spawn(command, variables))
        self._children.append(child)
        self._follow(child)
        return child

    def run(self) -> None:
        """Watch the children until a signal comes; start again what died."""
        while not self._stopping.wait(0.2):
            for child in self._children:
                if child.process.poll() is not None and not self._stopping.is_set():
                    self._restart(child)

    def stop(self) -> None:
        """End all children, the first one last; kill what does not end in time, with its descendants."""
        self._stopping.set()
        deadline = time.monotonic() + self.stop_seconds
        family = self._descendants()
        first, others = self._children[:1], self._children[1:]
        self._terminate(others, deadline - 1)
        # Everybody else needs the one that was started first to say goodbye.
        self._terminate(first, deadline)
        for process in [*family, *self._descendants()]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        for child in self._children:
            child.process.wait()
        for reader in self._readers:
            reader.join(1)

    @staticmethod
    def _terminate(children: Sequence[Child], deadline: float) -> None:
        for child in children:
            with suppress(ProcessLookupError):
                child.process.terminate()
        for child in children:
            with suppress(subprocess.TimeoutExpired):
                child.process.wait(max(0.1, deadline - time.monotonic()))

    def say(self, line: str, *, name: str = "dev") -> None:
        """Print a line under a name."""
        width = max([len("dev"), *(len(child.name) for child in self._children)])
        with self._lock:
            self._write(f"{name.ljust(width)} | {line}")

    def _spawn(self, command: Sequence[str], environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - the commands are our own
            command,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def _restart(self, child: Child) -> None:
        lived = time.monotonic() - child.started_at
        child.restarts = 1 if lived > HEALTHY_SECONDS else child.restarts + 1
        self.say(f"{child.name} ended with code {child.process.returncode}; starting it again.")
        if child.restarts > GIVE_UP_AFTER:
            self.say(f"{child.name} keeps ending. Giving up.")
            self.has_given_up = True
            self._stopping.set()
            return
        if self._stopping.wait(RESTART_PAUSE):
            return
        child.process = self._spawn(child.command, child.environ)
        child.started_at = time.monotonic()
        self._follow(child)

    def _follow(self, child: Child) -> None:
        reader = threading.Thread(target=self._relay_lines, args=(child, child.process), daemon=True)
        reader.start()
        self._readers.append(reader)

    def _relay_lines(self, child: Child, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None  # noqa: S101 - for the type checker
        with process.stdout as stream:
            for line in stream:
                name = child.name
                self.say(line.decode("utf-8", "replace").rstrip("\n"), name=name)

    def _descendants(self) -> list[psutil.Process]:
        found: list[psutil.Process] = []
        for child in self._children:
            if child.process.returncode is not None:
                continue  # By now its number may be somebody else's.
            with suppress(psutil.NoSuchProcess):
                process = psutil.Process(child.process.pid)
                found += [process, *process.children(recursive=True)]
        return found

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._stopping.set()

    @staticmethod
    def _print(line: str) -> None:
        with suppress(BrokenPipeError):
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
