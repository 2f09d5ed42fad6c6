"""Visibility of security events: administrators see all, everybody those of their own account."""

from sqlalchemy import ColumnElement, true

from core.audit.model import SecurityEvent
from core.platform.access import Actor


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """Return the condition on events that the actor may see."""
    return true() if actor.is_admin else SecurityEvent.user_id == actor.user_id
