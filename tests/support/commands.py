"""The commands, as an operator runs them."""

import logging
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from click.testing import CliRunner
from flask import appcontext_tearing_down

import manage
from core.platform.config.load import ROOT
from core.platform.database.base import db
from core.platform.logs.setup import CHATTY

COMMAND = [sys.executable, str(ROOT / "manage.py")]


@dataclass(frozen=True)
class Done:
    """Exit code and output of a command."""

    returncode: int
    stdout: str
    stderr: str


class _Program:
    """`manage.py` as click's runner wants it: the whole program, with what it makes of errors."""

    name = "manage.py"

    @staticmethod
    def main(args: list[str], prog_name: str, **_: Any) -> None:
        with mock.patch.object(sys, "argv", [prog_name, *args]):
            manage.main()


@contextmanager
def _own_logging() -> Iterator[None]:
    """Take back what a command does to the logging of its process."""
    handlers, level = logging.root.handlers[:], logging.root.level
    levels = {name: logging.getLogger(name).level for name in CHATTY}
    try:
        yield
    finally:
        for handler in set(logging.root.handlers) - set(handlers):
            handler.close()
        logging.root.handlers[:] = handlers
        logging.root.setLevel(level)
        for name in CHATTY:
            logging.getLogger(name).setLevel(levels[name])


@contextmanager
def _own_signals() -> Iterator[None]:
    """Take back what a command does to the signals of its process."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@dataclass(frozen=True)
class Operator:
    """Operator with an installation and without a line of its settings in the environment."""

    instance: Path
    database_url: str = ""

    def environ(self, extra: Mapping[str, str]) -> dict[str, str]:
        known = {"PATH": os.environ["PATH"], "TASKLANE_INSTANCE_PATH": str(self.instance)}
        return known | {"DATABASE_URL": self.database_url, **extra}

    def start(self, *arguments: str, **environ: str) -> subprocess.Popen[str]:
        """Return the command as a process that runs."""
        pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        return subprocess.Popen(
            [*COMMAND, *arguments], env=self.environ(environ), cwd=self.instance.parent, text=True, **pipes
        )

    def process(self, *arguments: str, text: str = "", **environ: str) -> Done:
        """Run the command in a process of its own."""
        with self.start(*arguments, **environ) as running:
            try:
                stdout, stderr = running.communicate(text, timeout=60)
            finally:
                running.kill()
        return Done(running.returncode, stdout, stderr)

    def run(self, *arguments: str, text: str = "", **environ: str) -> Done:
        """Run the whole command in this process. That is the same but for its start, which takes most of the time."""
        known = self.environ(environ)
        with (
            _own_logging(),
            _own_signals(),
            chdir(self.instance.parent),
            warnings.catch_warnings(),
            appcontext_tearing_down.connected_to(lambda *_, **__: db.engine.dispose()),
        ):
            nothing_else: dict[str, str | None] = {name: None for name in os.environ if name not in known}
            done = CliRunner().invoke(_Program, arguments, text, env={**nothing_else, **known})  # type: ignore[arg-type]
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Done(done.exit_code, done.stdout, done.stderr)
