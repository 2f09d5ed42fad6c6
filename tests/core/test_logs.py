"""Log lines: their form, their destinations, and several processes that write to one file."""

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from core.platform.config.errors import ConfigError
from core.platform.config.load import ROOT, load_settings
from core.platform.config.settings import Settings
from core.platform.logs import context
from core.platform.logs.setup import configure_logging

log = logging.getLogger("tasklane.test")


class Screen(io.StringIO):
    """A stream that says whether it is a terminal."""

    def __init__(self, *, is_terminal: bool = False) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


@pytest.fixture(autouse=True)
def _same_loggers_afterwards() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    # What earlier tests of this thread have asked for is over.
    for variable in (
        context.request_id,
        context.user_id,
        context.key_id,
        context.job_id,
        context.job_kind,
        context.job_attempt,
    ):
        variable.set(None)
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers = handlers
    root.setLevel(level)


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., Settings]:
    def make(**overrides: Any) -> Settings:
        keys = {name.replace("__", "."): value for name, value in {"log_level": "INFO", **overrides}.items()}
        return load_settings("testing", environ={"TASKLANE_INSTANCE_PATH": str(tmp_path)}, overrides=keys)

    return make


def fail() -> None:
    try:
        raise ValueError("first line\nERROR forged line \x1b[31m")
    except ValueError:
        log.exception("It failed")


def test_a_json_line_has_the_moment_in_utc_and_the_ids_that_are_known(settings: Callable[..., Settings]) -> None:
    screen = Screen()
    configure_logging(settings(log_format="json"), screen)
    log.info("Nobody %s", "there")
    context.request_id.set("r-1")
    context.job_id.set("j-1")
    log.warning("Somebody", extra={"status": 200, "nested": {"a": [1, None]}})
    fail()
    context.request_id.set(None)
    context.job_id.set(None)
    first, second, third = map(json.loads, screen.getvalue().splitlines())
    assert first.pop("time").endswith("Z")
    assert first == {
        "level": "INFO",
        "logger": "tasklane.test",
        "message": "Nobody there",
        "pid": os.getpid(),
        "request_id": None,
        "user_id": None,
    }
    assert (second["request_id"], second["job_id"], second["status"]) == ("r-1", "j-1", 200)
    assert second["nested"] == {"a": [1, None]}
    assert "ValueError: first line" in third["exc_info"]


def test_people_see_one_line_for_each_event_and_nobody_can_forge_one(settings: Callable[..., Settings]) -> None:
    screen = Screen()
    configure_logging(settings(), screen)
    log.info("Hello %s", "Bob\nERROR forged line\r\x1b[2J")
    fail()
    lines = screen.getvalue().split("\n")
    assert lines[0].endswith("INFO    tasklane.test: Hello Bob\\nERROR forged line\\r\\x1b[2J")
    assert [line for line in lines if line and not line.startswith(("20", "    "))] == []
    assert "    ERROR forged line \\x1b[31m" in lines
    assert "\x1b" not in screen.getvalue()


@pytest.mark.parametrize(
    ("is_terminal", "environ", "expected"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"NO_COLOR": "1"}, False),
        (False, {"FORCE_COLOR": "1"}, True),
        (True, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_colours_are_for_those_who_see_them(
    settings: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
    is_terminal: bool,
    environ: dict[str, str],
    expected: bool,
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    screen = Screen(is_terminal=is_terminal)
    configure_logging(settings(log__file="a.log"), screen)
    log.info("Hello")
    assert ("\x1b[32mINFO" in screen.getvalue()) is expected
    # Nor does a file.
    assert "\x1b" not in (settings().instance_path / "a.log").read_text()


def test_json_is_never_coloured(settings: Callable[..., Settings]) -> None:
    screen = Screen(is_terminal=True)
    configure_logging(settings(log_format="json"), screen)
    log.error("Hello")
    assert json.loads(screen.getvalue())["level"] == "ERROR"


WRITER = """
import logging, sys, os
from core.platform.config.load import load_settings
from core.platform.logs.setup import configure_logging
configure_logging(load_settings(), open(os.devnull, "w"))
print(flush=True)
sys.stdin.readline()
for number in range(1000):
    logging.getLogger("tasklane.test").info("%s %s %s", sys.argv[1], number, "x" * 150)
"""


@pytest.mark.slow
def test_several_processes_lose_no_line_in_a_file_that_rotates(tmp_path: Path) -> None:
    environ = {
        "TASKLANE_ENV": "testing",
        "TASKLANE_INSTANCE_PATH": str(tmp_path),
        "LOG_LEVEL": "INFO",
        "TASKLANE_LOG_FORMAT": "json",
        "TASKLANE_LOG__FILE": "logs/tasklane.log",
        "TASKLANE_LOG__MAX_BYTES": "100000",
        "TASKLANE_LOG__BACKUPS": "50",
    }
    command = [sys.executable, "-c", WRITER]
    writers = [
        subprocess.Popen([*command, name], cwd=ROOT, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for name in "abc"
    ]
    for writer in writers:
        assert writer.stdout is not None
        writer.stdout.readline()
    for writer in writers:
        writer.communicate(b"go\n")
        assert writer.returncode == 0
    files = list((tmp_path / "logs").glob("tasklane.log*"))
    assert len(files) > 5
    assert max(file.stat().st_size for file in files) < 101_000
    seen = {tuple(json.loads(line)["message"].split()[:2]) for file in files for line in file.read_text().splitlines()}
    assert seen == {(name, str(number)) for name in "abc" for number in range(1000)}


def test_without_a_size_somebody_else_moves_the_file_away(settings: Callable[..., Settings], tmp_path: Path) -> None:
    configure_logging(settings(log__file="tasklane.log", log__max_bytes=0), Screen())
    log.info("one")
    (tmp_path / "tasklane.log").rename(tmp_path / "tasklane.log.1")
    log.info("two")
    assert "two" in (tmp_path / "tasklane.log").read_text()
    assert "two" not in (tmp_path / "tasklane.log.1").read_text()


def test_a_file_that_cannot_be_written_is_said_at_start(settings: Callable[..., Settings]) -> None:
    with pytest.raises(ConfigError, match=r"The log file .* cannot be written"):
        configure_logging(settings(log__file="/proc/nothing/tasklane.log"), Screen())
