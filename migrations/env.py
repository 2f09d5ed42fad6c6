"""How Alembic reaches the database: through the running application."""

from typing import Any

from alembic import context
from flask import current_app
from sqlalchemy import Connection, text

from core import environment_mark
from core.db import UtcDateTime
from core.search.index import include_name

LOCK = 7_461_736_102  # Any number, as long as every migration takes the same.

extension = current_app.extensions["migrate"]
database = extension.db


def render_item(kind: str, item: Any, autogen_context: Any) -> str | bool:
    """Write our own column type as the plain one, so that old migrations need no code of today."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    return False


def run(connection: Connection) -> None:
    """Run the migrations, one process at a time."""
    options = {
        "target_metadata": database.metadata,
        "render_item": render_item,
        "include_name": include_name,
        **extension.configure_args,
    }
    context.configure(connection=connection, **options)
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":
            # Several release processes may start at once, and wait for each other as long as it
            # takes; the lock ends with the transaction.
            connection.execute(text("SET LOCAL lock_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
        context.run_migrations()
        if "destination_rev" in context.get_context().opts:  # Something migrates; others only look.
            environment_mark.note(connection, current_app.extensions["tasklane"].env)


if context.is_offline_mode():
    context.configure(url=str(database.engine.url), target_metadata=database.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
elif "connection" in context.config.attributes:
    # A caller that holds a connection of its own, such as `dev` and the tests.
    run(context.config.attributes["connection"])
else:
    with database.engine.connect() as connection:
        run(connection)
        connection.commit()
