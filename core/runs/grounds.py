"""Grounds on which a user saw the data of a job when it made its files.

A file outlives the rights of the user who ordered it. So a job remembers the
projects that its owner was in, or that they were an administrator, and gives
its files only to a caller who still has as much.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from core.platform.access import Actor
from core.platform.errors import Forbidden
from core.projects.repository import ProjectRepository

Grounds = dict[str, Any]

NARROWER = "This shows what you may no longer see. Order it again."


def of(session: Session, actor: Actor, project_id: int | None = None) -> Grounds:
    """Return what the actor can see now: everything, or these projects, or of these the one that is asked for."""
    if actor.is_admin:
        return {"admin": True}
    seen = ProjectRepository(session).list_ids_of(actor.user_id)
    return {"projects": sorted(seen if project_id is None else seen & {project_id})}


def require(session: Session, actor: Actor, grounds: Mapping[str, Any] | None) -> None:
    """Raise Forbidden unless the actor can see all of it now."""
    if grounds is None or actor.is_admin:
        return
    seen = ProjectRepository(session).list_ids_of(actor.user_id)
    if grounds.get("admin") or not seen.issuperset(grounds["projects"]):
        raise Forbidden(NARROWER)
