"""References of tasks to what is deleted. Tasks in the trash never stand in the way of that."""

from sqlalchemy.orm import InstrumentedAttribute, Session

from core.platform import clock
from core.platform.access import Author
from core.tasks import recording
from core.tasks.model import PRESENT, Task, TaskAction
from core.tasks.repository import TaskRepository


def clear(session: Session, author: Author, reference: InstrumentedAttribute[int | None], number: int) -> int:
    """Clear a reference to what is about to be deleted in all tasks, provided that they are in the trash.

    Return how many are not, which the caller must not ignore: then nothing has been cleared.
    """
    # Most refusals are known without a lock.
    return TaskRepository(session).count(reference == number, PRESENT) or _clear_locked(
        session, author, reference, number
    )


def _clear_locked(session: Session, author: Author, reference: InstrumentedAttribute[int | None], number: int) -> int:
    """Lock all tasks with this reference, and clear it if all are in the trash. Return how many are not."""
    tasks = TaskRepository(session)
    rows = tasks.lock_all(reference == number)
    # Another transaction may have restored one just now.
    present = sum(row.deleted_at is None for row in rows)
    if rows and not present:
        now = clock.now()
        tasks.update_all(reference == number, **{reference.key: None}, updated_at=now)
        changes: recording.FieldChanges = {reference.key: [number, None]}
        recording.store(
            session,
            [
                recording.row(author, TaskAction.CHANGED, changes, task_id=row.id, version=row.version + 1, at=now)
                for row in rows
            ],
        )
    return present


def clear_owner(session: Session, author: Author, *, user_id: int) -> None:
    """Delete for good what a user has in the trash, and take them from the tasks there that they are to do.

    The tasks that they are to do are locked, so that the caller can count once more what is not in the trash.
    """
    TaskRepository(session).purge(Task.owner_id == user_id)
    _clear_locked(session, author, Task.assignee_id, user_id)
