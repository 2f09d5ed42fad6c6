"""Sending e-mail: one message a job, its Message-ID made of the job's id.

A repetition cannot be excluded: a server may have taken a message whose job did
not live to record it. It then carries the same Message-ID, and mail programs
show it once.
"""

import logging
import time
from collections.abc import Callable
from functools import partial

from sqlalchemy.exc import OperationalError

from core.mail import service as mail
from core.mail.delivery import MailDelayed, MailRefused, delivered
from core.mail.service import Letter, NotNeeded
from core.platform.config.current import current_settings
from core.platform.database.base import db
from core.runs.run import Run

log = logging.getLogger("tasklane.mail")

# How long to wait before each new attempt to record a message that is out already.
RECORD_PAUSES = (0.2, 1.0, 3.0, 5.0)


def welcome(run: Run, *, user_id: int) -> None:
    """Welcome a new user."""
    _send(run, partial(mail.welcome, user_id=user_id))


def password_reset(run: Run, *, user_id: int | None, until: str) -> None:
    """Send a user the link by which they set a new password."""
    order = partial(mail.password_reset, user_id=user_id, until=until)
    _send(run, partial(order, job_id=run.job_id, settings=current_settings()))


def task_created(run: Run, *, task_id: int) -> None:
    """Confirm a new task to its owner."""
    _send(run, partial(mail.task_created, task_id=task_id))


def task_assigned(run: Run, *, user_id: int, task_ids: list[int], by_user_id: int) -> None:
    """Tell a user which tasks were assigned to them, and by whom."""
    _send(run, partial(mail.task_assigned, user_id=user_id, task_ids=task_ids, by_user_id=by_user_id))


def tasks_transferred(
    run: Run, *, user_id: int, task_ids: list[int], count: int, from_user_id: int, by_user_id: int
) -> None:
    """Tell a user which tasks have become theirs."""
    transferred = partial(mail.tasks_transferred, user_id=user_id, task_ids=task_ids, count=count)
    _send(run, partial(transferred, from_user_id=from_user_id, by_user_id=by_user_id))


def task_reminder(run: Run, *, user_id: int, task_id: int, due_date: str) -> None:
    """Remind a user of a task."""
    _send(run, partial(mail.task_reminder, user_id=user_id, task_id=task_id, due_date=due_date))


def _send(run: Run, write: Callable[[], Letter]) -> None:
    """Send what `write` returns, and record that as soon as it is out."""
    settings = current_settings()
    try:
        letter = write()
    except NotNeeded as reason:
        with run.completing(delivered_to=None, reason=str(reason)):
            return
    message = mail.message_of(letter, settings, message_id=str(run.job_id))
    # Ends the reading, which on SQLite sees nothing newer, and gives back the connection: the
    # database is not needed while the mail server thinks.
    db.session.remove()
    # Who was given up for dead, or cancelled, must not begin to send.
    run.require_held()
    db.session.remove()
    try:
        with delivered(message, settings, name=f"{letter.kind}-{run.job_id}") as where:
            _record(run, where)
    except MailDelayed as delay:
        log.log(logging.ERROR if delay.is_fault else logging.WARNING, "%s %s", delay.message, delay.reply)
        raise
    except MailRefused as refusal:
        log.warning("%s %s", refusal.message, refusal.reply)
        raise


def _record(run: Run, where: str) -> None:
    """Finish the job. A database that is away for seconds must not have the message sent twice."""
    for pause in (*RECORD_PAUSES, None):
        try:
            with run.completing(delivered_to=where):
                return
        except OperationalError:
            if pause is None:
                raise
            log.warning("The message is out, but the database does not answer; trying again.")
            db.session.remove()
            time.sleep(pause)
