"""Child process under supervision: its lines, and whether it has said that it works."""

import os
import re
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from core.platform.config.load import ROOT


class Running:
    """One process in a group of its own, so that Ctrl-C reaches only the one who watches it.

    `hear` gets its lines, one after the other; while it is quiet they are kept back. A process
    that `tells_ready` gets `--ready-fd`, and writes to it when it works (`core.platform.process.pool.announce_ready`).
    """

    def __init__(
        self,
        command: Sequence[str],
        environ: Mapping[str, str],
        hear: Callable[[str], None],
        *,
        inherited: Sequence[int] = (),
        tells_ready: bool = False,
        is_quiet: bool = False,
    ) -> None:
        self.started_at = time.monotonic()
        self.lines: list[str] = []
        self.is_quiet = is_quiet
        self._hear = hear
        self._has_worked = not tells_ready
        self._ready, writer = os.pipe() if tells_ready else (-1, -1)
        try:
            self.process = subprocess.Popen(  # noqa: S603 - the commands are our own
                [*command, *(["--ready-fd", str(writer)] if tells_ready else [])],
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(*inherited, *([writer] if tells_ready else [])),
                start_new_session=True,
            )
        finally:
            if tells_ready:
                os.close(writer)
        self._reader = threading.Thread(target=self._relay_lines, daemon=True)
        self._reader.start()

    def has_ended(self) -> bool:
        """Return whether it is gone."""
        return self.process.poll() is not None

    def works(self) -> bool:
        """Return whether it has said that it works. Who says nothing works from the start."""
        if not self._has_worked and self._ready >= 0 and select.select([self._ready], [], [], 0)[0]:
            # A byte says that it works; a closed pipe without one, that it died.
            self._has_worked = os.read(self._ready, 1) != b""
            self._close()
        return self._has_worked

    def speak(self) -> None:
        """Let its lines be heard from now on, and forget the earlier ones."""
        self.is_quiet = False
        self.lines.clear()

    def why_it_ended(self) -> str:
        """Return its last words as one sentence, with the place if it was an error in a file."""
        self._reader.join(1)
        words = [line for line in self.lines if line.strip()]
        if not words:
            return f"it ended with code {self.process.returncode}."
        sentence = words[-1].strip().removeprefix("tasklane: ")
        places = re.findall(r'^ *File "([^"<]+)", line (\d+)', "\n".join(words), re.MULTILINE)
        if not places:
            return sentence
        # Where our own code is wrong, and not where a library noticed it.
        inside = f"{ROOT}{os.sep}"
        ours = [place for place in places if place[0].startswith(inside) and "site-packages" not in place[0]]
        path, number = (ours or places)[-1]
        return f"{sentence} ({path.removeprefix(inside)}, line {number})"

    def terminate(self) -> None:
        """Ask it to end."""
        with suppress(ProcessLookupError):
            self.process.terminate()

    def wait(self, seconds: float) -> bool:
        """Return whether it has ended within this time."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(max(0.1, seconds))
        return self.has_ended()

    def kill(self) -> None:
        """End it at once, with all that it has started in its group, unless it has ended by itself."""
        if not self.has_ended():
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def bury(self) -> None:
        """Hear its last lines, once it has ended."""
        self._reader.join(1)
        self._close()

    def _close(self) -> None:
        if self._ready >= 0:
            os.close(self._ready)
            self._ready = -1

    def _relay_lines(self) -> None:
        assert self.process.stdout is not None  # noqa: S101 - for the type checker
        with self.process.stdout as stream:
            for raw in stream:
                line = raw.decode("utf-8", "replace").rstrip("\n")
                if self.is_quiet:
                    self.lines.append(line)
                else:
                    self._hear(line)
