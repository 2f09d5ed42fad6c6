"""Single statements outside of any transaction, asked of the driver: for what every request asks.

A session of the ORM takes many times as long as such a statement itself: it begins, takes a connection
out of a pool, compiles, makes a row, and ends. Here a connection stays open in autocommit, and the driver
has the statement prepared.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Dialect, Engine, Select, event
from sqlalchemy.pool import QueuePool

from core.platform.database.prepared import readers_of
from core.platform.database.trouble import identity_of

# Rows that a connection remembers at most.
MAX_ROWS = 200


@dataclass(slots=True)
class _Kept:
    """A connection of the driver that is kept open, and the file that it reads, if it reads one.

    Of a file, SQLite says in a quarter of the time that a statement takes whether another connection has changed
    it (sqlite.org/pragma.html#pragma_data_version), and this one changes nothing. As long as nobody has, what was
    answered before is the answer.
    """

    driver: Any
    file: tuple[int, int] | None
    version: int = -1
    rows: dict[tuple[str, Any], Any] = field(default_factory=dict)

    def ask(self, statement: str, parameters: Any) -> Any:
        """Return the first row that the database has for a statement now. Raises the driver's errors."""
        if self.file is None:
            return self._ask(statement, parameters)
        version = self.driver.execute("PRAGMA data_version").fetchall()[0][0]
        if version != self.version or len(self.rows) >= MAX_ROWS:
            self.rows.clear()
            self.version = version
        key = (statement, parameters)
        if key not in self.rows:
            # If it is changed meanwhile, the row is newer than its version, which will be another one then.
            self.rows[key] = self._ask(statement, parameters)
        return self.rows[key]

    def _ask(self, statement: str, parameters: Any) -> Any:
        # All rows of it: a statement that is not at its end keeps a snapshot open.
        rows = self.driver.execute(statement, parameters).fetchall()
        return rows[0] if rows else None


class _Prepared:
    """A query as the driver takes it, and what makes values of the columns that it returns.

    Its parameters need defaults, because it is compiled before their values are known.
    """

    def __init__(self, query: Select[*tuple[Any, ...]], dialect: Dialect) -> None:
        compiled: Any = query.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
        self.query = query
        self.statement = str(compiled)
        # With the values that stand in the query itself.
        self._known: dict[str, Any] = compiled.params
        self._order: list[str] | None = compiled.positiontup
        self._processors = readers_of(dialect, query)

    def spell(self, values: dict[str, Any]) -> Any:
        """Return values as the driver takes them: in the order of the statement, or by their names."""
        known = {**self._known, **values}
        return known if self._order is None else tuple([known[name] for name in self._order])

    def read(self, row: Any) -> tuple[Any, ...]:
        """Return what the columns of a row mean."""
        # A list, because a generator takes as long as all the rest of it.
        meant = [
            value if process is None else process(value) for process, value in zip(self._processors, row, strict=True)
        ]
        return tuple(meant)


class Reader:
    """Asks one statement at a time, and sees whatever was committed before it was asked."""

    def __init__(self, engine: Engine, *, path: Path | None, opened: Callable[[Any], None]) -> None:
        """`path` is the file of a database that has one; `opened` gets each new connection of the driver."""
        self._engine = engine
        self._path = path
        self._opened = opened
        self._prepared: dict[int, _Prepared] = {}
        # The one that was used last is taken first, so there are no more than were ever used at once.
        self._idle: deque[_Kept] = deque()
        # Told of each connection that is opened (1) or given up (-1).
        self.counted: Callable[[int], object] = lambda change: None
        event.listen(engine, "engine_disposed", lambda _: self.close())

    def first(self, query: Select[*tuple[Any, ...]], values: dict[str, Any]) -> tuple[Any, ...] | None:
        """Return the first row of a query, which has to be the same object each time. Raises like a session.

        Where the kept connection fails, because the server was started anew for example, an ordinary one is asked.
        """
        prepared = self._prepared.get(id(query)) or self._prepare(query)
        try:
            kept = self._take()
        except self._engine.dialect.loaded_dbapi.Error:
            kept = None  # An ordinary one says what is wrong, in the words of a session.
        if kept is None:
            return self._ask_ordinarily(query, values)
        parameters = prepared.spell(values)
        try:
            self._tell(prepared.statement, parameters)
            row = kept.ask(prepared.statement, parameters)
        except self._engine.dialect.loaded_dbapi.Error:
            self._give_up(kept)
            self.close()
            return self._ask_ordinarily(query, values)
        except BaseException:
            self._give_up(kept)
            raise
        self._idle.append(kept)
        return None if row is None else prepared.read(row)

    def close(self) -> None:
        """Close the connections that are not in use."""
        while self._idle:
            self._give_up(self._idle.pop())

    def _prepare(self, query: Select[*tuple[Any, ...]]) -> _Prepared:
        return self._prepared.setdefault(id(query), _Prepared(query, self._engine.dialect))

    def _take(self) -> _Kept | None:
        """Return a connection to the database as it is now, None where none can be kept."""
        file = None if self._path is None else identity_of(self._path)
        while self._idle:
            try:
                kept = self._idle.pop()
            except IndexError:
                break
            if kept.file == file:
                return kept
            # What it reads is not the database any more.
            self._give_up(kept)
        return self._open(file) if isinstance(self._engine.pool, QueuePool) else None

    def _open(self, file: tuple[int, int] | None) -> _Kept:
        connection = self._engine.connect()
        try:
            driver: Any = connection.connection.driver_connection
            # It is nobody else's from now on, and the pool may open another.
            connection.detach()
            self._opened(driver)
        except BaseException:
            connection.close()
            raise
        self.counted(1)
        return _Kept(driver, file)

    def _give_up(self, kept: _Kept) -> None:
        self.counted(-1)
        kept.driver.close()

    def _ask_ordinarily(self, query: Select[*tuple[Any, ...]], values: dict[str, Any]) -> tuple[Any, ...] | None:
        with self._engine.connect() as connection:
            row = connection.execute(query, values).first()
        return None if row is None else tuple(row)

    def _tell(self, statement: str, parameters: Any) -> None:
        """Tell whoever watches the statements of the engine."""
        for watch in self._engine.dispatch.before_cursor_execute:
            watch(None, None, statement, parameters, None, False)
