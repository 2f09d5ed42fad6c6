"""Versions of the schema: which there are, which one a database has, and the way to the newest.

Flask-Migrate brings Alembic along, a sixth of what a process loads, and only who migrates needs it. So it is loaded
when it is first used; to look at versions takes none of it.
"""

import importlib
from functools import lru_cache

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Connection, inspect, text
from werkzeug.local import LocalProxy

from core.platform.config.load import ROOT

FOLDER = ROOT / "migrations"


def init_migrations(app: Flask, database: SQLAlchemy) -> None:
    """Let Flask-Migrate know the application when it asks for it."""

    def load() -> object:
        # A draft alters tables in place: a batch would copy the table, and lose its triggers.
        importlib.import_module("flask_migrate").Migrate(
            app, database, directory=str(FOLDER), render_as_batch=False, compare_type=True
        )
        return app.extensions["migrate"]

    app.extensions["migrate"] = LocalProxy(load)


def upgrade_database() -> None:
    """Bring the database of the application in whose context this runs to the newest version."""
    importlib.import_module("flask_migrate").upgrade()


@lru_cache(maxsize=1)
def known_revisions() -> frozenset[str]:
    """Return every version of the schema that this code knows: the numbers of the migrations."""
    return frozenset(path.name.partition("_")[0] for path in (FOLDER / "versions").glob("[0-9]*_*.py"))


def revision_of(connection: Connection) -> str | None:
    """Return the version of a database, None if it was never migrated."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision
