"""Several processes of the same command under one parent that keeps their number.

The parent holds nothing but process ids, so it has no reason to die. Its children
are started afresh instead of being forked from it, so that rolling them one by one
(SIGHUP) also brings in new code and settings.
"""

import logging
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType

log = logging.getLogger("tasklane.pool")

# Who lives shorter than this is started again only after a pause, which doubles up to the longest.
HEALTHY_SECONDS = 10.0
LONGEST_PAUSE = 16.0
READY_SECONDS = 60.0


@dataclass(slots=True)
class _Member:
    process: subprocess.Popen[bytes]
    ready: int
    # The lowest number that no other has; whoever replaces it gets the same.
    place: int
    started_at: float = field(default_factory=time.monotonic)
    has_worked: bool = False

    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def listen(self, seconds: float) -> bool:
        """Return whether it has said within this time that it works, or that it never will."""
        if not select.select([self.ready], [], [], seconds)[0]:
            return False
        # A byte says that it works; a closed pipe without one, that it died.
        self.has_worked = self.has_worked or os.read(self.ready, 1) != b""
        return True


class Pool:
    """Keeps `size` processes of a command alive until SIGTERM or SIGINT.

    Each child gets `--exit-with-parent` and `--ready-fd`, and closes or writes to
    the latter when it works. `stop_seconds` is how long children may take to end.
    `inherited` are file descriptors, such as a listening socket, that they share;
    the pool closes its own copies when it stops. A child also gets the `options_of` its place, a number below
    `size`. With `must_start` it gives up when
    a process ends before any has ever worked; otherwise it tries until it is asked to stop.
    """

    def __init__(
        self,
        command: Sequence[str],
        size: int,
        *,
        stop_seconds: float,
        inherited: Sequence[int] = (),
        must_start: bool = False,
        options_of: Callable[[int], Sequence[str]] = lambda place: (),
    ) -> None:
        self.command = command
        self.size = size
        self.stop_seconds = stop_seconds
        self.inherited = tuple(inherited)
        self._options_of = options_of
        self.has_given_up = False
        self._has_worked = not must_start
        self._members: list[_Member] = []
        self._stopping = False
        self._rolling = False
        self._pause = 0.0
        self._wake_reader, self._wake_writer = os.pipe()
        for end in (self._wake_reader, self._wake_writer):
            os.set_blocking(end, False)

    def run(self) -> None:
        """Start the processes, replace what dies, and end when asked to. Needs the main thread."""
        signal.set_wakeup_fd(self._wake_writer, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_stop)
        signal.signal(signal.SIGHUP, self._on_roll)
        signal.signal(signal.SIGCHLD, lambda signum, frame: None)
        try:
            while not self._stopping:
                self._fill()
                if self._rolling:
                    self._rolling = False
                    self._roll()
                self._sleep(0.5)
        finally:
            # Before the children leave: who closes the last copy of a listening socket has emptied its queue.
            for shared in self.inherited:
                os.close(shared)
            self._end(self._members)

    def _fill(self) -> None:
        for member in [member for member in self._members if member.has_ended()]:
            self._members.remove(member)
            self._bury(member)
        while len(self._members) < self.size and not self._stopping:
            taken = {member.place for member in self._members}
            started = self._spawn(next(place for place in range(self.size) if place not in taken))
            if started is not None:
                self._members.append(started)
            elif self._has_worked:
                self._rest(0.0)
            else:
                self._stopping = self.has_given_up = True

    def _bury(self, member: _Member) -> None:
        lived = time.monotonic() - member.started_at
        for each in (member, *self._members):
            each.listen(0)
            self._has_worked = self._has_worked or each.has_worked
        os.close(member.ready)
        if not self._has_worked:
            log.error("Process %s ended with code %s before it worked.", member.process.pid, member.process.returncode)
            self._stopping = self.has_given_up = True
            return
        log.error("Process %s ended with code %s; starting another.", member.process.pid, member.process.returncode)
        self._rest(lived)

    def _rest(self, lived: float) -> None:
        """Wait before another is started, the longer the more often one has lived for a short time only."""
        self._pause = 0 if lived > HEALTHY_SECONDS else min(max(self._pause * 2, 0.5), LONGEST_PAUSE)
        until = time.monotonic() + self._pause
        while not self._stopping and time.monotonic() < until:
            self._sleep(until - time.monotonic())

    def _spawn(self, place: int) -> _Member | None:
        """Start a process, or say why that is not possible now: the others go on, and it may be possible later."""
        try:
            return self._start(place)
        except OSError as error:
            log.error("No process can be started: %s.", error.strerror)
            return None

    def _start(self, place: int) -> _Member:
        reader, writer = os.pipe()
        options = [*self._options_of(place), "--exit-with-parent", str(os.getpid()), "--ready-fd", str(writer)]
        try:
            # A group of its own: Ctrl-C reaches the parent only, which then ends all in order.
            process = subprocess.Popen(  # noqa: S603 - the command is our own
                [*self.command, *options], pass_fds=(*self.inherited, writer), start_new_session=True
            )
        except OSError:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        return _Member(process, reader, place)

    def _roll(self) -> None:
        """Replace one process after the other: the old one leaves when the new one works."""
        for old in list(self._members):
            if self._stopping:
                return
            new = self._spawn(old.place)
            if new is None or not self._wait_until_ready(new):
                if not self._stopping:
                    log.error("The new process does not start; the old ones stay.")
                self._end([new] if new else [])
                return
            self._members[self._members.index(old)] = new
            self._dismiss(old)
        log.info("All processes have been replaced.")

    def _dismiss(self, member: _Member) -> None:
        """End one process, which may take its time, unless all have to end meanwhile."""
        until = time.monotonic() + self.stop_seconds
        member.process.terminate()
        while not member.has_ended() and time.monotonic() < until:
            if self._stopping:
                self._members.append(member)
                return
            self._sleep(0.5)
        self._end([member], until=until)

    def _wait_until_ready(self, member: _Member) -> bool:
        until = time.monotonic() + READY_SECONDS
        while time.monotonic() < until and not self._stopping:
            if member.listen(0.1):
                return member.has_worked
        return False

    def _end(self, members: Sequence[_Member], *, until: float | None = None) -> None:
        for member in members:
            with suppress(ProcessLookupError):
                member.process.terminate()
        until = until or time.monotonic() + self.stop_seconds
        for member in members:
            try:
                member.process.wait(max(until - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                log.error("Process %s does not end; it is killed.", member.process.pid)
                with suppress(ProcessLookupError):
                    os.killpg(member.process.pid, signal.SIGKILL)
                member.process.wait()
            os.close(member.ready)

    def _sleep(self, seconds: float) -> None:
        """Wait, but not longer than until the next signal."""
        if select.select([self._wake_reader], [], [], max(seconds, 0))[0]:
            with suppress(BlockingIOError):
                os.read(self._wake_reader, 1024)

    def _on_stop(self, signum: int, frame: FrameType | None) -> None:
        self._stopping = True

    def _on_roll(self, signum: int, frame: FrameType | None) -> None:
        self._rolling = True


def announce_ready(ready_fd: int | None) -> None:
    """Report to the pool that this process works."""
    if ready_fd is not None:
        os.write(ready_fd, b"1")
        os.close(ready_fd)
