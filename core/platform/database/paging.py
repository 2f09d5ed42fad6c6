"""Pages of any list, by number or by cursor: the one implementation.

A cursor is the sort key of the last row seen, signed and bound to the sort and
the filters. The next page is found by comparing keys (keyset paging), so page
50,000 costs what page 1 costs.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer
from sqlalchemy import ColumnElement, Select, and_, func, or_
from sqlalchemy.orm import InstrumentedAttribute, Session

from core.platform.database.json_values import from_json, to_json
from core.platform.errors import Expired, Malformed
from core.platform.signing import oldest_first

MAX_PER_PAGE = 100
# Beyond this an OFFSET no longer fits into 64 bits; no list is that long.
MAX_PAGE = 2**63 // MAX_PER_PAGE


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Page that the caller asks for. `cursor` is None in page mode and empty at the start of cursor mode."""

    number: int
    size: int
    cursor: str | None
    sort: str | None
    filters: Mapping[str, Any] = field(default_factory=dict)
    signing_keys: tuple[str, ...] = field(default=("",), repr=False)
    max_age: timedelta = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list; `total` is None in cursor mode, where counting is not paid for."""

    items: Sequence[Any]
    number: int | None
    size: int
    total: int | None
    next_cursor: str | None

    @property
    def pages(self) -> int | None:
        return None if self.total is None else -(-self.total // self.size)


@dataclass(frozen=True, slots=True)
class _Key:
    """One part of the sort order."""

    column: InstrumentedAttribute[Any]
    name: str
    descending: bool
    nullable: bool


def paginate(
    session: Session,
    query: Select[Any],
    request: PageRequest,
    *,
    sortable: Mapping[str, InstrumentedAttribute[Any]],
    default_sort: str,
    identity: InstrumentedAttribute[Any],
) -> Page:
    """Run `query` for one page. Raises Malformed or Expired for a bad sort or cursor."""
    keys = _keys(default_sort if request.sort is None else request.sort, sortable, identity)
    binding = _binding(request, keys, str(identity))
    signer = URLSafeTimedSerializer(oldest_first(request.signing_keys), salt="paging")
    ordered = query.order_by(*_order(keys)).limit(request.size + 1)
    total = None
    if request.cursor is None:
        total = session.scalar(query.with_only_columns(func.count(), maintain_column_froms=True)) or 0
        ordered = ordered.offset((request.number - 1) * request.size)
    elif request.cursor:
        values = _open(signer, request, binding)
        ordered = ordered.where(_after(keys, values))
    rows = session.execute(ordered).all()
    items = rows[: request.size]
    following = None
    if len(rows) > request.size:
        payload = [binding, [to_json(getattr(items[-1], key.name)) for key in keys]]
        following = str(signer.dumps(payload))
    number = request.number if request.cursor is None else None
    return Page(items=items, number=number, size=request.size, total=total, next_cursor=following)


def in_order(
    query: Select[Any],
    sort: str | None,
    *,
    sortable: Mapping[str, InstrumentedAttribute[Any]],
    default_sort: str,
    identity: InstrumentedAttribute[Any],
) -> Select[Any]:
    """Return `query` in the order of a list. Raises Malformed for a bad sort."""
    return query.order_by(*_order(_keys(default_sort if sort is None else sort, sortable, identity)))


def _keys(
    sort: str, sortable: Mapping[str, InstrumentedAttribute[Any]], identity: InstrumentedAttribute[Any]
) -> list[_Key]:
    columns = {**sortable, identity.key: identity}
    keys: list[_Key] = []
    for part in sort.split(","):
        name = part.removeprefix("-")
        if name not in columns or any(key.name == name for key in keys):
            raise Malformed(
                "The list cannot be sorted like this.",
                details={"sort": [f"Use each of {', '.join(sorted(columns))} at most once, with '-' for descending."]},
            )
        column = columns[name]
        nullable = bool(column.property.columns[0].nullable)
        keys.append(_Key(column, name, part.startswith("-"), nullable))
    if all(key.name != identity.key for key in keys):
        # The tie-break runs the same way as the last key, so that one index serves both.
        keys.append(_Key(columns[identity.key], identity.key, keys[-1].descending, False))
    return keys


def _order(keys: list[_Key]) -> list[ColumnElement[Any]]:
    order: list[ColumnElement[Any]] = []
    for key in keys:
        directed = key.column.desc() if key.descending else key.column.asc()
        order.append(directed.nulls_last() if key.nullable else directed)
    return order


def _after(keys: list[_Key], values: list[Any]) -> ColumnElement[bool]:
    """Return the condition for rows that come after `values` in the order of `keys`."""
    alternatives = []
    for index, (key, value) in enumerate(zip(keys, values, strict=True)):
        beyond = _beyond(key, value)
        if beyond is None:
            continue
        equal = [_equal(k, v) for k, v in zip(keys[:index], values[:index], strict=True)]
        alternatives.append(and_(*equal, beyond))
    after = or_(*alternatives)
    first, value = keys[0], values[0]
    if not first.nullable:
        # Redundant, but it lets the engine start its index scan in the right place.
        bound = first.column <= value if first.descending else first.column >= value
        return and_(bound, after)
    return after


def _beyond(key: _Key, value: Any) -> ColumnElement[bool] | None:
    if value is None:
        return None  # Nulls are last: nothing comes after them in this column.
    beyond: ColumnElement[bool] = key.column < value if key.descending else key.column > value
    return or_(beyond, key.column.is_(None)) if key.nullable else beyond


def _equal(key: _Key, value: Any) -> ColumnElement[bool]:
    return key.column.is_(None) if value is None else key.column == value


def _binding(request: PageRequest, keys: list[_Key], listed: str) -> str:
    order = [("-" if key.descending else "") + key.name for key in keys]
    filters = {name: value for name, value in request.filters.items() if value is not None}
    text = json.dumps([listed, order, filters], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _open(signer: URLSafeTimedSerializer, request: PageRequest, binding: str) -> list[Any]:
    try:
        bound_to, values = signer.loads(request.cursor or "", max_age=int(request.max_age.total_seconds()))
    except SignatureExpired:
        raise Expired("This cursor is too old. Start again with an empty cursor.") from None
    except BadSignature:
        raise Malformed("This is not a cursor.", details={"cursor": ["Use next_cursor of an earlier page."]}) from None
    if bound_to != binding:
        raise Malformed(
            "This cursor belongs to another list.",
            details={"cursor": ["Keep sort and filters as they were when the cursor was made."]},
        )
    return [from_json(value) for value in values]
