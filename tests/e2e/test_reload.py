"""`manage.py dev` while somebody works on the code: new processes take over, and mistakes take nothing down."""

import json
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.platform.config.load import ROOT
from tests.support.dev import Dev
from tests.support.processes import wait_for

CODE = ("api", "core", "workers", "migrations", "manage.py", "config.toml")


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Dev]:
    """A copy of the project, so that it can be worked on."""
    project = tmp_path / "project"
    project.mkdir()
    for name in CODE:
        source = ROOT / name
        # With what Python has compiled, which saves seconds.
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, project / name)
    dev = Dev(tmp_path / "instance", root=project)
    yield dev
    if dev.process is not None:
        dev.stop(signal.SIGTERM)


class Asking:
    """Client that asks all the time, and notes the failures."""

    def __init__(self, dev: Dev) -> None:
        self.dev = dev
        self.answers = 0
        self.failures: list[object] = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> "Asking":
        self._thread.start()
        return self

    def __exit__(self, *rest: object) -> None:
        self._end.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._end.wait(0.02):
            try:
                status = self.dev.call("GET", f"http://127.0.0.1:{self.dev.port}/health")[0]
            except OSError as error:
                self.failures.append(error)
            else:
                self.answers += 1
                if status != 200:
                    self.failures.append(status)


def lines_after(dev: Dev, count: int) -> list[str]:
    """Wait for a line of dev's own after the first ones, and a little for those that there should not be."""
    wait_for(lambda: len(dev.own_lines()), lambda found: found > count, seconds=90)
    time.sleep(1)
    return dev.own_lines()[count:]


def test_new_code_takes_over_without_a_gap_and_mistakes_take_nothing_down(dev: Dev) -> None:
    dev.start()
    dev.log_in("user", dev.passwords()["user"])
    root = dev.root
    before = dev.parts()
    seen = len(dev.own_lines())
    module, text = root / "api" / "v1" / "system.py", (root / "api" / "v1" / "system.py").read_text()
    config, settings = root / "config.toml", (root / "config.toml").read_text()
    with Asking(dev) as asking:
        # A change that shows, written as editors do: another file takes the name.
        changed = module.with_name("system.py~")
        changed.write_text(text.replace('"version": VERSION', '"version": "1.0.1"'))
        changed.replace(module)
        assert lines_after(dev, seen) == ["Reloaded: api/v1/system.py changed."]
        after = dev.parts()
        assert after["valkey-server"] == before["valkey-server"]
        assert all(after[name] != before[name] for name in ("serve-process", "worker", "scheduler"))
        assert '"1.0.1"' in json.dumps(dev.call("GET", "/welcome")[1])
        # Sessions and data are what they were.
        assert dev.call("GET", "/auth/me")[1]["data"]["username"] == "user"

        module.write_text(f"{text}\ndef broken(:\n")
        lines = lines_after(dev, seen + 1)
        place = f"(api/v1/system.py, line {len(text.splitlines()) + 2})"
        assert len(lines) == 1
        assert lines[0].startswith("Not reloaded, the processes from before go on: web: SyntaxError: ")
        assert lines[0].endswith(place)

        module.write_text(text)
        config.write_text(f"no toml\n{settings}")
        lines = lines_after(dev, seen + 2)
        assert len(lines) == 1
        assert "config.toml is not valid TOML" in lines[0]
        assert dev.parts() == after

        # It is mended, by something that touches several files.
        config.write_text(settings)
        for path in (root / "core" / "tasks").rglob("*.py"):
            path.touch()
        (line,) = lines_after(dev, seen + 3)
        assert line.startswith("Reloaded: config.toml and ")
        assert all(dev.parts()[name] != after[name] for name in ("serve-process", "worker", "scheduler"))
    assert asking.failures == []
    assert asking.answers > 20
    family = dev.family()
    assert dev.stop()[::2] == (0, [])
    assert [process for process in family if process.is_running()] == []
