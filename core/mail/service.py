"""The messages that Tasklane sends: what is said to whom, and whether it still has to be."""

from dataclasses import dataclass
from datetime import date, datetime
from email.message import EmailMessage
from typing import Any
from uuid import UUID, uuid4

from core.auth import resets
from core.mail.compose import compose, one_line
from core.mail.delivery import delivered
from core.mail.model import OPTIONAL, MailKind
from core.mail.preferences import unsubscribe_token
from core.mail.repository import MailRepository
from core.platform import clock
from core.platform.config.settings import Settings
from core.platform.database.base import db
from core.platform.text import checks, zones
from core.projects.repository import ProjectRepository
from core.tasks.model import CLOSED, Task
from core.tasks.notices import LISTED
from core.tasks.repository import TaskRepository
from core.users.model import User
from core.users.repository import UserRepository

# Whose account is gone, or who is an operator without one.
SOMEBODY = "Somebody"
RESET_PATH = "/api/v1/auth/password/reset"
UNSUBSCRIBE_PATH = "/api/v1/notifications/unsubscribe/"


class NotNeeded(Exception):
    """E-mail without a reader any more; the message says why. This is no failure."""


@dataclass(frozen=True, slots=True)
class Letter:
    """Recipient and content of an e-mail. `values` are for the template."""

    kind: MailKind
    recipient: User
    values: dict[str, Any]


def welcome(*, user_id: int) -> Letter:
    """Return the welcome of a new user. Raises NotNeeded, as all of these do."""
    user = _recipient(user_id, MailKind.WELCOME)
    return Letter(MailKind.WELCOME, user, {"user": user})


def password_reset(*, user_id: int | None, until: str, job_id: UUID, settings: Settings) -> Letter:
    """Return the e-mail with the link by which a user sets a new password, as long as it holds."""
    if user_id is None:
        raise NotNeeded("No active account has this name.")
    expires_at = datetime.fromisoformat(until)
    if expires_at <= clock.now():
        raise NotNeeded("The link would have expired before it was sent.")
    user = _recipient(user_id, MailKind.PASSWORD_RESET)
    token = resets.make_for_job(user_id=user_id, job_id=job_id, until=expires_at, secret_key=settings.secret_key)
    if token is None:
        raise NotNeeded("This link was used already, or as many as may hold at once have been sent.")
    values = {
        "user": user,
        "token": token,
        "url": settings.mail.reset_link(token),
        "until": f"{expires_at:%H:%M} UTC",
        "call": settings.public_url + RESET_PATH,
    }
    return Letter(MailKind.PASSWORD_RESET, user, values)


def task_created(*, task_id: int) -> Letter:
    """Return the confirmation of a new task to its owner, whoever that is by now: other users may not see it."""
    task = TaskRepository(db.session()).find(task_id)
    if task is None:
        raise NotNeeded(f"Task {task_id} was deleted before its confirmation was sent.")
    return Letter(MailKind.TASK_CREATED, _recipient(task.owner_id, MailKind.TASK_CREATED), {"task": task})


def task_assigned(*, user_id: int, task_ids: list[int], by_user_id: int) -> Letter:
    """Return the e-mail to an assignee about their new tasks."""
    user = _recipient(user_id, MailKind.TASK_ASSIGNED)
    tasks = [task for task in _tasks(task_ids) if task.assignee_id == user_id]
    if not tasks:
        raise NotNeeded("None of these tasks is assigned to this user any more.")
    values = {"tasks": tasks, "listed": LISTED, "by": _name(by_user_id) or SOMEBODY}
    return Letter(MailKind.TASK_ASSIGNED, user, values)


def tasks_transferred(*, user_id: int, task_ids: list[int], count: int, from_user_id: int, by_user_id: int) -> Letter:
    """Return the e-mail to the receiver of `count` tasks, of which some are listed."""
    user = _recipient(user_id, MailKind.TASKS_TRANSFERRED)
    tasks = [task for task in _tasks(task_ids) if user_id in (task.owner_id, task.assignee_id)]
    # What was listed and has gone elsewhere is not theirs; of the rest nothing is known.
    count -= len(task_ids) - len(tasks)
    if not count:
        raise NotNeeded("None of these tasks is this user's any more.")
    values = {"tasks": tasks, "count": count, "by": _name(by_user_id) or SOMEBODY, "giver": _name(from_user_id)}
    return Letter(MailKind.TASKS_TRANSFERRED, user, values)


def task_reminder(*, user_id: int, task_id: int, due_date: str) -> Letter:
    """Return the reminder of a task, unless it has changed since that was ordered."""
    user = _recipient(user_id, MailKind.TASK_REMINDER)
    task = TaskRepository(db.session()).find(task_id)
    if task is None:
        raise NotNeeded(f"Task {task_id} was deleted.")
    if task.status in CLOSED:
        raise NotNeeded(f"Task {task_id} is {task.status}.")
    if user_id not in (task.owner_id, task.assignee_id):
        raise NotNeeded(f"Task {task_id} is somebody else's now.")
    if ProjectRepository(db.session()).list_archived([task.project_id] if task.project_id else []):
        raise NotNeeded(f"The project of task {task_id} is archived.")
    if task.due_date != date.fromisoformat(due_date):
        raise NotNeeded(f"The due date of task {task_id} has changed.")
    days = (task.due_date - zones.today(zones.known(user.time_zone))).days
    if days < 0:
        raise NotNeeded(f"The due date of task {task_id} is over.")
    when = ("today", "tomorrow")[days] if days < 2 else f"on {task.due_date.isoformat()}"
    values = {"task": task, "when": when, "is_assignee": user_id == task.assignee_id}
    return Letter(MailKind.TASK_REMINDER, user, values)


def message_of(letter: Letter, settings: Settings, *, message_id: str) -> EmailMessage:
    """Return the letter as a message, with a link to unsubscribe where that is possible."""
    url = None
    if settings.public_url and letter.kind in OPTIONAL:
        token = unsubscribe_token(letter.recipient.id, letter.kind, secret_keys=settings.secret_keys)
        url = settings.public_url + UNSUBSCRIBE_PATH + token
    return compose(
        letter.kind,
        sender=settings.mail.sender,
        to=letter.recipient.email,
        display_name=letter.recipient.name or letter.recipient.username,
        message_id=message_id,
        unsubscribe_url=url,
        **letter.values,
    )


def send_test(settings: Settings, *, address: str) -> str:
    """Send a test message at once; return where it went. Raises Invalid, MailRefused and MailDelayed."""
    address = checks.email(address)
    message_id = str(uuid4())
    message = compose(
        "test", sender=settings.mail.sender, to=address, display_name=address.partition("@")[0], message_id=message_id
    )
    with delivered(message, settings, name=f"test-{message_id}") as where:
        return where


def _recipient(user_id: int, kind: MailKind) -> User:
    """Return who gets the message. Raises NotNeeded for who is gone or inactive, or does not want it."""
    session = db.session()
    user = UserRepository(session).find(user_id)
    if user is None:
        raise NotNeeded(f"User {user_id} no longer exists.")
    if not user.is_active:
        raise NotNeeded(f"User {user_id} is inactive.")
    if kind in OPTIONAL and kind in MailRepository(session).list_unwanted(user_id):
        raise NotNeeded(f"User {user_id} does not want these messages.")
    return user


def _tasks(task_ids: list[int]) -> list[Task]:
    return TaskRepository(db.session()).list_by_ids(task_ids)


def _name(user_id: int) -> str | None:
    user = UserRepository(db.session()).find(user_id)
    return None if user is None else one_line(user.name or user.username)
