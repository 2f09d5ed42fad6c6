"""What the commands that use the application share: how they get it, and what they refuse."""

import contextlib
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

from alembic.util import CommandError
from redis.exceptions import RedisError
from sqlalchemy.exc import OperationalError

from core.bootstrap import create_core_app
from core.commands.process import Failure
from core.config import ConfigError, load_settings, masked_url
from core.embedded import EmbeddedError
from core.errors import DomainError


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
