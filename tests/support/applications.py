"""Other applications on the database of a test, and what makes them cheap."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from werkzeug.routing import Rule

from api import create_app
from api.http.door.limiters import credentials_limiter
from api.v1 import NAMESPACES
from core.platform.config.settings import Settings
from core.platform.database.base import db


@contextmanager
def remaking(app: Flask, make_settings: Callable[..., Settings]) -> Iterator[Callable[..., Flask]]:
    """Yield a function that makes another application on the same database, with other settings."""
    made = []

    def remake(**overrides: Any) -> Flask:
        settings: Settings = app.extensions["tasklane"]
        keys = {
            "database_url": settings.database_url,
            "redis_url": settings.redis_url,
            "jwt_secret_key": settings.jwt_secret_key,
            "secret_key": settings.secret_key,
        }
        other = create_app(settings=make_settings(**{**keys, **overrides}))
        made.append(other)
        return other

    yield remake
    # The limiter of log-ins belongs to the process, which has one application outside the tests.
    credentials_limiter.enabled = False
    for other in made:
        other.extensions["tasklane.upstreams"].close()
        with other.app_context():
            db.engine.dispose()
        _forget(other)


def _forget(app: Flask) -> None:
    """Let go of an application. Namespaces belong to the process, and would keep all that they were ever added to."""
    blueprint = app.blueprints["api"]
    for namespace in NAMESPACES:
        namespace.apis = [api for api in namespace.apis if api.app is not blueprint]


@contextmanager
def urls_built_on_demand() -> Iterator[None]:
    """Let Werkzeug compile what builds the URLs of a route when somebody asks for such a URL.

    It compiles two functions for each of the routes, which is half of what an application costs, and hundreds are made
    of which most build the URLs of a route or two.
    """
    compile_builder = Rule._compile_builder

    def compile_later(rule: Rule, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        compiled: list[Callable[..., tuple[str, str]]] = []

        def build(rule: Rule, **values: Any) -> tuple[str, str]:
            if not compiled:
                compiled.append(compile_builder(rule, append_unknown))
            return compiled[0](rule, **values)

        return build

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rule, "_compile_builder", compile_later)
        yield
