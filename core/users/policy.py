"""Rights on accounts.

An operation on another user's account, or on an account's rights, asks for the
permission `users:admin`, so that an administrator's API key can be made without it.
"""

from collections.abc import Iterable

from sqlalchemy import ColumnElement, true

from core.platform.access import Actor, Permission, Role
from core.platform.fields.declaration import Writer
from core.users.fields import FIELDS
from core.users.model import User

# Fields that decide over a user's rights, and so are not theirs to change.
ADMIN_FIELDS = frozenset(FIELDS.names(lambda field: field.writer is Writer.ADMIN))


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """Return the condition on users that the actor may find: for members, those they can work with."""
    return true() if actor.is_admin else User.is_active.is_(True)


def may_see_details(actor: Actor) -> bool:
    """Return whether the actor may know addresses, roles and states in lists."""
    return actor.is_admin


def may_read(actor: Actor, user: User) -> bool:
    """Return whether the actor may see the whole account."""
    return actor.is_admin or actor.user_id == user.id


def may_change(actor: Actor, user: User, fields: Iterable[str]) -> bool:
    """Return whether the actor may set these fields of the account."""
    if actor.has(Permission.USERS_ADMIN):
        return True
    return actor.user_id == user.id and ADMIN_FIELDS.isdisjoint(fields)


def may_delete(actor: Actor, user_id: int) -> bool:
    """Return whether the actor may delete the account."""
    return actor.has(Permission.USERS_ADMIN) or actor.user_id == user_id


# What an account's things are written with. Who hands them over with an API key needs these too.
HANDED_OVER_WITH = (Permission.TASKS_WRITE, Permission.POSTS_WRITE, Permission.ITEMS_WRITE, Permission.PROJECTS_WRITE)


def is_active_admin(user: User) -> bool:
    """Return whether the account can administer this installation."""
    return user.is_active and user.role is Role.ADMIN
