"""Creating, listing and changing items."""

from typing import Any

from sqlalchemy import Select
from sqlalchemy.orm import Session

from core.items import policy
from core.items.fields import FIELDS
from core.items.model import Item
from core.items.repository import ItemRepository
from core.platform.access import Actor
from core.platform.database.base import db
from core.platform.database.declared import blank, cleared, differing, mentions, sortable
from core.platform.database.filters import WORDS, Extra, Filter, Filters
from core.platform.database.paging import Page, PageRequest, made_anew, paginate
from core.platform.database.repeats import repeated
from core.platform.database.session import transaction
from core.platform.errors import Forbidden, NotFound
from core.platform.preconditions import Expected

SORTABLE = sortable(Item, FIELDS)
DEFAULT_SORT = "-created_at"
FILTERS = Filters(
    Item, FIELDS, Extra("q", WORDS, "Only items whose name, description or SKU contains this.", mentions(Item, FIELDS))
)
_BLANK = blank(Item, FIELDS)
CLEARED = cleared(Item, FIELDS)


@repeated
def create(actor: Actor, **values: Any) -> Item:
    """Create an item of the given fields. Raises Conflict if the SKU is taken."""
    FIELDS.require_new(values)
    with transaction() as session:
        return ItemRepository(session).add(Item(**(_BLANK | values), created_by=actor.user_id))


def get(actor: Actor, *, item_id: int) -> Item:
    """Return an item; everybody sees every item. Raises NotFound."""
    return _require(ItemRepository(db.session()).find(item_id))


def get_by_sku(actor: Actor, *, sku: str) -> Item:
    """Return the item with exactly this stock-keeping unit, or else without a slash at its end. Raises NotFound."""
    # No engine stores NUL, and PostgreSQL does not even compare with it.
    candidates = [text for text in (sku, sku.removesuffix("/")) if "\x00" not in text]
    return _require(ItemRepository(db.session()).find_by_sku(candidates))


def list_visible(actor: Actor, *, page: PageRequest, filters: Filter) -> Page:
    """Return a page of the items, newest first unless sorted otherwise."""
    session = db.session()
    query = select_visible(session, actor, filters)
    return paginate(session, made_anew(query), page, sortable=SORTABLE, default_sort=DEFAULT_SORT, identity=Item.id)


def select_visible(session: Session, actor: Actor, filters: Filter) -> Select[Any]:
    """Return the query for the items that the actor may see, in no order."""
    return ItemRepository(session).select(policy.visible_to(actor), *FILTERS.conditions(filters))


@repeated
def change(actor: Actor, expected: Expected, /, *, item_id: int, **values: Any) -> Item:
    """Change the given fields of an item and no others.

    Raises NotFound, Forbidden unless the actor created it or is an administrator, and Conflict if the SKU is taken.
    """
    FIELDS.require_changeable(values)
    with transaction() as session:
        item = lock_to_change(actor, session, item_id)
        expected.require(lambda: item)
        for name, value in differing(item, values).items():
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
