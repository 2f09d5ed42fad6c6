"""Deleting people, projects and items, and what becomes of that which hangs on them."""

from core.audit import service as audit
from core.audit.model import EventKind
from core.items import service as items
from core.items.repository import ItemRepository
from core.platform.access import Actor
from core.platform.database.repeats import repeated
from core.platform.database.session import transaction
from core.platform.errors import Conflict, Forbidden, Malformed
from core.platform.preconditions import Expected
from core.projects import service as projects
from core.projects.repository import ProjectRepository
from core.removal import belongings, references
from core.tasks import notices
from core.tasks.model import Task
from core.users import policy
from core.users import service as users
from core.users.model import User
from core.users.repository import UserRepository


@repeated
def delete_project(actor: Actor, expected: Expected, /, *, project_id: int) -> None:
    """Delete a project without tasks. Raises NotFound, Forbidden, and Conflict while it has tasks."""
    with transaction() as session:
        project = projects.lock_to_manage(actor, session, project_id, to_delete=True)
        expected.require(lambda: project)
        if count := references.clear(session, actor.author, Task.project_id, project_id):
            raise Conflict(
                "A project that has tasks cannot be deleted. Move or delete them first, or archive the project.",
                details={"tasks": [f"{count} tasks belong to this project."]},
            )
        ProjectRepository(session).delete(project)


@repeated
def delete_item(actor: Actor, expected: Expected, /, *, item_id: int) -> None:
    """Delete an item. Raises NotFound, Forbidden, and Conflict while there are tasks about it."""
    with transaction() as session:
        item = items.lock_to_change(actor, session, item_id, to_delete=True)
        expected.require(lambda: item)
        if count := references.clear(session, actor.author, Task.item_id, item_id):
            raise Conflict(f"{count} {'task is' if count == 1 else 'tasks are'} about this item. Change them first.")
        ItemRepository(session).delete(item)


@repeated
def delete_user(actor: Actor, expected: Expected, /, *, user_id: int, transfer_to: int | None = None) -> None:
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
        user = users.require_user(locked.get(user_id))
        if not may_delete:
            raise Forbidden("Only its owner or an administrator may delete this account.")
        expected.require(lambda: user)
        if policy.is_active_admin(user):
            users.require_another_admin(locked, user)
        if transfer_to is not None:
            _require_receiver(locked.get(transfer_to), giver=user)
            _require_scopes(actor)
            moved = belongings.hand_over(session, actor, from_user_id=user_id, to_user_id=transfer_to)
            notices.order_transferred(session, actor, from_user_id=user_id, to_user_id=transfer_to, task_ids=moved)
        elif details := belongings.describe(session, user_id=user_id) or belongings.clear_trash(
            session, actor.author, user_id=user_id
        ):
            raise Conflict("Something would be lost with this account. Say transfer_to.", details=details)
        people.delete(user)
        audit.record(session, EventKind.ACCOUNT_DELETED, user_id=user_id, actor_id=actor.user_id or None)


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
