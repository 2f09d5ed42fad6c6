"""Rights on items: who sees and changes them."""

from sqlalchemy import ColumnElement, true

from core.items.model import Item
from core.platform.access import Actor


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """Return the condition on items that the actor may see: every one."""
    return true()


def may_change(actor: Actor, item: Item) -> bool:
    """Return whether the actor may change or delete the item."""
    return actor.is_admin or actor.user_id == item.created_by
