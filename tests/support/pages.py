"""The documentation as its reader uses it: blocks of commands, pasted into one shell for each page."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from core.platform.config.load import ROOT
from tests.support.programs import need

# Marks of the blocks that are run as they stand. In a console, what is typed stands behind a `$`.
RUN = ("sh", "console")
# Marks of blocks with commands that no test runs, each with the reason.
NOT_RUN = {
    "installs": "fetches packages or the repository from the network",
    "as-root": "changes the machine: packages, units of systemd, users",
    "in-containers": "needs Docker; tests/deploy looks at the files",
    "elsewhere": "needs an address, a token or a program that only its reader has",
    "generates": "needs the generators of clients; .ci/clients runs these",
    "runs-on": "does not end by itself; other tests start the same commands",
    "takes-minutes": "a drill of tests/faults, which takes minutes",
}
# The password that each reader puts in.
BLANK = '"password":"..."'
_FENCE = re.compile(r"^```([\w-]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A block of a page, and where it stands."""

    place: str
    mark: str
    text: str

    @property
    def commands(self) -> list[str]:
        """Commands that are typed, with the lines that continue them."""
        if self.mark == "sh":
            return [self.text]
        found: list[str] = []
        for line in self.text.splitlines():
            if line.startswith("$ "):
                found.append(line.removeprefix("$ "))
            elif found and not _is_whole(found[-1]):
                found[-1] += f"\n{line}"
        return found

    def shows(self, status: int) -> bool:
        """Return whether the page says that this refusal comes."""
        return status in self.shown_statuses or '"status":"error"' in self.text

    @property
    def shown_statuses(self) -> list[int]:
        """The statuses that the page shows."""
        return [int(status) for status in re.findall(r"HTTP/1\.1 (\d{3})", self.text)]

    @property
    def shows_a_failure(self) -> bool:
        """Return whether the page shows the output of a command that fails."""
        return "tasklane: " in self.text or "FAILED" in self.text


def _is_whole(command: str) -> bool:
    if command.endswith("\\"):
        return False
    try:
        shlex.split(command, comments=True)
    except ValueError:
        return False
    return True


def blocks_of(path: Path) -> list[Block]:
    """Return all blocks of a page."""
    text = path.read_text()
    return [
        Block(f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, match.start()) + 1}", match[1], match[2])
        for match in _FENCE.finditer(text)
    ]


@dataclass
class Step:
    """One command that was run: how it ended, and the answers that its requests got."""

    block: Block
    command: str
    exit_code: int | None = None
    statuses: list[int] = field(default_factory=list)

    @property
    def faults(self) -> list[str]:
        """Differences between the page and the real output."""
        found = [
            f"answered {status}" for status in self.statuses if not 200 <= status < 400 and not self.block.shows(status)
        ]
        if self.exit_code is None or (self.exit_code and not self.block.shows_a_failure):
            found.append(f"ended with {self.exit_code}")
        return [f"{self.block.place}: {self.command!r} {fault}" for fault in found]


class Reader:
    """Reader in the folder of an installation, who pastes the commands of the pages."""

    def __init__(self, folder: Path, *, instance: Path, port: int, password: str) -> None:
        self.folder = folder
        self.changes = {"127.0.0.1:5000": f"127.0.0.1:{port}", BLANK: f'"password":"{password}"'}
        programs = folder / "programs"
        programs.mkdir()
        # It tells what each request was answered, which `curl -s` keeps to itself.
        _program(programs / "curl", f"exec {need('curl')} --write-out '%{{stderr}}@@http %{{http_code}}\\n' \"$@\"")
        _program(programs / "python", f'exec {shlex.quote(sys.executable)} "$@"')
        (folder / ".venv").mkdir()
        (folder / ".venv" / "bin").symlink_to(programs)
        (folder / "manage.py").symlink_to(ROOT / "manage.py")
        self.environ = {"PATH": f"{programs}:{os.environ['PATH']}", "TASKLANE_INSTANCE_PATH": str(instance)}

    def read(self, before: list[Block], page: list[Block]) -> Iterator[Step]:
        """Run the blocks of a page in one shell, after those that every page needs."""
        steps = [Step(block, command) for block in (*before, *page) for command in block.commands]
        lines = ['run_one() { eval "$1"; echo "@@exit $?" >&2; }']
        for number, step in enumerate(steps):
            lines.append(f"echo '@@step {number}' >&2; run_one {shlex.quote(self._filled_in(step.command))}")
        done = subprocess.run(
            ["bash"],
            input="\n".join(lines),
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        current = steps[0]
        for kind, number in re.findall(r"^@@(step|http|exit) (\d+)$", done.stderr, re.MULTILINE):
            if kind == "step":
                current = steps[int(number)]
            elif kind == "http":
                current.statuses.append(int(number))
            else:
                current.exit_code = int(number)
        yield from steps

    def _filled_in(self, command: str) -> str:
        for written, meant in self.changes.items():
            command = command.replace(written, meant)
        return command


def missing(steps: Iterable[Step]) -> list[str]:
    """Return which answers pages show that did not come."""
    came: dict[Block, list[int]] = {}
    for step in steps:
        came.setdefault(step.block, []).extend(step.statuses)
    return [
        f"{block.place}: shows {status}, which did not come"
        for block, statuses in came.items()
        for status in block.shown_statuses
        if status not in statuses
    ]


def _program(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)
