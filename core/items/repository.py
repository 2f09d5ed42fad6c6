"""Queries over items."""

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.items.model import Item


class ItemRepository:
    """Items in the database. Never commits and never authorises."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def list_ids(self, item_ids: Collection[int]) -> set[int]:
        """Return those of the numbers that belong to items."""
        if not item_ids:
            return set()
        return set(self.session.scalars(select(Item.id).where(Item.id.in_(item_ids))))
