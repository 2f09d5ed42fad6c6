"""Shared parts of the commands that start and watch processes. Loads nothing heavy: a parent only watches."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import IO

import click

from core.platform.config.load import ROOT
from core.platform.config.settings import Settings

MANAGE = [sys.executable, str(ROOT / "manage.py")]

exit_with_parent_option = click.option("--exit-with-parent", type=int, metavar="PID", hidden=True)


def pool_member_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that `core.platform.process.pool` starts its members with."""
    ready = click.option("--ready-fd", type=int, hidden=True)
    return exit_with_parent_option(ready(command))


class Failure(click.ClickException):
    """Fault that the operator can mend: one sentence, exit code 1."""

    def show(self, file: IO[str] | None = None) -> None:
        click.echo(f"tasklane: {self.message}", err=True)


def share_folder(settings: Settings) -> None:
    """Let the processes that this one starts write where it does: else each of a test would have its own folder."""
    if settings.env == "testing":
        os.environ["TASKLANE_INSTANCE_PATH"] = str(settings.instance_path)


def die_with_parent(parent: int | None) -> None:
    """End this process when the one that started it is gone, even by kill -9."""
    if parent is None:
        return

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
