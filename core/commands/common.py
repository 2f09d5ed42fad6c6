"""What all commands share: their application, their refusals, their end."""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import wraps
from typing import IO, Any

import click
from alembic.util import CommandError
from redis.exceptions import RedisError
from sqlalchemy.exc import OperationalError

from core.bootstrap import create_core_app
from core.config import ROOT, ConfigError, load_settings, masked_url
from core.embedded import EmbeddedError
from core.errors import DomainError

MANAGE = [sys.executable, str(ROOT / "manage.py")]

exit_with_parent_option = click.option("--exit-with-parent", type=int, metavar="PID", hidden=True)


def pool_member_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that `core.pool` starts its members with."""
    ready = click.option("--ready-fd", type=int, hidden=True)
    return exit_with_parent_option(ready(command))


class Failure(click.ClickException):
    """Something a person can mend: one sentence, exit code 1."""

    def show(self, file: IO[str] | None = None) -> None:
        click.echo(f"tasklane: {self.message}", err=True)


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """Say in one sentence what a service refused."""
    try:
        yield
    except DomainError as error:
        sentences = [f"{field}: {' '.join(texts)}" for field, texts in (error.details or {}).items()]
        raise Failure(" ".join([error.message, *sentences])) from None


def in_app(command: Callable[..., None]) -> Callable[..., None]:
    """Run a command in an application with configuration and database, and without routes."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        with create_core_app().app_context():
            command(*args, **kwargs)

    return run


def explain(error: Exception) -> str | None:
    """Return the sentence that ends a command, or None for what only a developer can mend."""
    if isinstance(error, ConfigError | EmbeddedError | CommandError):
        return str(error)
    if isinstance(error, RedisError):
        return f"Redis at {masked_url(load_settings().redis_url)} does not answer: {error}"
    if isinstance(error, OperationalError):
        reason = str(error.orig).strip().splitlines()[0]
        return f"The database {masked_url(load_settings().database_url)} cannot be used: {reason}."
    return None


def die_with_parent(parent: int | None) -> None:
    """End this process when the one that started it is gone, even by kill -9."""
    if parent is None:
        return

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
