"""Reading rows: what each says, as far as that is clear without the database."""

from typing import Any

from core.exchange.columns import COLUMNS, ONLY_IN_ANSWERS
from core.exchange.imports.model import EXTERNAL_ID_LENGTH
from core.exchange.imports.order import Match, Order
from core.exchange.imports.parsers import Format
from core.exchange.imports.repository import REFERENCES
from core.exchange.imports.rows import JudgedRow, RawRow, RowOutcome
from core.exchange.imports.targets import RowTarget
from core.platform.errors import Invalid
from core.platform.text import checks


class RowReader:
    """The rows of one file, judged by themselves and by those before them."""

    def __init__(self, order: Order, target: RowTarget) -> None:
        self._order = order
        self._target = target
        self._seen: dict[str, dict[bytes, int]] = {}
        columns = {column.name: column for column in COLUMNS[order.kind]}
        self.known = [*columns, *ONLY_IN_ANSWERS[order.kind]]
        looked_at = {"external_id"} | ({"id"} if order.match is Match.ID else set())
        # What else is known is set by the server, and passed over: whatever exports write can be read.
        self._columns = {name: column for name, column in columns.items() if column.writable or name in looked_at}
        self._not_null = {column.name for column in target.model.__table__.columns if not column.nullable}

    def read(self, row: RawRow) -> JudgedRow:
        """Return what a row says, as far as that is clear without the database."""
        entry = JudgedRow(row.number, row.line)
        if row.problem is not None:
            entry.outcome, entry.problems = RowOutcome.FAILED, [(row.field, row.problem)]
            return entry
        values = self._decoded(row, entry)
        external_id, thing_id = values.pop("external_id", None), values.pop("id", None)
        if self._order.match is Match.ID:
            entry.thing_id = thing_id
        elif external_id is not None and not checks.is_blank(external_id):
            self._name(entry, external_id)
        try:
            entry.values = self._target.clean(values)
        except Invalid as refusal:
            entry.fail(refusal)
        else:
            self._require_unique(entry)
        if entry.problems:
            entry.outcome = RowOutcome.FAILED
        return entry

    def _decoded(self, row: RawRow, entry: JudgedRow) -> dict[str, Any]:
        is_csv = self._order.format is Format.CSV
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
                if name in self._target.fields.required or not is_csv:
                    entry.problems.append((name, checks.BLANK))
                continue
            values[name] = value
        return values

    def _name(self, entry: JudgedRow, external_id: str) -> None:
        if self._order.kind not in REFERENCES:
            entry.problems.append(("external_id", "Accounts are known by their username. Leave this empty."))
            return
        try:
            entry.external_id = checks.line("external_id", external_id, longest=EXTERNAL_ID_LENGTH)
        except Invalid as refusal:
            entry.fail(refusal)

    def _require_unique(self, entry: JudgedRow) -> None:
        """Refuse a row that means the same thing as an earlier one."""
        same = {name: fold(entry.values[name]) for name, fold in self._target.unique.items() if entry.values.get(name)}
        if entry.external_id is not None:
            same["external_id"] = entry.external_id
        if entry.thing_id is not None:
            same["id"] = str(entry.thing_id)
        for name, value in same.items():
            first = self._seen.setdefault(name, {}).setdefault(value.encode(), entry.number)
            if first != entry.number:
                entry.problems.append((name, f"Row {first} has the same."))
