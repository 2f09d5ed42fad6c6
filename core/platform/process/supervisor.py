"""Several processes as one: started together, their lines named, ended without a rest.

A Procfile runner would do for the happy path. This adds what `dev` promises: an
order (what is started last is stopped first, so that no process loses the server
under their feet), a restart of what dies, new code without a gap, and no process
left behind.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType

import psutil

from core.platform.process.running import Running

RESTART_PAUSE = 1.0
GIVE_UP_AFTER = 5
# Who has lived this long before is not in a crash loop.
HEALTHY_SECONDS = 60
READY_SECONDS = 60.0
# What ending takes at most, of all children together.
STOP_SECONDS = 8.0


@dataclass(slots=True)
class Child:
    """One part of the whole: how it is started, the process that does it now, and how often it had to start again."""

    name: str
    start: Callable[..., Running]
    running: Running
    restarts: int = 0


class Supervisor:
    """Runs children until it is asked to stop."""

    def __init__(self) -> None:
        self._children: list[Child] = []
        # Who has been replaced and is not gone yet, and when that has to be.
        self._leaving: list[tuple[Running, float]] = []
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self.has_given_up = False

    def handle_signals(self) -> None:
        """Let SIGINT, SIGTERM and the end of the terminal end `run`."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    @property
    def is_stopping(self) -> bool:
        return self._stopping.is_set()

    def start(
        self,
        name: str,
        command: Sequence[str],
        environ: Mapping[str, str] | None = None,
        *,
        hides: Callable[[str], bool] = lambda line: False,
        inherited: Sequence[int] = (),
        tells_ready: bool = False,
    ) -> Child:
        """Start a child. Its lines are shown under its name, but for those that `hides` says."""
        variables = {**os.environ, "PYTHONUNBUFFERED": "1", **(environ or {})}
        if sys.stdout.isatty():
            # Children write into a pipe, and would not know that a terminal is behind it. NO_COLOR still wins.
            variables.setdefault("FORCE_COLOR", "1")

        def hear(line: str) -> None:
            if not hides(line):
                self.say(line, name=name)

        def run(*, is_quiet: bool = False) -> Running:
            return Running(command, variables, hear, inherited=inherited, tells_ready=tells_ready, is_quiet=is_quiet)

        child = Child(name, run, run())
        self._children.append(child)
        return child

    def wait_until_ready(self, children: Sequence[Child], *, seconds: float = READY_SECONDS) -> bool:
        """Return whether all of them work within this time. Who dies meanwhile is started again."""
        until = time.monotonic() + seconds
        while not self._stopping.is_set() and time.monotonic() < until:
            if all(child.running.works() for child in children):
                return True
            self._look_after()
            self._stopping.wait(0.05)
        return False

    def run(self, each_round: Callable[[], None] = lambda: None) -> None:
        """Watch the children until a signal comes; start again what died."""
        while not self._stopping.wait(0.2):
            self._look_after()
            each_round()

    def replace(self, children: Sequence[Child], *, seconds: float = READY_SECONDS) -> str | None:
        """Start each child anew, and end the old ones once the new ones work. Else they stay, and why is returned."""
        fresh = {child.name: child.start(is_quiet=True) for child in children}
        # Who waits, for a Redis that is away, say, keeps no other process waiting.
        needed = {child.name for child in children if child.running.works()}
        reason = self._why_not(fresh, needed, seconds)
        if reason is not None:
            self._end(list(fresh.values()), time.monotonic() + 2)
            return reason
        for child in children:
            old, child.running, child.restarts = child.running, fresh[child.name], 0
            child.running.speak()
            old.terminate()
            self._leaving.append((old, time.monotonic() + STOP_SECONDS))
        return None

    def stop(self) -> None:
        """End all children, the first one last; kill what does not end in time, with its descendants."""
        self._stopping.set()
        deadline = time.monotonic() + STOP_SECONDS
        family = self._descendants()
        first, others = self._all()[:1], self._all()[1:]
        for running in others:
            running.terminate()
        for running in others:
            running.wait(deadline - 1 - time.monotonic())
        # Everybody else needs the one that was started first to say goodbye.
        for running in first:
            running.terminate()
            running.wait(deadline - time.monotonic())
        for process in [*family, *self._descendants()]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        for running in self._all():
            running.process.wait()
            running.bury()

    def say(self, *lines: str, name: str = "dev") -> None:
        """Print lines under a name, with none of another process between them."""
        width = max([len("dev"), *(len(child.name) for child in self._children)])
        with self._lock, suppress(BrokenPipeError):
            sys.stdout.write("".join(f"{name.ljust(width)} | {line}".rstrip() + "\n" for line in lines))
            sys.stdout.flush()

    def _look_after(self) -> None:
        for child in self._children:
            if child.running.has_ended() and not self._stopping.is_set():
                self._restart(child)
        for running, deadline in list(self._leaving):
            if running.has_ended() or time.monotonic() > deadline:
                running.kill()
                running.bury()
                self._leaving.remove((running, deadline))

    def _restart(self, child: Child) -> None:
        lived = time.monotonic() - child.running.started_at
        child.restarts = 1 if lived > HEALTHY_SECONDS else child.restarts + 1
        child.running.bury()
        self.say(f"{child.name} ended with code {child.running.process.returncode}; starting it again.")
        if child.restarts > GIVE_UP_AFTER:
            self.say(f"{child.name} keeps ending. Giving up.")
            self.has_given_up = True
            self._stopping.set()
            return
        if self._stopping.wait(RESTART_PAUSE):
            return
        child.running = child.start()

    def _why_not(self, fresh: Mapping[str, Running], needed: Set[str], seconds: float) -> str | None:
        """Wait until those work that have to; return why they do not."""
        until = time.monotonic() + seconds
        while not all(running.works() for name, running in fresh.items() if name in needed):
            for name, running in fresh.items():
                if running.has_ended():
                    return f"{name}: {running.why_it_ended()}"
            if self._stopping.wait(0.05):
                return "everything ends."
            if time.monotonic() > until:
                return f"not ready after {seconds:g} s."
        return None

    @staticmethod
    def _end(running: Sequence[Running], deadline: float) -> None:
        for each in running:
            each.terminate()
        for each in running:
            each.wait(deadline - time.monotonic())
            each.kill()
            each.bury()

    def _all(self) -> list[Running]:
        return [*(child.running for child in self._children), *(running for running, _ in self._leaving)]

    def _descendants(self) -> list[psutil.Process]:
        found: list[psutil.Process] = []
        for running in self._all():
            if running.process.returncode is not None:
                continue  # By now its number may be another process's.
            with suppress(psutil.NoSuchProcess):
                process = psutil.Process(running.process.pid)
                found += [process, *process.children(recursive=True)]
        return found

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._stopping.set()
