"""Accounts: making, reading, changing and ending them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select
from sqlalchemy.orm import Session

from core.audit import service as security
from core.audit.model import EventKind
from core.auth import keys, lockout, revocation
from core.jobs import orders as jobs
from core.jobs.kinds import EMAIL_WELCOME
from core.platform import passwords
from core.platform.access import Actor, Role, Via
from core.platform.database.base import db
from core.platform.database.paging import Page, PageRequest, paginate
from core.platform.database.repeats import repeated
from core.platform.database.session import transaction
from core.platform.errors import Conflict, Forbidden, JobFailed, Malformed, NotFound
from core.platform.preconditions import Expected
from core.platform.text import checks
from core.tasks import notices
from core.users import belongings, policy
from core.users.model import User, name_of_person
from core.users.repository import UserRepository, mentions

SORTABLE = {name: getattr(User, name) for name in ("username", "name", "created_at")}
DEFAULT_SORT = "username"
LAST_ADMIN = "This is the last active administrator. Make somebody else one first."


@dataclass(frozen=True, slots=True)
class UserFilter:
    """What a list of users is narrowed to. None means: not narrowed by this."""

    q: str | None = None
    role: list[Role] | None = None
    is_active: bool | None = None


def register(
    *, username: str, email: str, password: str, name: str | None = None, time_zone: str = "UTC", is_open: bool
) -> User:
    """Create an ordinary account for a newcomer and welcome them by e-mail.

    Raises Forbidden if registration is closed, Conflict naming each field that
    is taken, and Invalid.
    """
    if not is_open:
        raise Forbidden("Registration is closed here. Ask an administrator for an account.")
    return create(username=username, email=email, password=password, name=name, time_zone=time_zone)


def get_actor(user_id: int | None, *, key_id: int | None = None) -> Actor:
    """Return the actor that a job works for, with the rights that they, and the key that they used, have now.

    Raises JobFailed if nobody is left, or if the key does not count any more.
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


@repeated
def create(
    *,
    username: str,
    email: str,
    password: str,
    name: str | None = None,
    role: Role = Role.USER,
    is_active: bool = True,
    time_zone: str = "UTC",
    actor_id: int | None = None,
) -> User:
    """Create an account with any role and welcome its owner by e-mail if they can log in.

    Raises Conflict and Invalid.
    """
    checks.together(
        lambda: checks.username(username),
        lambda: checks.email(email),
        lambda: checks.password(password),
        lambda: name is None or name_of_person(name),
        lambda: checks.time_zone("time_zone", time_zone),
    )
    password_hash = passwords.hash_password(password)
    with transaction() as session:
        user = User(
            username=username,
            email=email,
            name=name,
            password_hash=password_hash,
            role=Role(role),
            is_active=is_active,
            time_zone=time_zone,
        )
        _require_free(session, user)
        UserRepository(session).add(user)
        security.record(session, EventKind.ACCOUNT_CREATED, user_id=user.id, actor_id=actor_id, role=str(user.role))
        if is_active:
            jobs.enqueue(session, EMAIL_WELCOME, owner_id=user.id, user_id=user.id)
    return user


def get(actor: Actor, *, user_id: int) -> User:
    """Return a whole account. Raises NotFound, or Forbidden for another's."""
    user = _require(UserRepository(db.session()).find(user_id))
    if not policy.may_read(actor, user):
        raise Forbidden("This account belongs to somebody else.")
    return user


def get_by_login(login: str) -> User:
    """Return the account with this username or e-mail address; for operators. Raises NotFound."""
    return _require(UserRepository(db.session()).find_by_login(login))


def list_visible(actor: Actor, *, page: PageRequest, narrowed: UserFilter) -> Page:
    """Return a page of the people whom the actor may find, by username unless sorted otherwise. Raises Forbidden."""
    session = db.session()
    query = select_visible(session, actor, narrowed)
    return paginate(session, query, page, sortable=SORTABLE, default_sort=DEFAULT_SORT, identity=User.id)


def select_visible(session: Session, actor: Actor, narrowed: UserFilter) -> Select[Any]:
    """Return the query for the people whom the actor may find, in no order.

    Members learn neither addresses nor roles nor states, so they cannot narrow
    by them: that raises Forbidden.
    """
    with_details = policy.may_see_details(actor)
    conditions = [policy.visible_to(actor)]
    if narrowed.q:
        conditions.append(mentions(narrowed.q, with_email=with_details))
    if narrowed.role or narrowed.is_active is not None:
        if not with_details:
            raise Forbidden("Only administrators may narrow the list by role or is_active.")
        if narrowed.role:
            conditions.append(User.role.in_(narrowed.role))
        if narrowed.is_active is not None:
            conditions.append(User.is_active.is_(narrowed.is_active))
    return UserRepository(session).select(*conditions, with_details=with_details)


def replace(
    actor: Actor,
    expected: Expected,
    /,
    *,
    user_id: int,
    username: str,
    email: str,
    name: str | None = None,
    **values: Any,
) -> User:
    """Replace what people say of themselves; role, state and time zone stay unless given. Raises like `change`."""
    return change(actor, expected, user_id=user_id, username=username, email=email, name=name, **values)


