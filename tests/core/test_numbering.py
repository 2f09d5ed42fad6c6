"""Numbers for processes: each held by one, and given back by the kernel."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from core.platform.config.load import ROOT
from core.platform.process import numbering

HOLDER = """
import sys
from pathlib import Path
from core.platform.process import numbering
print(numbering.claim(Path(sys.argv[1]), lambda number: print("after", end=" ")), flush=True)
sys.stdin.read()
"""


def hold(folder: Path) -> tuple[subprocess.Popen[str], str]:
    """Start a process that takes a number; return it and what it says."""
    command = [sys.executable, "-c", HOLDER, str(folder)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_a_number_belongs_to_one_process_until_it_is_killed(tmp_path: Path) -> None:
    family = tmp_path / "1"
    (first, said), (second, also_said) = hold(family), hold(family)
    assert (said, also_said) == ("after 1", "after 2")
    seen: list[int] = []
    numbering.free(family, seen.append)
    assert seen == []
    end(first)
    numbering.free(family, seen.append)
    assert seen == [1]
    third, said = hold(family)
    assert said == "after 1"

    # A family with somebody alive stays; others are removed.
    (tmp_path / "dead").mkdir()
    (tmp_path / "dead" / "slot-1").touch()
    (tmp_path / "dead" / "counter_1.db").touch()
    own = str(os.getpid())
    assert numbering.new_folder(tmp_path) == tmp_path / own
    assert [path.name for path in tmp_path.iterdir()] == ["1"]
    end(second)
    end(third)
    numbering.new_folder(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert numbering.new_folder(tmp_path / "nowhere") == tmp_path / "nowhere" / own


def test_the_last_that_leaves_takes_its_family_along(tmp_path: Path) -> None:
    other, _ = hold(tmp_path / "1")
    assert numbering.claim(tmp_path / "1") == 2
    numbering.leave(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["1"]
    end(other)
    assert numbering.claim(tmp_path / "1") == 1
    numbering.leave(tmp_path)
    assert list(tmp_path.iterdir()) == []
