"""Right to see a profile."""

from core.platform.access import Actor


def may_read(actor: Actor, user_id: int) -> bool:
    """Return whether the actor may see the profile of this user."""
    return actor.is_admin or actor.user_id == user_id
