"""Accounts: making, reading and changing them."""

from typing import Any

from sqlalchemy.orm import Session

from core import texts
from core.access import Actor, Role
from core.auth import passwords
from core.db import db, transaction
from core.errors import Conflict, Forbidden, NotFound
from core.jobs import service as jobs
from core.jobs.kinds import EMAIL_WELCOME
from core.users import policy
from core.users.model import User
from core.users.repository import UserRepository


def register(*, username: str, email: str, password: str, name: str | None = None, is_open: bool) -> User:
    """Create an ordinary account for a newcomer and welcome them by e-mail.

    Raises Forbidden if registration is closed, Conflict naming each field that
    is taken, and Invalid.
    """
    if not is_open:
        raise Forbidden("Registration is closed here. Ask an administrator for an account.")
    return create(username=username, email=email, password=password, name=name, role=Role.USER)


def create(*, username: str, email: str, password: str, name: str | None = None, role: Role = Role.USER) -> User:
    """Create an account with any role and welcome its owner by e-mail. Raises Conflict and Invalid."""
    password_hash = passwords.hash_password(texts.password(password))
    with transaction() as session:
        user = User(username=username, email=email, name=name, password_hash=password_hash, role=role)
        _require_free(session, user)
        UserRepository(session).add(user)
        jobs.enqueue(session, EMAIL_WELCOME, owner_id=user.id, user_id=user.id)
    return user


def get(*, user_id: int) -> User:
    """Return an account. Raises NotFound."""
    return _require(UserRepository(db.session()).find(user_id))


def change(actor: Actor, *, user_id: int, **values: Any) -> User:
    """Change `email` or `name` of an account. Raises NotFound, Forbidden, Conflict and Invalid."""
    with transaction() as session:
        user = _require(UserRepository(session).find_for_update(user_id))
        if not policy.may_change(actor, user):
            raise Forbidden("You may not change this account.")
        for name, value in values.items():
            setattr(user, name, value)
        if "email" in values:
            with session.no_autoflush:
                _require_free(session, user)
    return user


def list_all() -> list[User]:
    """Return every account, oldest first; for operators."""
    return UserRepository(db.session()).all()


def _require(user: User | None) -> User:
    if user is None:
        raise NotFound("There is no such user.")
    return user


def _require_free(session: Session, user: User) -> None:
    """Name every field that somebody else has taken; the unique indexes catch what races past this."""
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
