"""Handing tasks over from one person to another, all or none."""

from dataclasses import dataclass

from core.platform import clock
from core.platform.access import Actor
from core.platform.database.repeats import repeated
from core.platform.database.session import transaction
from core.platform.errors import Conflict, Forbidden, Invalid
from core.tasks import notices, policy, recording
from core.tasks.model import TaskAction
from core.tasks.repository import TaskRepository
from core.users.repository import UserRepository


@dataclass(frozen=True, slots=True)
class Handover:
    """Result of a transfer."""

    from_user_id: int
    to_user_id: int
    transferred: int


@repeated
def transfer(actor: Actor, *, from_user_id: int, to_user_id: int, task_ids: list[int] | None = None) -> Handover:
    """Make another user the owner of the giver's tasks, of all or of those named, in one transaction.

    The receiver gets one e-mail, unless they do it themselves.

    Raises Forbidden unless the actor is the giver or an administrator, Invalid,
    naming each entry, for a receiver or a task that cannot be used, and Conflict for
    tasks of archived projects; then nothing has moved.
    """
    if not policy.may_transfer(actor, from_user_id):
        raise Forbidden("Only the giver or an administrator may hand these tasks over.")
    with transaction() as session:
        receiver = UserRepository(session).find(to_user_id)
        if receiver is None or not receiver.is_active:
            raise Invalid("Nothing was moved.", details={"to_user_id": ["There is no such active user."]})
        if from_user_id == to_user_id:
            raise Invalid("Nothing was moved.", details={"to_user_id": ["Giver and receiver are the same."]})
        if UserRepository(session).find(from_user_id) is None:
            raise Invalid("Nothing was moved.", details={"from_user_id": ["There is no such user."]})
        tasks = TaskRepository(session)
        owned = tasks.lock_owned(from_user_id, task_ids)
        _require_all(task_ids, owned)
        _require_open(task_ids, tasks.list_archived(from_user_id, task_ids))
        now = clock.now()
        moved = tasks.change_owner(from_user_id, to_user_id, task_ids, updated_at=now)
        changes: recording.FieldChanges = {"owner_id": [from_user_id, to_user_id]}
        recording.store(
            session,
            [
                recording.row(actor.author, TaskAction.TRANSFERRED, changes, task_id=task_id, version=version, at=now)
                for task_id, version in moved
            ],
        )
        numbers = sorted(task_id for task_id, _ in moved)
        notices.order_transferred(session, actor, from_user_id=from_user_id, to_user_id=to_user_id, task_ids=numbers)
    return Handover(from_user_id, to_user_id, len(moved))


def _require_all(task_ids: list[int] | None, owned: list[int]) -> None:
    """Name every task that the giver does not own."""
    known = set(owned)
    details = {
        f"task_ids.{index}": ["The giver owns no such task."]
        for index, task_id in enumerate(task_ids or [])
        if task_id not in known
    }
    if details:
        raise Invalid("Nothing was moved.", details=details)


def _require_open(task_ids: list[int] | None, archived: list[int]) -> None:
    """Name every task that can only be read; where none was named, say how many there are."""
    if not archived:
        return
    if task_ids is None:
        details = {"task_ids": [f"{len(archived)} of these tasks belong to archived projects. Name the others."]}
    else:
        closed = set(archived)
        sentence = "The project of this task is archived."
        details = {f"task_ids.{index}": [sentence] for index, number in enumerate(task_ids) if number in closed}
    raise Conflict("Nothing was moved, because tasks of archived projects can only be read.", details=details)
