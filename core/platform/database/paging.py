"""Pages of any list, by number or by cursor: the one implementation.

A cursor is the sort key of the last row seen, signed and bound to the sort and
the filters. The next page is found by comparing keys (keyset paging), so page
50,000 costs what page 1 costs.
"""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer
from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute, Session

from core.platform.database.json_values import from_json, to_json
from core.platform.database.kept_queries import Recipe, rows_of
from core.platform.database.keysets import (
    Guide,
    Key,
    Span,
    Way,
    count_up_to,
    deciding,
    guided_part_of,
    keys_of,
    order_by,
    part_of,
)
from core.platform.errors import Expired, Malformed
from core.platform.signing import oldest_first

MAX_PER_PAGE = 100
# Beyond this an OFFSET no longer fits into 64 bits; no list is that long.
MAX_PAGE = 2**63 // MAX_PER_PAGE
# Rows are counted so far, because counting a million of them takes longer than all else.
MOST_COUNTED = 10_000


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
    """A part of a list; `total` is None in cursor mode, where counting is not paid for.

    If `total_is_exact` is False there may be more than `total`.
    """

    items: Sequence[Any]
    number: int | None
    size: int
    total: int | None
    next_cursor: str | None
    total_is_exact: bool | None = True

    @property
    def pages(self) -> int | None:
        """Return the number of pages, None if it is not known: who loops up to a number takes it for the end."""
        if self.total is None:
            return None
        counted = -(-self.total // self.size)
        goes_on = self.next_cursor is not None or (self.number or 0) > counted
        return None if goes_on and not self.total_is_exact else counted


@dataclass(frozen=True, slots=True)
class Listed:
    """Rows of a list: the query for them, and the ways that lead to them.

    Each row is found by at least one of the ways, those of each way by an index, and merged; an OR would have
    every row looked at.
    """

    query: Select[Any]
    ways: Sequence[Way] = ()


def made_anew(query: Select[Any]) -> Recipe:
    """Return the recipe of a list whose query is made for one request alone."""
    return Recipe(lambda: Listed(query))


def paginate(
    session: Session,
    listed: Recipe,
    request: PageRequest,
    *,
    sortable: Mapping[str, InstrumentedAttribute[Any]],
    default_sort: str,
    identity: InstrumentedAttribute[Any],
    filled: Collection[str] = (),
    guide: Guide | None = None,
    lacking: Mapping[str, str] = MappingProxyType({}),
) -> Page:
    """Ask for one page of what is `Listed`. Raises Malformed or Expired for a bad sort or cursor.

    No row of the list lacks the values of what is `filled`. A `guide`, for rows to which no ways lead, has them
    counted first, and then says by which index to go. `lacking` are the indexes of rows that have no value to sort by,
    by the names of sorts.
    """
    named = keys_of(default_sort if request.sort is None else request.sort, sortable, identity, filled=filled)
    keys = deciding(named, identity)
    binding = _binding(request, named, str(identity))
    signer = URLSafeTimedSerializer(oldest_first(request.signing_keys), salt="paging")
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    total, skipped, after = None, 0, None
    if request.cursor is None or guide is not None:
        total = _count(session, listed, identity, is_sqlite=is_sqlite)
    are_few = total is not None and total <= MOST_COUNTED
    if request.cursor is None:
        skipped = (request.number - 1) * request.size
    else:
        total = None
        after = _open(signer, request, binding)[: len(keys)] if request.cursor else None
    # One row more than is shown tells whether there is a next page.
    span = Span(after, skipped, request.size + 1)

    def make(found: Listed) -> Select[Any]:
        if guide is not None:
            return guided_part_of(found.query, keys, guide, span, are_few=are_few)
        without = lacking.get(keys[0].name)
        return part_of(found.query, keys, found.ways, span, is_sqlite=is_sqlite, lacking=without)

    part = listed.then(
        (tuple((key.name, key.descending, key.nullable) for key in keys), span.shape, guide is not None and are_few),
        make,
        **span.values(keys),
    )
    rows = rows_of(session, part)
    items = rows[: request.size]
    following = None
    if len(rows) > request.size:
        # With the values of all keys, as other releases read and write them.
        payload = [binding, [to_json(getattr(items[-1], key.name)) for key in named]]
        following = str(signer.dumps(payload))
    return Page(
        items=items,
        number=request.number if request.cursor is None else None,
        size=request.size,
        total=None if total is None else min(total, MOST_COUNTED),
        next_cursor=following,
        total_is_exact=None if total is None else total <= MOST_COUNTED,
    )


def _count(session: Session, listed: Recipe, identity: InstrumentedAttribute[Any], *, is_sqlite: bool) -> int:
    """Return how many rows there are, and one more than is counted if these are too many."""
    most = MOST_COUNTED + 1
    counted = listed.then(
        "count",
        lambda found: count_up_to(most, found.query, found.ways, identity, is_sqlite=is_sqlite),
        most_counted=most,
    )
    [row] = rows_of(session, counted)
    return int(row.number)


def in_order(
    query: Select[Any],
    sort: str | None,
    *,
    sortable: Mapping[str, InstrumentedAttribute[Any]],
    default_sort: str,
    identity: InstrumentedAttribute[Any],
) -> Select[Any]:
    """Return `query` in the order of a list. Raises Malformed for a bad sort."""
    keys = keys_of(default_sort if sort is None else sort, sortable, identity)
    return query.order_by(*order_by(deciding(keys, identity)))


def _binding(request: PageRequest, keys: Sequence[Key], listed: str) -> str:
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
