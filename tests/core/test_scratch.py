"""Temporary files do not stay, also after kill -9."""

import io
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from core.exchange import formats
from core.platform.config.load import ROOT
from core.platform.disk.scratch import scratch_folder

MAKER = """
import sys
from pathlib import Path
from core.platform.disk.scratch import scratch_folder
with scratch_folder(Path(sys.argv[1]), ".making-") as folder:
    (folder / "half").write_bytes(b"x" * 1000)
    print(folder, flush=True)
    sys.stdin.read()
"""


def start(parent: Path, program: str = MAKER) -> tuple[subprocess.Popen[str], Path]:
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(parent)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    return process, Path(process.stdout.readline().strip())


def test_what_a_killed_process_has_left_goes_with_the_next_and_what_is_in_use_stays(tmp_path: Path) -> None:
    killed, left = start(tmp_path)
    living, used = start(tmp_path)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    (tmp_path / ".making-is-a-file").touch()
    (tmp_path / ".making-is-a-link").symlink_to(tmp_path)
    (tmp_path / "other").mkdir()
    with scratch_folder(tmp_path, ".making-") as own:
        assert own.stat().st_mode & 0o777 == 0o700
        assert not left.exists()
        assert (used / "half").exists()
    living.communicate("")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".making-is-a-file", ".making-is-a-link", "other"]


def test_the_folder_goes_also_when_the_work_fails(tmp_path: Path) -> None:
    def fail() -> None:
        with scratch_folder(tmp_path, ".making-") as folder:
            (folder / "half").touch()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_workbook_sweeps_away_what_a_killed_one_has_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left = tmp_path / "tasklane-xlsx-left"
    left.mkdir()
    (left / "sheet").write_bytes(os.urandom(1000))
    stream = io.BytesIO()
    formats.write_xlsx(stream, "tasks", [], [])
    assert stream.getvalue().startswith(b"PK")
    assert list(tmp_path.iterdir()) == []


TESTER = """
import sys
from pathlib import Path
from core.platform.disk.scratch import new_scratch_folder
print(new_scratch_folder(Path(sys.argv[1]), "tasklane-tests-"), flush=True)
sys.stdin.read()
"""


def test_what_lasts_as_long_as_its_process_goes_with_the_next_after_kill_9(tmp_path: Path) -> None:
    killed, left = start(tmp_path, TESTER)
    living, used = start(tmp_path, TESTER)
    assert left.exists()
    killed.kill()
    killed.communicate()
    living_too, used_too = start(tmp_path, TESTER)
    assert [path.exists() for path in (left, used, used_too)] == [False, True, True]
    living.communicate("")
    living_too.communicate("")
