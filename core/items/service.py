"""What people do with items."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select
from sqlalchemy.orm import Session

from core.items import policy
from core.items.model import Item
from core.items.repository import ItemRepository, mentions
from core.platform.access import Actor
from core.platform.database.base import db
from core.platform.database.paging import Page, PageRequest, paginate
from core.platform.database.ranges import Range
from core.platform.database.repeats import repeated
from core.platform.database.session import transaction
from core.platform.errors import Forbidden, NotFound
from core.platform.preconditions import Expected

SORTABLE = {name: getattr(Item, name) for name in ("name", "price", "sku", "created_at")}
DEFAULT_SORT = "-created_at"


@dataclass(frozen=True, slots=True)
class ItemFilter:
    """What a list of items is narrowed to. None means: not narrowed by this."""

    created_by: int | None = None
    sku: str | None = None
    q: str | None = None
    ranges: dict[Literal["price", "created_at"], Range] = field(default_factory=dict)


@repeated
def create(actor: Actor, *, name: str, price: Decimal, description: str | None = None, sku: str | None = None) -> Item:
    """Create an item. Raises Conflict if the SKU is taken."""
    with transaction() as session:
        item = Item(name=name, price=price, description=description, sku=sku, created_by=actor.user_id)
        return ItemRepository(session).add(item)


def get(actor: Actor, *, item_id: int) -> Item:
    """Return an item; everybody sees every item. Raises NotFound."""
    return _require(ItemRepository(db.session()).find(item_id))


def get_by_sku(actor: Actor, *, sku: str) -> Item:
    """Return the item with exactly this stock-keeping unit, or else without a slash at its end. Raises NotFound."""
    # No engine stores NUL, and PostgreSQL does not even compare with it.
    candidates = [text for text in (sku, sku.removesuffix("/")) if "\x00" not in text]
    return _require(ItemRepository(db.session()).find_by_sku(candidates))


def list_visible(actor: Actor, *, page: PageRequest, narrowed: ItemFilter) -> Page:
    """Return a page of the items, newest first unless sorted otherwise."""
    session = db.session()
    query = select_visible(session, actor, narrowed)
    return paginate(session, query, page, sortable=SORTABLE, default_sort=DEFAULT_SORT, identity=Item.id)


def select_visible(session: Session, actor: Actor, narrowed: ItemFilter) -> Select[Any]:
    """Return the query for the items that the actor may see, in no order."""
    return ItemRepository(session).select(policy.visible_to(actor), *_conditions(narrowed))


def _conditions(narrowed: ItemFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if narrowed.created_by is not None:
        conditions.append(Item.created_by == narrowed.created_by)
    if narrowed.sku is not None:
        conditions.append(Item.sku == narrowed.sku)
    if narrowed.q:
        conditions.append(mentions(narrowed.q))
    for name, bounds in narrowed.ranges.items():
        conditions += bounds.conditions(getattr(Item, name))
    return conditions


def replace(
    actor: Actor,
    expected: Expected,
    /,
    *,
    item_id: int,
    name: str,
    price: Decimal,
    description: str | None = None,
    sku: str | None = None,
) -> Item:
    """Replace everything that people may set; what is not given becomes null. Raises like `change`."""
    return change(actor, expected, item_id=item_id, name=name, price=price, description=description, sku=sku)


@repeated
def change(actor: Actor, expected: Expected, /, *, item_id: int, **values: Any) -> Item:
    """Change the given fields of an item and no others.

    Raises NotFound, Forbidden unless the actor created it or is an administrator, and Conflict if the SKU is taken.
    """
    with transaction() as session:
        item = lock_to_change(actor, session, item_id)
        expected.require(lambda: item)
        for name, value in values.items():
            if getattr(item, name) != value:
                setattr(item, name, value)
    return item


def _require(item: Item | None) -> Item:
    if item is None:
        raise NotFound("There is no such item.")
    return item


def lock_to_change(actor: Actor, session: Session, item_id: int, *, to_delete: bool = False) -> Item:
    """Return the item, locked. Raises NotFound, and Forbidden unless the actor may change it."""
    item = _require(ItemRepository(session).find_for_update(item_id, to_delete=to_delete))
    require_changeable(actor, item)
    return item


def require_changeable(actor: Actor, item: Item) -> None:
    """Raise Forbidden unless the actor may change the item."""
    if not policy.may_change(actor, item):
        raise Forbidden("Only its creator or an administrator may change this item.")
