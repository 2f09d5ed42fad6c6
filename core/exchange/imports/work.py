"""One import: a file is examined without a lock, then stored in one transaction.

SQLite has one writer, so everything that takes long happens before: reading,
decoding, checking each row against the rules and the present state. What is to
be stored waits on the disk. Then each row that would change something is decided
again, by the same code and with locks, and written in bulk: all in one
transaction, which also ends the job, so that the effect happens once or not at
all. A dry run does all of it and rolls back.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from types import TracebackType
from typing import IO, Any, TypeVar

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from core.exchange.imports import parsers
from core.exchange.imports.order import ImportRefused, Match, OnError, Order, RowsRefused
from core.exchange.imports.repository import REFERENCES, ExternalIdRepository
from core.exchange.imports.row_reader import RowReader
from core.exchange.imports.rows import Counts, JudgedRow, RawRow, RowOutcome
from core.exchange.imports.source import FileRefused
from core.exchange.imports.spool import Counted, Report, Spool
from core.exchange.imports.targets import TARGETS, RowTarget
from core.platform import clock
from core.platform.access import Actor, Via
from core.platform.database.base import db
from core.platform.database.session import transaction
from core.platform.database.violations import conflict_of
from core.platform.errors import DomainError, Invalid, JobFailed
from core.platform.text import checks
from core.users.repository import UserRepository

BATCH = 1000
# What has to be kept of each row, so that no two of them mean the same thing, has to fit into memory.
MAX_ROWS = 500_000
# How much of the work is examining, in percent.
EXAMINING = 60

CHANGED = "Somebody else changed this at the same time."


class _RolledBack(Exception):
    """The end of a dry run."""


class Import:
    """One import of one file. A context manager, because it keeps files on the disk."""

    def __init__(
        self, actor: Actor, stream: IO[bytes], order: Order, *, size: int, report: Callable[[int], None]
    ) -> None:
        self.actor = replace(actor, via=Via.IMPORT)
        self.order = order
        self.counts = Counts()
        self.target: RowTarget = TARGETS[order.kind](self.actor)
        self._stream = Counted(stream)
        self._size = max(size, 1)
        self._show = report
        self._spool = Spool(self.target)
        self._late: dict[int, list[tuple[str, str]]] = {}
        self._report = Report()
        self._reader = RowReader(order, self.target)

    def __enter__(self) -> "Import":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._spool.close()
        self._report.close()

    @property
    def report(self) -> IO[bytes]:
        """The report as a CSV file, from its beginning."""
        return self._report.rewound()

    # --- the first pass: read everything, change nothing ---

    def examine(self) -> None:
        """Read and judge the whole file. Raises ImportRefused if that settles it already: nothing can be stored."""
        try:
            for batch in _batches(parsers.read(self._stream, self.order.format, self._reader.known)):  # type: ignore[arg-type]
                self._examine(batch)
                self._show(min(EXAMINING * self._stream.count // self._size, EXAMINING))
        except FileRefused as refusal:
            self._write_refusal(refusal.message)
            raise ImportRefused(refusal.message) from None
        if self.counts.failed and self.order.on_error is OnError.ABORT:
            raise self._refused()

    def _examine(self, rows: list[RawRow]) -> None:
        self.counts.rows += len(rows)
        if self.counts.rows > MAX_ROWS:
            raise FileRefused(f"The file has more than {MAX_ROWS} rows. Divide it.")
        entries = [self._reader.read(row) for row in rows]
        session = db.session()
        self._decide(session, [entry for entry in entries if entry.outcome is None], lock=False)
        # Nothing that was read may pile up, or be taken for the state while the file is stored.
        session.commit()
        session.expunge_all()
        for entry in entries:
            self.counts.add(entry.outcome)
            self._spool.add(entry)

    # --- what both passes do ---

    def _decide(self, session: Session, entries: list[JudgedRow], *, lock: bool) -> dict[int, dict[str, Any]]:
        """Judge rows by the present state, whereby some fail and some change nothing; return the changes by thing."""
        self._find(session, entries)
        thing_ids = sorted({entry.thing_id for entry in entries if entry.thing_id is not None})
        self.target.load(session, thing_ids, [entry.values for entry in entries], lock=lock)
        changes = {}
        for entry in entries:
            try:
                if entry.thing_id is None:
                    self._require_complete(entry)
                    self.target.require_new(entry.values)
                elif changed := self.target.changed(entry.thing_id, entry.values):
                    changes[entry.thing_id] = changed
                else:
                    entry.outcome = RowOutcome.UNCHANGED
            except DomainError as refusal:
                entry.fail(refusal)
        return changes

    def _find(self, session: Session, entries: list[JudgedRow]) -> None:
        """Find the things that rows have names for."""
        if self.order.match is Match.ID:
            return
        if self.order.kind not in REFERENCES:
            names = {entry.values["username"].lower() for entry in entries if "username" in entry.values}
            found = UserRepository(session).list_owners(names)
            for entry in entries:
                entry.thing_id = found.get(entry.values.get("username", "").lower())
            return
        names = {entry.external_id for entry in entries if entry.external_id is not None}
        found = self._names(session).find(names)
        for entry in entries:
            entry.thing_id = found.get(entry.external_id or "")

    def _names(self, session: Session) -> ExternalIdRepository:
        return ExternalIdRepository(session, self.actor, self.order.kind)

    def _require_complete(self, entry: JudgedRow) -> None:
        details = {name: [checks.REQUIRED] for name in self.target.fields.required if name not in entry.values}
        if details:
            raise Invalid("The row lacks required fields.", details=details)

    # --- the second pass: change, in one transaction ---

    def store(self, session: Session) -> None:
        """Store what was examined, in the caller's transaction.

        Raises ImportRefused if a row is refused that was not before, unless such rows are to be left out.
        """
        now = clock.now()
        self._report.restart()
        for batch in _batches(self._spool):
            pending = [entry for entry in batch if entry.outcome is None]
            if pending:
                self._store(session, pending, now)
            for entry in batch:
                self._report.add(entry)
            self._show(EXAMINING + (99 - EXAMINING) * batch[-1].number // max(self.counts.rows, 1))

    def rehearse(self) -> None:
        """Examine the file, store it, and take that back. Raises ImportRefused if nothing could be stored."""
        self.examine()
        try:
            with transaction() as session:
                self.store(session)
                raise _RolledBack
        except _RolledBack:
            pass

    def _store(self, session: Session, entries: list[JudgedRow], now: datetime) -> None:
        try:
            with session.begin_nested():
                self._write(session, entries, now)
        except (IntegrityError, StaleDataError, DomainError):
            # Another transaction was faster with one of these rows. One by one, it is found.
            for entry in entries:
                self._store_alone(session, entry, now)
        session.expunge_all()
        for entry in entries:
            self.counts.add(entry.outcome)
            if entry.outcome is RowOutcome.FAILED:
                self._late[entry.number] = entry.problems
        if self._late and self.order.on_error is OnError.ABORT:
            raise self._refused()

    def _store_alone(self, session: Session, entry: JudgedRow, now: datetime) -> None:
        entry.outcome, entry.problems = None, []
        try:
            with session.begin_nested():
                self._write(session, [entry], now)
        except IntegrityError as error:
            entry.fail(conflict_of(error) or JobFailed("What this row refers to is gone."))
        except StaleDataError:
            entry.fail(JobFailed(CHANGED))
        except DomainError as refusal:
            entry.fail(refusal)

    def _write(self, session: Session, entries: list[JudgedRow], now: datetime) -> None:
        changes = self._decide(session, entries, lock=True)
        pending = [entry for entry in entries if entry.outcome is None]
        new = [entry for entry in pending if entry.thing_id is None]
        if changes:
            self.target.update(session, changes, now)
        if new:
            # A microsecond apart, so that a list shows them in the order of the file.
            wanted = [(entry.values, now + timedelta(microseconds=entry.number)) for entry in new]
            made = self.target.insert(session, wanted)
            if self.order.kind in REFERENCES:
                named = zip(new, made, strict=True)
                self._names(session).add(
                    {entry.external_id: thing_id for entry, thing_id in named if entry.external_id}
                )
            for entry, thing_id in zip(new, made, strict=True):
                entry.thing_id = None if self.order.dry_run else thing_id
        for entry in pending:
            entry.outcome = RowOutcome.UPDATED
        for entry in new:
            entry.outcome = RowOutcome.CREATED

    # --- when nothing is stored ---

    def _refused(self) -> RowsRefused:
        self._write_refusal()
        count = self.counts.failed
        which = "1 row" if count == 1 else f"{count} rows"
        return RowsRefused(f"{which} of {self.counts.rows} cannot be imported, so nothing was stored.")

    def _write_refusal(self, reason: str | None = None) -> None:
        """Write the report of an import that stores nothing; `reason` is what is wrong with the file itself."""
        self._report.restart()
        self.counts.created = self.counts.updated = 0
        for entry in self._spool:
            if entry.number in self._late:
                entry.outcome, entry.problems = RowOutcome.FAILED, self._late[entry.number]
            elif entry.outcome is None:
                entry.outcome = RowOutcome.NOT_STORED
            self._report.add(entry)
        if reason is not None:
            self._report.add_sentence(reason)


Some = TypeVar("Some")


def _batches(entries: Iterable[Some]) -> Iterator[list[Some]]:
    source = iter(entries)
    while batch := list(islice(source, BATCH)):
        yield batch
