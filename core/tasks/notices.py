"""Telling people by e-mail what others have done with tasks, ordered in the transaction that does it.

No user is told what they did themselves. Whether a user wants such messages
is asked when they are sent.
"""

from collections.abc import Iterable, Sequence

from sqlalchemy.orm import Session

from core.jobs import service as jobs
from core.jobs.kinds import EMAIL_TASK_ASSIGNED, EMAIL_TASKS_TRANSFERRED
from core.platform.access import Actor
from core.tasks.model import Task

# A message lists no more tasks than this; the rest is a number.
LISTED = 20


def order_assigned(session: Session, actor: Actor, tasks: Iterable[Task]) -> None:
    """Tell the assignees of these tasks, whose assignment is new: one message for each person, not for each task."""
    assigned: dict[int, list[int]] = {}
    for task in tasks:
        if task.assignee_id is not None and task.assignee_id != actor.user_id:
            assigned.setdefault(task.assignee_id, []).append(task.id)
    for user_id, task_ids in assigned.items():
        jobs.enqueue(
            session,
            EMAIL_TASK_ASSIGNED,
            owner_id=user_id,
            user_id=user_id,
            task_ids=task_ids,
            by_user_id=actor.user_id,
        )


def order_transferred(
    session: Session, actor: Actor, *, from_user_id: int, to_user_id: int, task_ids: Sequence[int]
) -> None:
    """Tell the receiver of these tasks."""
    if task_ids and to_user_id != actor.user_id:
        jobs.enqueue(
            session,
            EMAIL_TASKS_TRANSFERRED,
            owner_id=to_user_id,
            user_id=to_user_id,
            # The newest are those that the receiver may know nothing of yet.
            task_ids=list(task_ids[-LISTED:]),
            count=len(task_ids),
            from_user_id=from_user_id,
            by_user_id=actor.user_id,
        )
