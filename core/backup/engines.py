"""Copying a whole database into a file and back, for each engine."""

import os
import shutil
import sqlite3
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Protocol

import psycopg
from sqlalchemy.engine import URL, make_url

from core.durable import new_empty_file

# What a copy for SQLite waits for a writer at most, in seconds.
PATIENCE = 15.0
# Empties the schema that the copy is then read into. Extensions stay, because only a superuser could bring them back.
_EMPTY_SCHEMA = """
DO $$
DECLARE thing record;
BEGIN
    FOR thing IN SELECT format('DROP TABLE IF EXISTS %I.%I CASCADE', schemaname, tablename) AS command
                 FROM pg_tables WHERE schemaname = current_schema()
    LOOP EXECUTE thing.command; END LOOP;
    FOR thing IN SELECT format('DROP FUNCTION IF EXISTS %s CASCADE', p.oid::regprocedure) AS command
                 FROM pg_proc p
                 WHERE p.pronamespace = current_schema()::regnamespace
                   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
    LOOP EXECUTE thing.command; END LOOP;
END $$;
"""


class BackupError(Exception):
    """A backup cannot be made or restored; the message is one sentence for a person."""


class Engine(Protocol):
    """One kind of database."""

    name: str

    def revision(self) -> str:
        """Return the version of the schema, or nothing if the database is empty. Raises BackupError."""

    def copy_to(self, path: Path) -> None:
        """Write one state of the whole database to a file. Others go on reading and writing. Raises BackupError."""

    def read_from(self, path: Path) -> None:
        """Replace the database by a copy, whole or not at all. Raises BackupError, also while anybody is connected."""


def engine_of(database_url: str) -> Engine:
    """Return what copies this database."""
    url = make_url(database_url)
    return Sqlite(url) if url.get_backend_name() == "sqlite" else Postgresql(url)


class Sqlite:
    """A database in a file, copied by SQLite itself."""

    name = "sqlite"

    def __init__(self, url: URL) -> None:
        self.path = Path(url.database or "")

    def revision(self) -> str:
        if not self.path.exists():
            return ""
        with self._open() as database:
            return self._revision(database)

    def copy_to(self, path: Path) -> None:
        if not self.path.exists():
            raise BackupError(f"There is no database at {self.path}.")
        with self._open() as database, closing(sqlite3.connect(path)) as copy:
            # In one step, so that it is one state and no writer makes it begin again.
            database.backup(copy, pages=-1)
            # A copy needs no second file beside it.
            copy.execute("PRAGMA journal_mode = DELETE")
            _require_whole(copy)

    def read_from(self, path: Path) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new_empty_file(self.path)
        with closing(sqlite3.connect(path)) as copy, self._open() as database:
            _require_whole(copy)
            try:
                # Possible only for somebody who is alone with the file.
                database.execute("PRAGMA journal_mode = DELETE")
            except sqlite3.OperationalError:
                raise BackupError("The database is in use. Stop Tasklane, then restore.") from None
            self._keep_private()
            database.execute("PRAGMA synchronous = FULL")
            # One transaction: a power cut leaves the old state or the new one.
            copy.backup(database, pages=-1)
            database.execute("PRAGMA journal_mode = WAL")

    def _keep_private(self) -> None:
        """Let nobody but its owner read what is about to be in the file."""
        mode = stat.S_IMODE(self.path.stat().st_mode)
        # Somebody else who may write to it may also restore it, and cannot change its mode.
        with suppress(PermissionError):
            if mode & ~0o600:
                self.path.chmod(mode & 0o600)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self.path, timeout=PATIENCE, isolation_level=None)) as database:
                yield database
        except sqlite3.Error as error:
            raise BackupError(f"The database {self.path} cannot be used: {error}.") from None

    @staticmethod
    def _revision(database: sqlite3.Connection) -> str:
        known = database.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
        row = database.execute("SELECT version_num FROM alembic_version").fetchone() if known else None
        return str(row[0]) if row else ""


def _require_whole(database: sqlite3.Connection) -> None:
    found = database.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if found != "ok":
        raise BackupError(f"The database is damaged: {found}.")


class Postgresql:
    """A database on a server, copied by PostgreSQL's own tools."""

    name = "postgresql"

    def __init__(self, url: URL) -> None:
        self.url = url

    def revision(self) -> str:
        with self._connect() as connection:
            if connection.execute("SELECT to_regclass('alembic_version')").fetchone() == (None,):
                return ""
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            return str(row[0]) if row else ""

    def copy_to(self, path: Path) -> None:
        self._run("pg_dump", "--format=plain", "--no-owner", "--no-privileges", f"--file={path}")

    def read_from(self, path: Path) -> None:
        with self._connect() as connection:
            others = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
            ).fetchone()
        if others != (0,):
            raise BackupError("The database is in use. Stop Tasklane, then restore.")
        with tempfile.NamedTemporaryFile("w", suffix=".sql") as first:
            first.write(_EMPTY_SCHEMA)
            first.flush()
            options = ("--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--single-transaction", "--output=/dev/null")
            self._run("psql", *options, f"--file={first.name}", f"--file={path}")

    @contextmanager
    def _connect(self) -> Iterator[psycopg.Connection]:
        shown = self.url.set(drivername="postgresql").render_as_string(hide_password=False)
        try:
            with psycopg.connect(shown, connect_timeout=5) as connection:
                yield connection
        except psycopg.Error as error:
            raise BackupError(f"The database cannot be used: {str(error).strip().splitlines()[0]}.") from None

    def _run(self, tool: str, *options: str) -> None:
        program = shutil.which(tool)
        if program is None:
            raise BackupError(
                f"{tool} is not installed. It comes with PostgreSQL's client programs (postgresql-client on Debian)."
            )
        with self._service() as service:
            environ = {**os.environ, "PGSERVICEFILE": service, "PGCONNECT_TIMEOUT": "5"}
            command = [program, "--dbname=service=tasklane", "--no-password", *options]
            done = subprocess.run(  # noqa: S603 - no shell, and nothing of a request
                command, env=environ, capture_output=True, text=True, check=False
            )
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines() or ["it does not say why"]
            raise BackupError(f"{tool} has failed: {lines[0].rstrip('.')}.")

    @contextmanager
    def _service(self) -> Iterator[str]:
        """Tell the tools where the server is, by a file, because everybody can read a command line."""
        url = self.url
        given = {"host": url.host, "port": url.port, "user": url.username, "password": url.password}
        given |= {"dbname": url.database, **{name: str(value) for name, value in url.query.items()}}
        lines = [f"{name}={value}" for name, value in given.items() if value is not None]
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
            file.write("\n".join(["[tasklane]", *lines, ""]))
            file.flush()
            yield file.name
