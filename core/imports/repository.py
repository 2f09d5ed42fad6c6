"""Queries over external ids."""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import ScalarSelect, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from core.access import Actor
from core.exchange.columns import Kind
from core.imports.model import ExternalId
from core.rows import add_rows

# The column that refers to a thing of each kind, as far as imports name them; accounts have their usernames.
REFERENCES: dict[Kind, InstrumentedAttribute[Any]] = {
    Kind.TASKS: ExternalId.task_id,
    Kind.POSTS: ExternalId.post_id,
    Kind.ITEMS: ExternalId.item_id,
}


def name_of(actor: Actor, kind: Kind, thing_id: Any) -> ScalarSelect[str]:
    """Return the name that the actor's imports have for the thing with this column as its number."""
    query = select(ExternalId.external_id).where(
        ExternalId.user_id == actor.user_id, REFERENCES[kind] == thing_id, ExternalId.kind == str(kind)
    )
    return query.scalar_subquery()


class ExternalIdRepository:
    """The names that one person has for things of one kind. Never commits and never authorises."""

    def __init__(self, session: Session, actor: Actor, kind: Kind) -> None:
        self.session = session
        self.actor = actor
        self.kind = kind

    def find(self, names: Collection[str]) -> dict[str, int]:
        """Return the numbers of the things that have these names."""
        if not names:
            return {}
        query = select(ExternalId.external_id, REFERENCES[self.kind]).where(
            ExternalId.user_id == self.actor.user_id,
            ExternalId.kind == str(self.kind),
            ExternalId.external_id.in_(names),
        )
        return {row[0]: row[1] for row in self.session.execute(query)}

    def add(self, things: Mapping[str, int]) -> None:
        """Note the names of new things."""
        if not things:
            return
        owner = {"user_id": self.actor.user_id, "kind": str(self.kind)}
        column = REFERENCES[self.kind].key
        rows = [{**owner, "external_id": name, column: thing_id} for name, thing_id in things.items()]
        add_rows(self.session, ExternalId, rows)
