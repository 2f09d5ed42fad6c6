"""Alembic's way to the database: through the running application."""

from pathlib import Path
from typing import Any

from alembic import context
from flask import current_app
from sqlalchemy import Connection

from core.platform.database import environment_mark
from core.platform.database.session import for_writing
from core.platform.database.types import UtcDateTime
from core.search.index import include_name
from migrations import online

extension = current_app.extensions["migrate"]
database = extension.db


def render_item(kind: str, item: Any, autogen_context: Any) -> str | bool:
    """Write our own column type as the plain one, so that old migrations need no code of today."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    return False


def number(current: Any, revision: Any, directives: list[Any]) -> None:
    """Give a new migration the next number, so that the folder shows the order."""
    for script in directives:
        folder = Path(current.script.versions)
        script.rev_id = f"{len(list(folder.glob('[0-9]*.py'))) + 1:04d}"


def migrate(connection: Connection) -> None:
    """Run the migrations: on PostgreSQL each in a transaction of its own, which holds its locks for a moment."""
    options = {
        "target_metadata": database.metadata,
        "render_item": render_item,
        "include_name": include_name,
        "process_revision_directives": number,
        "transaction_per_migration": connection.dialect.name == "postgresql",
        # Alembic takes SQLite for a database that cannot undo a CREATE TABLE, and would commit after each migration:
        # then another process that migrates comes in between.
        "transactional_ddl": True,
        **extension.configure_args,
    }
    context.configure(connection=connection, **options)
    # Others only look.
    is_changing = "destination_rev" in context.get_context().opts
    if is_changing:
        # On SQLite one waits for the other when it begins, and not in the middle.
        for_writing(connection, patience=online.PATIENCE)
    with context.begin_transaction():
        context.run_migrations()
        if is_changing:
            environment_mark.note(connection, current_app.extensions["tasklane"].env)
            if options["transaction_per_migration"]:
                connection.commit()


def run(connection: Connection) -> None:
    """Run the migrations, one process at a time, and so that others can go on writing."""
    if connection.dialect.name != "postgresql":
        migrate(connection)
        return
    with online.alone(connection.engine):
        online.repeated(connection, lambda: migrate(connection))


if context.is_offline_mode():
    context.configure(
        url=str(database.engine.url),
        target_metadata=database.metadata,
        literal_binds=True,
        transaction_per_migration=database.engine.dialect.name == "postgresql",
    )
    with context.begin_transaction():
        context.run_migrations()
elif "connection" in context.config.attributes:
    # A caller that holds a connection of its own, such as `dev` and the tests.
    run(context.config.attributes["connection"])
else:
    with database.engine.connect() as connection:
        run(connection)
        connection.commit()
