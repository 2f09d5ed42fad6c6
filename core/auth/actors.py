"""Actors without a login: those of jobs and of commands."""

from core.auth import keys
from core.platform.access import Actor, Via
from core.platform.database.base import db
from core.platform.errors import Conflict, JobFailed
from core.users.repository import UserRepository
from core.users.service import get_by_login


def actor_of_job(user_id: int | None, *, key_id: int | None = None) -> Actor:
    """Return the actor that a job works for, with the rights that they, and the key that they used, have now.

    Raises JobFailed if the user is gone, or if the key does not count any more.
    """
    user = None if user_id is None else UserRepository(db.session()).find_now(user_id)
    if user is None or not user.is_active:
        raise JobFailed("The account that ordered this job is gone or inactive.")
    scopes = None
    if key_id is not None:
        scopes = keys.scopes_now(key_id, user_id=user.id)
        if scopes is None:
            raise JobFailed("The API key that ordered this job does not count any more.")
    return Actor(user.id, user.role, scopes=scopes, key_id=key_id, via=Via.JOB)


def actor_of_command(login: str | None) -> Actor:
    """Return who a command works for: the account with this name, or the only administrator; for operators.

    Raises NotFound, and Conflict for an inactive account or if there are several
    administrators to choose from.
    """
    if login is None:
        admins = UserRepository(db.session()).list_active_admins()
        if len(admins) != 1:
            raise Conflict(f"There are {len(admins)} active administrators. Say as whom.")
        return Actor(admins[0].id, admins[0].role, via=Via.COMMAND)
    user = get_by_login(login)
    if not user.is_active:
        raise Conflict("This account is inactive.")
    return Actor(user.id, user.role, via=Via.COMMAND)
