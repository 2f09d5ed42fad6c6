"""Tasks in the trash, when what they refer to is deleted. They never stand in the way of that."""

from sqlalchemy.orm import InstrumentedAttribute, Session

from core.platform import clock
from core.platform.access import Author
from core.tasks import recording
from core.tasks.model import Task, TaskAction
from core.tasks.repository import TaskRepository


def let_go(session: Session, author: Author, reference: InstrumentedAttribute[int | None], number: int) -> int:
    """Take a reference to what is about to be deleted from all tasks, provided that they are in the trash.

    Return how many are not, which the caller must not ignore: somebody may have
    restored one just now. All of them are locked.
    """
    tasks = TaskRepository(session)
    rows = tasks.lock_all(reference == number)
    present = sum(row.deleted_at is None for row in rows)
    if rows and not present:
        now = clock.now()
        tasks.update_all(reference == number, **{reference.key: None}, updated_at=now)
        changes: recording.Changes = {reference.key: [number, None]}
        recording.store(
            session,
            [
                recording.row(author, TaskAction.CHANGED, changes, task_id=row.id, version=row.version + 1, at=now)
                for row in rows
            ],
        )
    return present


def forget_owner(session: Session, author: Author, *, user_id: int) -> None:
    """Delete for good what somebody has in the trash, and take them from the tasks there that they are to do."""
    TaskRepository(session).purge(Task.owner_id == user_id)
    let_go(session, author, Task.assignee_id, user_id)
