"""Rights on API keys: only its owner may see and end a key.

An administrator who wants to stop a user's keys deactivates the account.
"""

from sqlalchemy import ColumnElement, and_

from core.auth.model import ApiKey
from core.platform.access import Actor


def visible_to(actor: Actor) -> ColumnElement[bool]:
    """Return the condition on keys that the actor may see; a revoked key is gone."""
    return and_(ApiKey.user_id == actor.user_id, ApiKey.revoked_at.is_(None))


def may_manage(actor: Actor, key: ApiKey) -> bool:
    """Return whether the actor may see and revoke the key."""
    return actor.user_id == key.user_id
