"""Right to see statistics."""

from core.platform.access import Actor


def may_compare_people(actor: Actor) -> bool:
    """Return whether the actor may see how much each person has to do."""
    return actor.is_admin
