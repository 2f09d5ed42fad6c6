"""Mark of the environment that a database belongs to: written when it is migrated, read before tests run on it.

SQLite keeps the mark in the header of the file, PostgreSQL as the comment of Alembic's table; so it is in
a copy and in a backup too. A database that was migrated before there were marks must not be tested on.
"""

from contextlib import suppress
from pathlib import Path
from typing import Any

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import DBAPIError

from core.platform.config.errors import ConfigError
from core.platform.database.migrations import upgrade_database

# Numbers for the header of SQLite, in which an application says what its file is.
_NUMBERS = {"development": 0x746C_6476, "testing": 0x746C_7473, "production": 0x746C_7072}
# Whoever has migrated a database without a mark.
_UNKNOWN = ""
_COMMENT = "Migrated by Tasklane, environment "


def note(connection: Connection, environment: str) -> None:
    """Write down, in the caller's transaction, which environment has migrated a database."""
    if _owner(connection.connection.cursor(), connection.dialect.name) in (environment, None):
        return
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"PRAGMA application_id = {_NUMBERS[environment]}")
    else:
        connection.execute(text(f"COMMENT ON TABLE alembic_version IS '{_COMMENT}{environment}'"))


def keep_tests_away(engine: Engine) -> None:
    """Refuse every connection to a database that another environment has migrated, and look at once if it is there.

    Raises ConfigError.
    """

    @event.listens_for(engine, "connect")
    def look(connection: Any, record: Any) -> None:
        cursor = connection.cursor()
        try:
            _require_expendable(cursor, engine.dialect.name)
            connection.rollback()
        except ConfigError:
            connection.close()  # No other program has it yet.
            raise

    path = engine.url.database or ""
    if engine.dialect.name != "sqlite" or Path(path).is_file():  # Connecting would make a file.
        with suppress(DBAPIError), engine.connect():
            pass
        engine.dispose()


def _require_expendable(cursor: Any, dialect: str) -> None:
    owner = _owner(cursor, dialect)
    if owner in (None, "testing"):
        return
    raise ConfigError(
        f"Tests would destroy what is in this database: {f'the {owner}' if owner else 'another'} environment"
        " has migrated it;"
        " name an empty one in TEST_DATABASE_URL, or none at all."
    )


def _owner(cursor: Any, dialect: str) -> str | None:
    """Return the environment that has migrated a database, None if none has."""
    if dialect == "sqlite":
        cursor.execute("SELECT count(*) FROM sqlite_master WHERE name = 'alembic_version'")
        if not cursor.fetchone()[0]:
            return None
        cursor.execute("PRAGMA application_id")
        number = cursor.fetchone()[0]
        return next((name for name, its in _NUMBERS.items() if its == number), _UNKNOWN)
    cursor.execute("SELECT to_regclass('alembic_version')::oid, obj_description(to_regclass('alembic_version'))")
    table, comment = cursor.fetchone()
    if table is None:
        return None
    name = (comment or "").removeprefix(_COMMENT)
    return name if name in _NUMBERS else _UNKNOWN


class Database(SQLAlchemy):
    """The database of an application; what makes and drops all of it does so as the migrations would."""

    def create_all(self, bind_key: Any = "__all__") -> None:
        """Bring the database to the newest version: the models alone lack the search index and the change marks."""
        upgrade_database()

    def drop_all(self, bind_key: Any = "__all__") -> None:
        """Remove everything from a database of tests. Raises ConfigError for any other."""
        self.session.remove()  # Its open transaction would be in the way.
        with self.engine.begin() as connection:
            cursor = connection.connection.cursor()
            _require_expendable(cursor, connection.dialect.name)
            self.metadata.drop_all(connection)
            for statement in list(_drop_the_rest(connection)):
                connection.exec_driver_sql(statement)


def _drop_the_rest(connection: Connection) -> list[str]:
    """Return what removes that which migrations have made beside the tables of the models."""
    if connection.dialect.name == "sqlite":
        rows = connection.exec_driver_sql(
            "SELECT name FROM pragma_table_list WHERE type IN ('virtual', 'table') AND schema = 'main'"
            " AND name NOT LIKE 'sqlite%' ORDER BY type DESC"
        )
        return [f'DROP TABLE "{name}"' for (name,) in rows]
    rows = connection.exec_driver_sql(
        "SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = current_schema()::regnamespace"
        " AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')"
    )
    return ["DROP TABLE IF EXISTS alembic_version", *(f"DROP FUNCTION {name} CASCADE" for (name,) in rows)]
