"""Telling people by e-mail what has been done with tasks, ordered in the transaction that does it.

No user is told what they did themselves, but that they have created a task. Whether a user wants such messages
is asked when they are sent.
"""

from collections.abc import Iterable, Sequence

from sqlalchemy.orm import Session

from core.jobs import service as jobs
from core.jobs.kinds import EMAIL_TASK_ASSIGNED, EMAIL_TASK_CREATED, EMAIL_TASKS_TRANSFERRED
from core.jobs.service import NewJob
from core.platform.access import Actor
from core.tasks.model import Task

# A message lists no more tasks than this; the rest is a number.
LISTED = 20


def confirmations(actor: Actor, tasks: Iterable[Task]) -> list[NewJob]:
    """Return the messages to the actor about tasks that they have created: one for each task."""
    return [NewJob(EMAIL_TASK_CREATED, actor.user_id, {"task_id": task.id}) for task in tasks]


def assignments(actor: Actor, tasks: Iterable[Task]) -> list[NewJob]:
    """Return the messages to the assignees of these tasks, whose assignment is new: one for each person."""
    assigned: dict[int, list[int]] = {}
    for task in tasks:
        if task.assignee_id is not None and task.assignee_id != actor.user_id:
            assigned.setdefault(task.assignee_id, []).append(task.id)
    return [
        NewJob(EMAIL_TASK_ASSIGNED, user_id, {"user_id": user_id, "task_ids": task_ids, "by_user_id": actor.user_id})
        for user_id, task_ids in assigned.items()
    ]


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
