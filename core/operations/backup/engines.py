"""Copying a whole database into a file and back, for each engine."""

import os
import shutil
import sqlite3
import stat
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import IO, Protocol

import psycopg
from sqlalchemy.engine import URL, make_url

from core.platform.disk.private_files import new_empty_file, new_private_file
from core.platform.process.orphans import dying_with_parent

# What a copy for SQLite waits for a writer at most, in seconds.
PATIENCE = 15.0
_PIECE = 2**20
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
    """Backup of one kind of database. What it leaves in the folder `scratch`, its caller removes."""

    name: str

    def revision(self) -> str:
        """Return the version of the schema, or nothing if the database is empty. Raises BackupError."""

    def copy_to(self, path: Path, scratch: Path) -> None:
        """Write one state of the whole database to a file. Others go on reading and writing. Raises BackupError."""

    def read_from(self, path: Path, scratch: Path) -> None:
        """Replace the database by a copy, whole or not at all. Raises BackupError, also while a client is connected."""


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

    def copy_to(self, path: Path, scratch: Path) -> None:
        if not self.path.exists():
            raise BackupError(f"There is no database at {self.path}.")
        with self._open() as database, closing(sqlite3.connect(path)) as copy:
            # In one step, so that it is one state and no writer makes it begin again.
            database.backup(copy, pages=-1)
            # A copy needs no second file beside it.
            copy.execute("PRAGMA journal_mode = DELETE")
            _require_whole(copy)

    def read_from(self, path: Path, scratch: Path) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new_empty_file(self.path)
        with closing(sqlite3.connect(path)) as copy, self._open() as database:
            _require_whole(copy)
            try:
                # Possible only for a process that is alone with the file.
                database.execute("PRAGMA journal_mode = DELETE")
            except sqlite3.OperationalError:
                raise BackupError("The database is in use. Stop Tasklane, then restore.") from None
            self._keep_private()
            database.execute("PRAGMA synchronous = FULL")
            # One transaction: a power cut leaves the old state or the new one.
            copy.backup(database, pages=-1)
            database.execute("PRAGMA journal_mode = WAL")

    def _keep_private(self) -> None:
        """Let only its owner read what is about to be in the file."""
        mode = stat.S_IMODE(self.path.stat().st_mode)
        # Another user who may write to it may also restore it, and cannot change its mode.
        with suppress(PermissionError):
            if mode & ~0o600:
                self.path.chmod(mode & 0o600)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self.path, timeout=PATIENCE, isolation_level=None)) as database:
                yield database
        except sqlite3.ProgrammingError:
            raise  # A mistake of this code, of which the database knows nothing.
        except sqlite3.DatabaseError as error:
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

    def copy_to(self, path: Path, scratch: Path) -> None:
        # By a pipe, so that it ends with us wherever a kernel knows no better way.
        with path.open("wb") as copy:
            self._run(scratch, copy, "pg_dump", "--format=plain", "--no-owner", "--no-privileges")

    def read_from(self, path: Path, scratch: Path) -> None:
        with self._connect() as connection:
            others = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
            ).fetchone()
        if others != (0,):
            raise BackupError("The database is in use. Stop Tasklane, then restore.")
        first = scratch / "first.sql"
        first.write_text(_EMPTY_SCHEMA)
        options = ("--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--single-transaction")
        # By files: at the end of a pipe that breaks it would commit what it has got.
        self._run(scratch, None, "psql", *options, f"--file={first}", f"--file={path}")

    @contextmanager
    def _connect(self) -> Iterator[psycopg.Connection]:
        shown = self.url.set(drivername="postgresql").render_as_string(hide_password=False)
        try:
            connection = psycopg.connect(shown, connect_timeout=5)
        except psycopg.Error as error:
            raise _unusable(error) from None
        try:
            with connection:
                yield connection
        except (psycopg.OperationalError, psycopg.errors.InsufficientPrivilege) as error:
            raise _unusable(error) from None

    def _run(self, scratch: Path, output: IO[bytes] | None, tool: str, *options: str) -> None:
        program = shutil.which(tool)
        if program is None:
            raise BackupError(
                f"{tool} is not installed. It comes with PostgreSQL's client programs (postgresql-client on Debian)."
            )
        environ = {**os.environ, "PGSERVICEFILE": str(self._service(scratch)), "PGCONNECT_TIMEOUT": "5"}
        command = [program, "--dbname=service=tasklane", "--no-password", *options]
        with (
            (scratch / "said").open("w+b") as said,
            subprocess.Popen(  # noqa: S603 - no shell, and nothing of a request
                command,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if output else subprocess.DEVNULL,
                stderr=said,
                preexec_fn=dying_with_parent(),  # noqa: PLW1509 - a command has one thread
            ) as process,
        ):
            if output and process.stdout:
                shutil.copyfileobj(process.stdout, output, _PIECE)
            code = process.wait()
            said.seek(0)
            lines = said.read().decode(errors="replace").strip().splitlines() or ["it does not say why"]
        if code != 0:
            raise BackupError(f"{tool} has failed: {lines[0].rstrip('.')}.")

    def _service(self, scratch: Path) -> Path:
        """Pass the tools the server's address by a file, because any user can read a command line."""
        url = self.url
        given = {"host": url.host, "port": url.port, "user": url.username, "password": url.password}
        given |= {"dbname": url.database, **{name: str(value) for name, value in url.query.items()}}
        lines = [f"{name}={value}" for name, value in given.items() if value is not None]
        path = scratch / "service.conf"
        path.unlink(missing_ok=True)
        with new_private_file(path) as file:
            file.write("\n".join(["[tasklane]", *lines, ""]).encode())
        return path


def _unusable(error: psycopg.Error) -> BackupError:
    return BackupError(f"The database cannot be used: {str(error).strip().splitlines()[0]}.")
