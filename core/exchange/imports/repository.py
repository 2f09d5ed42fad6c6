"""Queries over external ids."""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import ColumnElement, ScalarSelect, delete, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from core.exchange.columns import Kind
from core.exchange.imports.model import ExternalId
from core.platform.access import Actor
from core.platform.database.bulk_rows import add_rows
from core.posts.model import Post
from core.tasks.model import Task

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
        """Return the numbers of the things that have these names; what is in the trash has none."""
        if not names:
            return {}
        query = select(ExternalId.external_id, REFERENCES[self.kind]).where(*self._are(names))
        if self.kind is Kind.TASKS:
            query = query.join(Task, Task.id == ExternalId.task_id).where(Task.deleted_at.is_(None))
        elif self.kind is Kind.POSTS:
            query = query.join(Post, Post.id == ExternalId.post_id).outerjoin(Task, Task.id == Post.task_id)
            query = query.where(Task.deleted_at.is_(None))
        return {row[0]: row[1] for row in self.session.execute(query)}

    def _are(self, names: Collection[str]) -> tuple[ColumnElement[bool], ...]:
        return (
            ExternalId.user_id == self.actor.user_id,
            ExternalId.kind == str(self.kind),
            ExternalId.external_id.in_(names),
        )

    def add(self, things: Mapping[str, int]) -> None:
        """Note the names of new things. What is in the trash loses a name that is used again."""
        if not things:
            return
        self.session.execute(delete(ExternalId).where(*self._are(things.keys())), execution_options=_BULK)
        owner = {"user_id": self.actor.user_id, "kind": str(self.kind)}
        column = REFERENCES[self.kind].key
        rows = [{**owner, "external_id": name, column: thing_id} for name, thing_id in things.items()]
        add_rows(self.session, ExternalId, rows)


# Nothing of these rows is kept in the session.
_BULK = {"synchronize_session": False}
