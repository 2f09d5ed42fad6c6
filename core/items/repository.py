"""Queries over items."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select

from core.items.model import Item
from core.platform.database.repository import Repository
from core.platform.database.statements import find_locked


class ItemRepository(Repository):
    """Items in the database."""

    def list_ids(self, item_ids: Collection[int]) -> set[int]:
        """Return those of the numbers that belong to items."""
        if not item_ids:
            return set()
        return set(self.session.scalars(select(Item.id).where(Item.id.in_(item_ids))))

    def find(self, item_id: int) -> Item | None:
        return self.session.get(Item, item_id)

    def find_for_update(self, item_id: int, *, to_delete: bool = False) -> Item | None:
        return find_locked(self.session, Item, item_id, to_delete=to_delete)

    def find_by_sku(self, skus: Sequence[str]) -> Item | None:
        """Return the item with one of these stock-keeping units; the longest wins."""
        return self.session.scalar(
            select(Item).where(Item.sku.in_(skus)).order_by(func.length(Item.sku).desc()).limit(1)
        )

    def select(self, *conditions: ColumnElement[bool]) -> Select[Any]:
        """Return a query for plain rows: a list needs no object graph."""
        return select(*Item.__table__.columns).where(*conditions)