@repeated
def change(actor: Actor, expected: Expected, /, *, user_id: int, **values: Any) -> User:
    """Change the given fields of an account and no others.

    A deactivation ends all sessions and API keys. Raises NotFound, Forbidden,
    Invalid, and Conflict for what is taken and for the last active administrator.
    """
    with transaction() as session:
        people = UserRepository(session)
        is_guarded = not policy.ADMIN_FIELDS.isdisjoint(values)
        locked = people.lock_with_admins(user_id) if is_guarded else {}
        user = _require(locked.get(user_id) if is_guarded else people.find_for_update(user_id))
        if not policy.may_change(actor, user, values):
            raise Forbidden("You may not change this account in this way.")
        expected.require(lambda: user)
        was_admin, was_active = policy.is_active_admin(user), user.is_active
        was = {name: getattr(user, name) for name in _WATCHED}
        for name, value in values.items():
            setattr(user, name, Role(value) if name == "role" else value)
        if was_admin and not policy.is_active_admin(user):
            _require_another_admin(locked, user)
        if "username" in values or "email" in values:
            with session.no_autoflush:
                _require_free(session, user)
        if user.email != was["email"]:
            # They were sent to an address that is no longer this person's.
            revocation.end_links(session, user_id=user.id)
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
        security.record(session, EventKind.ACCOUNT_CHANGED, user_id=user.id, actor_id=actor.user_id or None, **detail)


@repeated
def set_password(*, user_id: int, password: str, hashing_keys: Sequence[str]) -> None:
    """Give an account a new password, and end its sessions, its API keys and any lock; for operators.

    Raises NotFound and Invalid.
    """
    password_hash = passwords.hash_password(checks.password(password))
    with transaction() as session:
        user = _require(UserRepository(session).find_for_update(user_id))
        user.password_hash = password_hash
        # Somebody without an address that is known would otherwise wait for whoever guesses to stop.
        lockout.forgive(session, user, hashing_keys=hashing_keys)
        revocation.end_access(session, user_id=user_id)
        security.record(session, EventKind.PASSWORD_CHANGED, user_id=user_id)


@repeated
def delete(actor: Actor, expected: Expected, /, *, user_id: int, transfer_to: int | None = None) -> None:
    """Delete an account with its sessions and API keys; what hangs on it goes to another, all or nothing.

    Without a receiver, what it has in the trash is deleted for good.

    Raises NotFound, Forbidden, Malformed unless the receiver is another active
    user, and Conflict for the last active administrator and, without a
    receiver, for an account that still has something.
    """
    may_delete = policy.may_delete(actor, user_id)
    with transaction() as session:
        if may_delete:
            belongings.lock(session, user_id=user_id)  # Things before users: see docs/decisions.md.
        people = UserRepository(session)
        wanted = [user_id] if transfer_to is None else [user_id, transfer_to]
        locked = people.lock_with_admins(*wanted, to_delete=True)
        user = _require(locked.get(user_id))
        if not may_delete:
            raise Forbidden("Only its owner or an administrator may delete this account.")
        expected.require(lambda: user)
        if policy.is_active_admin(user):
            _require_another_admin(locked, user)
        if transfer_to is not None:
            _require_receiver(locked.get(transfer_to), giver=user)
            _require_scopes(actor)
            moved = belongings.hand_over(session, actor, from_user_id=user_id, to_user_id=transfer_to)
            notices.order_transferred(session, actor, from_user_id=user_id, to_user_id=transfer_to, task_ids=moved)
        elif details := belongings.describe(session, user_id=user_id) or belongings.let_go_of_trash(
            session, actor.author, user_id=user_id
        ):
            raise Conflict("Something would be lost with this account. Say transfer_to.", details=details)
        people.delete(user)
        security.record(session, EventKind.ACCOUNT_DELETED, user_id=user_id, actor_id=actor.user_id or None)


def get_operating_actor(login: str | None) -> Actor:
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


def list_all() -> list[User]:
    """Return every account, oldest first; for operators."""
    return UserRepository(db.session()).all()


def _require(user: User | None) -> User:
    if user is None:
        raise NotFound("There is no such user.")
    return user


def _require_receiver(receiver: User | None, *, giver: User) -> None:
    if receiver is None or not receiver.is_active or receiver.id == giver.id:
        raise Malformed(
            "The account cannot be transferred like this.",
            details={"transfer_to": ["There is no such other active user."]},
        )


def _require_scopes(actor: Actor) -> None:
    """Refuse a key that could not hand these things over one by one."""
    missing = [permission for permission in policy.HANDED_OVER_WITH if not actor.has(permission)]
    if missing:
        raise Forbidden(f"To hand everything over, this needs the permissions {', '.join(missing)}.")


def _require_another_admin(locked: dict[int, User], user: User) -> None:
    if not any(policy.is_active_admin(other) for other in locked.values() if other.id != user.id):
        raise Conflict(LAST_ADMIN)


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
