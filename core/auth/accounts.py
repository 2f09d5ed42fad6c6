"""Accounts: opening them, changing them, and what that does to sessions and keys."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from sqlalchemy.orm import Session

from core.audit import service as audit
from core.audit.model import EventKind
from core.auth import lockout, revocation
from core.auth.repository import ResetRepository
from core.jobs import service as jobs
from core.jobs.kinds import EMAIL_WELCOME
from core.platform import clock, passwords
from core.platform.access import Actor, Role
from core.platform.database.declared import blank
from core.platform.database.repeats import repeated
from core.platform.database.session import transaction
from core.platform.errors import Conflict, Forbidden
from core.platform.preconditions import Expected
from core.platform.text import checks
from core.users import policy
from core.users.fields import FIELDS
from core.users.model import User
from core.users.repository import UserRepository
from core.users.service import require_another_admin, require_user

_BLANK = blank(User, FIELDS)


def register(*, is_open: bool, password: str, **values: Any) -> User:
    """Create an ordinary account for a newcomer and welcome them by e-mail.

    Raises Forbidden if registration is closed, Conflict naming each field that
    is taken, and Invalid.
    """
    if not is_open:
        raise Forbidden("Registration is closed here. Ask an administrator for an account.")
    if not policy.ADMIN_FIELDS.isdisjoint(values):
        raise TypeError("Newcomers choose neither role nor state.")
    return create(password=password, **values)


@repeated
def create(*, password: str, actor_id: int | None = None, **values: Any) -> User:
    """Create an account of the given fields, with any role, and welcome its owner by e-mail if they can log in.

    Raises Conflict and Invalid.
    """
    FIELDS.require_new(values)
    checks.together(
        *(partial(FIELDS[name].check, value) for name, value in values.items()), lambda: checks.password(password)
    )
    password_hash = passwords.hash_password(password)
    with transaction() as session:
        user = User(**(_BLANK | values), password_hash=password_hash)
        user.role = Role(user.role)
        _require_free(session, user)
        UserRepository(session).add(user)
        audit.record(session, EventKind.ACCOUNT_CREATED, user_id=user.id, actor_id=actor_id, role=str(user.role))
        if user.is_active:
            jobs.enqueue(session, EMAIL_WELCOME, owner_id=user.id, user_id=user.id)
    return user


@repeated
def change(actor: Actor, expected: Expected, /, *, user_id: int, **values: Any) -> User:
    """Change the given fields of an account and no others.

    A deactivation ends all sessions and API keys. Raises NotFound, Forbidden,
    Invalid, and Conflict for what is taken and for the last active administrator.
    """
    FIELDS.require_changeable(values)
    with transaction() as session:
        people = UserRepository(session)
        is_guarded = not policy.ADMIN_FIELDS.isdisjoint(values)
        locked = people.lock_with_admins(user_id) if is_guarded else {}
        user = require_user(locked.get(user_id) if is_guarded else people.find_for_update(user_id))
        if not policy.may_change(actor, user, values):
            raise Forbidden("You may not change this account in this way.")
        expected.require(lambda: user)
        was_admin, was_active = policy.is_active_admin(user), user.is_active
        was = {name: getattr(user, name) for name in _WATCHED}
        for name, value in values.items():
            setattr(user, name, Role(value) if name == "role" else value)
        if was_admin and not policy.is_active_admin(user):
            require_another_admin(locked, user)
        if "username" in values or "email" in values:
            with session.no_autoflush:
                _require_free(session, user)
        if user.email != was["email"]:
            # They were sent to an address that is no longer this person's.
            ResetRepository(session).end_all(user.id, clock.now())
        if was_active and not user.is_active:
            revocation.end_access(session, user_id=user.id)
        _record_change(session, actor, user, was=was)
    return user


# What an attacker would change.
_WATCHED = ("role", "is_active", "email", "username")


def _record_change(session: Session, actor: Actor, user: User, *, was: dict[str, Any]) -> None:
    """Record which of the fields that matter have changed; of addresses and names only that they did."""
    changed = {name: value for name, value in was.items() if getattr(user, name) != value}
    if changed:
        detail: dict[str, Any] = {"changed": sorted(changed)}
        if "role" in changed:
            detail["role"] = str(user.role)
        if "is_active" in changed:
            detail["is_active"] = user.is_active
        audit.record(session, EventKind.ACCOUNT_CHANGED, user_id=user.id, actor_id=actor.user_id or None, **detail)


@repeated
def set_password(*, user_id: int, password: str, secret_keys: Sequence[str]) -> None:
    """Give an account a new password, and end its sessions, its API keys and any lock; for operators.

    Raises NotFound and Invalid.
    """
    password_hash = passwords.hash_password(checks.password(password))
    with transaction() as session:
        user = require_user(UserRepository(session).find_for_update(user_id))
        user.password_hash = password_hash
        # A user without an address that is known would otherwise wait until the guessing stops.
        lockout.forgive(session, user, secret_keys=secret_keys)
        revocation.end_access(session, user_id=user_id)
        audit.record(session, EventKind.PASSWORD_CHANGED, user_id=user_id)


def _require_free(session: Session, user: User) -> None:
    """Name every field whose value another user has taken; the unique indexes catch what races past this."""
    details: dict[str, list[str]] = {}
    for other in UserRepository(session).find_taken(username=user.username, email=user.email):
        if other.id == user.id:
            continue
        if other.username.lower() == user.username.lower():
            details["username"] = ["This username is already taken."]
        if other.email.lower() == user.email.lower():
            details["email"] = ["This e-mail address is already registered."]
    if details:
        raise Conflict("An account with this " + " and ".join(details) + " exists already.", details=details)
