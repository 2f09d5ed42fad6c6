"""The application without HTTP: configuration, logging, database, cache.

Workers and commands run in it; `api.create_app` adds the routes.
"""

from collections.abc import Callable
from typing import Any

from flask import Flask, Request, current_app
from flask.sessions import SessionInterface

import core.models  # noqa: F401 - the database has to know every table
from core.platform.cache.answers import cache
from core.platform.config.current import bind_settings
from core.platform.config.errors import ConfigError
from core.platform.config.load import ROOT, load_settings
from core.platform.config.settings import Settings
from core.platform.database.base import db
from core.platform.database.engine import init_db
from core.platform.database.environment_mark import keep_tests_away
from core.platform.database.migrations import init_migrations
from core.platform.database.write_check import WriteCheck
from core.platform.logs.sentry import init_sentry
from core.platform.logs.setup import configure_logging
from core.upstreams.registry import Registry

UPSTREAMS = "tasklane.upstreams"
WRITE_CHECK = "tasklane.write_check"


class _NoSessions(SessionInterface):
    """No sessions of Flask's, whose signer is made anew for each request: logins are rows (`core.auth`)."""

    def open_session(self, app: Flask, request: Request) -> None:
        """Open nothing."""


class Application(Flask):
    """An application of plain functions. Flask would ask at each call of a function whether it is a coroutine."""

    session_interface = _NoSessions()

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function as it is."""
        return func


def create_core_app(config_name: str | None = None, *, settings: Settings | None = None) -> Flask:
    """Return an application with configuration and database, and without routes.

    Raises ConfigError when the configuration cannot be used or the instance
    folder cannot be written.
    """
    settings = settings or load_settings(config_name)
    app = Application("tasklane", root_path=str(ROOT), instance_path=str(settings.instance_path), static_folder=None)
    bind_settings(app, settings)
    app.extensions[UPSTREAMS] = Registry(settings.upstreams)
    app.extensions[WRITE_CHECK] = WriteCheck()
    app.testing = settings.env == "testing"
    app.config.update(SECRET_KEY=settings.secret_key, JWT_SECRET_KEY=settings.jwt_secret_key)
    try:
        settings.instance_path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"The instance folder {settings.instance_path} is not usable: {error.strerror}.") from None
    configure_logging(settings)
    init_sentry(settings)
    init_db(app, settings.database_url)
    if settings.env == "testing":
        with app.app_context():
            keep_tests_away(db.engine)
    cache.init_app(app, settings)
    init_migrations(app, db)
    return app


def current_upstreams() -> Registry:
    """Return the upstreams of the application in whose context this runs."""
    registry: Registry = current_app.extensions[UPSTREAMS]
    return registry


def current_write_check() -> WriteCheck:
    """Return what knows whether the database of the application in whose context this runs can be written."""
    check: WriteCheck = current_app.extensions[WRITE_CHECK]
    return check
