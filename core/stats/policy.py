"""Who may see which statistics."""

from core.access import Actor
from core.projects.model import ProjectRole


def may_compare_people(actor: Actor) -> bool:
    """Return whether the actor may see how much each person has to do."""
    return actor.is_admin


def may_read_project(actor: Actor, role: ProjectRole | None) -> bool:
    """Return whether the actor, who has this role in a project, may ask about it."""
    return actor.is_admin or role is not None
