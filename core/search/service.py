"""Full-text search over the things that the caller may see."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, false, select, true

from core.platform.access import Actor, Permission
from core.platform.database.base import db
from core.platform.database.paging import Page
from core.platform.errors import Malformed
from core.posts import policy as posts_policy
from core.posts.model import Post
from core.projects import service as projects
from core.search import terms as queries
from core.search.index import HitKind
from core.search.repository import MOST_RANKED, Scope, SearchRepository
from core.search.snippets import snippet
from core.search.terms import Term
from core.tasks import policy as tasks_policy
from core.tasks.model import PRESENT, Task

# Whoever may not read a kind does not find it either: a key may have one scope without the other.
_READABLE_BY = {
    HitKind.TASK: Permission.TASKS_READ,
    HitKind.POST: Permission.POSTS_READ,
    HitKind.ITEM: Permission.ITEMS_READ,
}


@dataclass(frozen=True, slots=True)
class Hit:
    """Row that was found. `snippet` is safe HTML; `score` is 1 for the best hit of the whole search."""

    type: HitKind
    id: int
    title: str
    snippet: str
    score: float
    created_at: datetime


def search(
    actor: Actor,
    *,
    text: str,
    kinds: Sequence[HitKind] = tuple(HitKind),
    project_id: int | None = None,
    newest: bool = False,
    number: int = 1,
    size: int = 20,
) -> Page:
    """Return a page of what the actor may see and has all the words of `text`, best first or newest first.

    Raises Malformed if the text is too long, or has nothing in it that could be found, and
    Forbidden and Malformed for a project that the actor cannot ask for. An API key finds
    nothing of a kind that it may not read.
    """
    terms = queries.parse(text)
    if not terms:
        sentence = "Must have a letter, a digit or a symbol; punctuation cannot be looked for."
        raise Malformed("There is nothing to look for.", details={"q": [sentence]})
    if project_id is not None:
        projects.require_named(actor, project_id)
    readable = [kind for kind in dict.fromkeys(kinds) if actor.has(_READABLE_BY[kind])]
    if not readable:
        return Page(items=[], number=number, size=size, total=0, next_cursor=None)
    scopes = {kind: _scope(actor, kind, project_id) for kind in readable}
    index = SearchRepository(db.session())
    rows = index.hits(terms, scopes, newest=newest, limit=size, offset=(number - 1) * size)
    total = rows[0].total if rows else 0
    if not rows and number > 1:
        total = index.count(terms, scopes)  # A page after the last has no row that could say it.
    return Page(
        items=[_hit(row, terms) for row in rows],
        number=number,
        size=size,
        total=total,
        next_cursor=None,
        total_is_exact=total < MOST_RANKED,
    )


def _scope(actor: Actor, kind: HitKind, project_id: int | None) -> Scope:
    """Return what narrows a kind to what the actor may see, and to a project if one is asked for."""
    match kind:
        case HitKind.TASK:
            of_project = [Task.project_id == project_id] if project_id else []
            numbers = None if actor.is_admin else tasks_policy.numbers_of_visible(actor)
            return Scope([PRESENT, *of_project], numbers)
        case HitKind.POST:
            about = Post.task_id.in_(select(Task.id).where(Task.project_id == project_id))
            return Scope([posts_policy.among_visible(actor), *([about] if project_id else [])])
        case HitKind.ITEM:
            # Items belong to everyone and to no project.
            return Scope([false() if project_id else true()])


def _hit(row: Row[Any], terms: Sequence[Term]) -> Hit:
    return Hit(
        type=HitKind(row.kind),
        id=row.id,
        title=row.title,
        snippet=snippet([row.body, row.title, row.code], terms),
        score=round(row.rank / row.best, 4) if row.best else 0.0,
        created_at=row.created_at,
    )
