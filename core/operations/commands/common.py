"""Shared parts of the commands that use the application: getting it, and their refusals."""

import contextlib
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

from redis.exceptions import RedisError
from sqlalchemy.exc import DatabaseError, DBAPIError

from core.bootstrap import create_core_app
from core.operations.commands.process import Failure
from core.operations.health import reason_of
from core.platform.config.load import load_settings
from core.platform.config.secret_values import masked_url
from core.platform.database.trouble import is_outage
from core.platform.errors import DomainError


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
    if isinstance(error, RedisError):
        settings = load_settings()
        return f"Redis at {masked_url(settings.redis_url)} does not answer: {reason_of(error, settings)}."
    if isinstance(error, DBAPIError) and _is_of_the_installation(error):
        settings = load_settings()
        return f"The database {masked_url(settings.database_url)} cannot be used: {reason_of(error, settings)}."
    return None


# There is no such table, or no such column: PostgreSQL's names, and the words of SQLite, which has none.
_NOT_MIGRATED = ("42P01", "42703")
_NO_SUCH = ("no such table", "no such column")


def _is_of_the_installation(error: DBAPIError) -> bool:
    """Return whether the database is what is wrong, and not a statement of ours."""
    # What is no database of SQLite, or damaged, has no name of its own; without a statement, it is about connecting.
    is_nameless = type(error) is DatabaseError or error.statement is None
    is_old = getattr(error.orig, "sqlstate", None) in _NOT_MIGRATED or str(error.orig).startswith(_NO_SUCH)
    return is_outage(error) or is_nameless or is_old
