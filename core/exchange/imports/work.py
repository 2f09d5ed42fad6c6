"""One import: a file is examined without a lock, then stored in one transaction.

SQLite has one writer, so everything that takes long happens before: reading,
decoding, checking each row against the rules and the present state. What is to
be stored waits on the disk. Then each row that would change something is decided
again, by the same code and with locks, and written in bulk: all in one
transaction, which also ends the job, so that the effect happens once or not at
all. A dry run does all of it and rolls back.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice
from types import TracebackType
from typing import IO, Any, TypeVar

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from core.exchange.columns import COLUMNS, ONLY_IN_ANSWERS, Kind
from core.exchange.imports import parsers
from core.exchange.imports.model import EXTERNAL_ID_LENGTH
from core.exchange.imports.parsers import Format
from core.exchange.imports.repository import REFERENCES, ExternalIdRepository
from core.exchange.imports.rows import Counts, Entry, Outcome, RawRow
from core.exchange.imports.source import FileRefused
from core.exchange.imports.spool import Counted, Report, Spool
from core.exchange.imports.things import KINDS, Things
from core.platform import clock
from core.platform.access import Actor, Via
from core.platform.database.base import db
from core.platform.database.session import transaction
from core.platform.database.violations import conflict_of
from core.platform.errors import DomainError, Invalid, JobFailed
from core.platform.text import checks
from core.users.model import User
from core.users.repository import UserRepository

BATCH = 1000
# What has to be kept of each row, so that no two of them mean the same thing, has to fit into memory.
MAX_ROWS = 500_000
# How much of the work is examining, in percent.
EXAMINING = 60

CHANGED = "Somebody else changed this at the same time."


class OnError(StrEnum):
    """Choice for an import in which a row is wrong."""

    ABORT = "abort"
    SKIP = "skip"


class Match(StrEnum):
    """By what a row finds the thing that it changes."""

    EXTERNAL_ID = "external_id"
    ID = "id"


class ImportRefused(JobFailed):
    """Refusal of an import as a whole; the report says why."""


class RowsRefused(ImportRefused):
    """The file was read to its end, and some of its rows cannot be stored."""


class _RolledBack(Exception):
    """The end of a dry run."""


@dataclass(frozen=True, slots=True)
class Order:
    """Order for a file: its kind, its format and the choices of the caller."""

    kind: Kind
    format: Format
    dry_run: bool = False
    on_error: OnError = OnError.ABORT
    match: Match = Match.EXTERNAL_ID

    def payload(self) -> dict[str, Any]:
        """Return the order as plain JSON."""
        return {name: str(value) if isinstance(value, StrEnum) else value for name, value in asdict(self).items()}

    @classmethod
    def of(cls, payload: Mapping[str, Any]) -> "Order":
        """Return the order of a payload."""
        return cls(
            kind=Kind(payload["kind"]),
            format=Format(payload["format"]),
            dry_run=payload["dry_run"],
            on_error=OnError(payload["on_error"]),
            match=Match(payload["match"]),
        )


class Import:
    """One import of one file. A context manager, because it keeps files on the disk."""

    def __init__(
        self, actor: Actor, stream: IO[bytes], order: Order, *, size: int, report: Callable[[int], None]
    ) -> None:
        self.actor = replace(actor, via=Via.IMPORT)
        self.order = order
        self.counts = Counts()
        self.things: Things = KINDS[order.kind](self.actor)
        self._stream = Counted(stream)
        self._size = max(size, 1)
        self._show = report
        self._spool = Spool(self.things)
        self._late: dict[int, list[tuple[str, str]]] = {}
        self._report = Report()
        self._seen: dict[str, dict[bytes, int]] = {}
        columns = {column.name: column for column in COLUMNS[order.kind]}
        self._known = [*columns, *ONLY_IN_ANSWERS[order.kind]]
        looked_at = {"external_id"} | ({"id"} if order.match is Match.ID else set())
        # What else is known is set by the server, and passed over: whatever exports write can be read.
        self._columns = {name: column for name, column in columns.items() if column.writable or name in looked_at}
        self._not_null = {column.name for column in self.things.model.__table__.columns if not column.nullable}

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
            for batch in _batches(parsers.read(self._stream, self.order.format, self._known)):  # type: ignore[arg-type]
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
        entries = [self._understood(row) for row in rows]
        session = db.session()
        self._decide(session, [entry for entry in entries if entry.outcome is None], lock=False)
        # Nothing that was read may pile up, or be taken for the state while the file is stored.
        session.commit()
        session.expunge_all()
        for entry in entries:
            self.counts.add(entry.outcome)
            self._spool.add(entry)

    def _understood(self, row: RawRow) -> Entry:
        """Return what a row says, as far as that is clear without the database."""
        entry = Entry(row.number, row.line)
        if row.problem is not None:
            entry.outcome, entry.problems = Outcome.FAILED, [(row.field, row.problem)]
            return entry
        values = self._decoded(row, entry)
        external_id, thing_id = values.pop("external_id", None), values.pop("id", None)
        if self.order.match is Match.ID:
            entry.thing_id = thing_id
        elif external_id is not None and not checks.is_blank(external_id):
            self._name(entry, external_id)
        try:
            entry.values = self.things.clean(values)
        except Invalid as refusal:
            entry.fail(refusal)
        else:
            self._require_unique(entry)
        if entry.problems:
            entry.outcome = Outcome.FAILED
        return entry

    def _decoded(self, row: RawRow, entry: Entry) -> dict[str, Any]:
        is_csv = self.order.format is Format.CSV
        values = {}
        for name, written in row.values.items():
            column = self._columns.get(name)
            if column is None:
                continue
            try:
                value = column.from_cell(written) if is_csv else column.from_json(written)
            except ValueError as error:
                entry.problems.append((name, str(error)))
                continue
            if value is None and column.writable and name in self._not_null:
                # An empty cell of a column that cannot be empty says nothing.
                if name in self.things.required or not is_csv:
                    entry.problems.append((name, checks.BLANK))
                continue
            values[name] = value
        return values

    def _name(self, entry: Entry, external_id: str) -> None:
        if self.order.kind not in REFERENCES:
            entry.problems.append(("external_id", "Accounts are known by their username. Leave this empty."))
            return
        try:
            entry.external_id = checks.line("external_id", external_id, longest=EXTERNAL_ID_LENGTH)
        except Invalid as refusal:
            entry.fail(refusal)

    def _require_unique(self, entry: Entry) -> None:
        """Refuse a row that means the same thing as an earlier one."""
        same = {name: fold(entry.values[name]) for name, fold in self.things.unique.items() if entry.values.get(name)}
        if entry.external_id is not None:
            same["external_id"] = entry.external_id
        if entry.thing_id is not None:
            same["id"] = str(entry.thing_id)
        for name, value in same.items():
            first = self._seen.setdefault(name, {}).setdefault(value.encode(), entry.number)
            if first != entry.number:
                entry.problems.append((name, f"Row {first} has the same."))

    # --- what both passes do ---

    def _decide(self, session: Session, entries: list[Entry], *, lock: bool) -> dict[int, dict[str, Any]]:
        """Judge rows by the present state, whereby some fail and some change nothing; return the changes by thing."""
        self._find(session, entries)
        thing_ids = sorted({entry.thing_id for entry in entries if entry.thing_id is not None})
        self.things.load(session, thing_ids, [entry.values for entry in entries], lock=lock)
        changes = {}
        for entry in entries:
            try:
                if entry.thing_id is None:
                    self._require_complete(entry)
                    self.things.require_new(entry.values)
                elif changed := self.things.changed(entry.thing_id, entry.values):
                    changes[entry.thing_id] = changed
                else:
                    entry.outcome = Outcome.UNCHANGED
            except DomainError as refusal:
                entry.fail(refusal)
        return changes

    def _find(self, session: Session, entries: list[Entry]) -> None:
        """Find the things that rows have names for."""
        if self.order.match is Match.ID:
            return
        if self.order.kind not in REFERENCES:
            names = {entry.values["username"].lower() for entry in entries if "username" in entry.values}
            found = UserRepository(session).list_owners(User.username, names)
            for entry in entries:
                entry.thing_id = found.get(entry.values.get("username", "").lower())
            return
        names = {entry.external_id for entry in entries if entry.external_id is not None}
        found = self._names(session).find(names)
        for entry in entries:
            entry.thing_id = found.get(entry.external_id or "")

    def _names(self, session: Session) -> ExternalIdRepository:
        return ExternalIdRepository(session, self.actor, self.order.kind)

    def _require_complete(self, entry: Entry) -> None:
        details = {name: [checks.REQUIRED] for name in self.things.required if name not in entry.values}
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

    def _store(self, session: Session, entries: list[Entry], now: datetime) -> None:
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
            if entry.outcome is Outcome.FAILED:
                self._late[entry.number] = entry.problems
        if self._late and self.order.on_error is OnError.ABORT:
            raise self._refused()

    def _store_alone(self, session: Session, entry: Entry, now: datetime) -> None:
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

    def _write(self, session: Session, entries: list[Entry], now: datetime) -> None:
        changes = self._decide(session, entries, lock=True)
        pending = [entry for entry in entries if entry.outcome is None]
        new = [entry for entry in pending if entry.thing_id is None]
        if changes:
            self.things.update(session, changes, now)
        if new:
            # A microsecond apart, so that a list shows them in the order of the file.
            wanted = [(entry.values, now + timedelta(microseconds=entry.number)) for entry in new]
            made = self.things.insert(session, wanted)
            if self.order.kind in REFERENCES:
                named = zip(new, made, strict=True)
                self._names(session).add(
                    {entry.external_id: thing_id for entry, thing_id in named if entry.external_id}
                )
            for entry, thing_id in zip(new, made, strict=True):
                entry.thing_id = None if self.order.dry_run else thing_id
        for entry in pending:
            entry.outcome = Outcome.UPDATED
        for entry in new:
            entry.outcome = Outcome.CREATED

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
                entry.outcome, entry.problems = Outcome.FAILED, self._late[entry.number]
            elif entry.outcome is None:
                entry.outcome = Outcome.NOT_STORED
            self._report.add(entry)
        if reason is not None:
            self._report.add_sentence(reason)


Some = TypeVar("Some")


def _batches(entries: Iterable[Some]) -> Iterator[list[Some]]:
    source = iter(entries)
    while batch := list(islice(source, BATCH)):
        yield batch
