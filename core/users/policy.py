"""Who may do what with accounts."""

from core.access import Actor
from core.users.model import User


def may_change(actor: Actor, user: User) -> bool:
    """Return whether the actor may change the account's own data."""
    return actor.is_admin or actor.user_id == user.id
