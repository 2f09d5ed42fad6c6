"""Reading accounts. What opens, changes and closes them also ends sessions, so it is in `core.auth.accounts`."""

from typing import Any

from sqlalchemy import Select
from sqlalchemy.orm import Session

from core.platform.access import Actor
from core.platform.database.base import db
from core.platform.database.declared import cleared, mentions, sortable
from core.platform.database.filters import WORDS, Extra, Filter, Filters
from core.platform.database.paging import Page, PageRequest, made_anew, paginate
from core.platform.errors import Conflict, Forbidden, NotFound
from core.users import policy
from core.users.fields import FIELDS
from core.users.model import User
from core.users.repository import UserRepository

SORTABLE = sortable(User, FIELDS)
DEFAULT_SORT = "username"
FILTERS = Filters(
    User,
    FIELDS,
    # Among more of them for those who see details.
    Extra("q", WORDS, "Only people whose username or name contains this; for administrators also email."),
)
CLEARED = cleared(User, FIELDS)
_PRIVATE = frozenset(FIELDS.names(lambda field: field.private))
# By whether the reader sees details.
_MENTIONS = {True: mentions(User, FIELDS), False: mentions(User, FIELDS, but=_PRIVATE)}
LAST_ADMIN = "This is the last active administrator. Make somebody else one first."


def get(actor: Actor, *, user_id: int) -> User:
    """Return a whole account. Raises NotFound, or Forbidden for another's."""
    user = require_user(UserRepository(db.session()).find(user_id))
    if not policy.may_read(actor, user):
        raise Forbidden("This account belongs to somebody else.")
    return user


def get_by_login(login: str) -> User:
    """Return the account with this username or e-mail address; for operators. Raises NotFound."""
    return require_user(UserRepository(db.session()).find_by_login(login))


def list_visible(actor: Actor, *, page: PageRequest, filters: Filter) -> Page:
    """Return a page of the people whom the actor may find, by username unless sorted otherwise. Raises Forbidden."""
    session = db.session()
    query = select_visible(session, actor, filters)
    return paginate(session, made_anew(query), page, sortable=SORTABLE, default_sort=DEFAULT_SORT, identity=User.id)


def select_visible(session: Session, actor: Actor, filters: Filter) -> Select[Any]:
    """Return the query for the people whom the actor may find, in no order.

    Members learn neither addresses nor roles nor states, so they cannot narrow
    by them: that raises Forbidden.
    """
    with_details = policy.may_see_details(actor)
    if not with_details and not _PRIVATE.isdisjoint(filters.values):
        raise Forbidden("Only administrators may narrow the list by role or is_active.")
    conditions = [policy.visible_to(actor), *FILTERS.conditions(filters)]
    if filters.get("q"):
        conditions.append(_MENTIONS[with_details](filters.get("q")))
    return UserRepository(session).select(*conditions, with_details=with_details)


def list_all() -> list[User]:
    """Return every account, oldest first; for operators."""
    return UserRepository(db.session()).all()


def require_user(user: User | None) -> User:
    """Return the user that was looked up. Raises NotFound."""
    if user is None:
        raise NotFound("There is no such user.")
    return user


def require_another_admin(locked: dict[int, User], user: User) -> None:
    """Raise Conflict unless another user of those that are locked is an active administrator."""
    if not any(policy.is_active_admin(other) for other in locked.values() if other.id != user.id):
        raise Conflict(LAST_ADMIN)
