"""The messages that Tasklane sends."""

from core.config import Settings
from core.db import db
from core.errors import JobFailed
from core.mail.compose import compose
from core.mail.delivery import deliver
from core.tasks.repository import TaskRepository
from core.users.model import User
from core.users.repository import UserRepository


def send_task_created(settings: Settings, *, task_id: int, message_id: str) -> str:
    """Confirm a new task to its owner; return where the message went. Raises JobFailed if the task is gone."""
    task = TaskRepository(db.session()).find(task_id)
    if task is None:
        raise JobFailed(f"Task {task_id} was deleted before its confirmation was sent.")
    owner = _require_recipient(task.owner_id)
    return _send("task_created", settings, owner, message_id, task=task)


def send_welcome(settings: Settings, *, user_id: int, message_id: str) -> str:
    """Welcome a new user; return where the message went. Raises JobFailed if the account is gone."""
    user = _require_recipient(user_id)
    return _send("welcome", settings, user, message_id, user=user)


def _require_recipient(user_id: int) -> User:
    user = UserRepository(db.session()).find(user_id)
    if user is None:
        raise JobFailed(f"User {user_id} no longer exists.")
    return user


def _send(template: str, settings: Settings, recipient: User, message_id: str, **values: object) -> str:
    message = compose(
        template,
        sender=settings.mail.sender,
        to=recipient.email,
        display_name=recipient.name or recipient.username,
        message_id=message_id,
        **values,
    )
    # The database is not needed while the mail server thinks.
    db.session.remove()
    return deliver(message, settings, name=f"{template}-{message_id}")
