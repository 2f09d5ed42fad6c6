"""Sending e-mail: one message a job, its Message-ID made of the job's id.

A repetition cannot be excluded: a server may have taken a message whose job did
not live to record it. It then carries the same Message-ID, and mail programs
show it once.
"""

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any

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


def _sending(write: Callable[..., Letter]) -> Callable[..., None]:
    """Return the job that sends the letter which `write` makes of its payload."""

    def send(run: Run, **payload: Any) -> None:
        _send(run, partial(write, **payload))

    return send


welcome = _sending(mail.welcome)
task_created = _sending(mail.task_created)
task_assigned = _sending(mail.task_assigned)
tasks_transferred = _sending(mail.tasks_transferred)
task_reminder = _sending(mail.task_reminder)


def password_reset(run: Run, **payload: Any) -> None:
    """Send a user the link by which they set a new password. The link is made of the job's id."""
    _send(run, partial(mail.password_reset, **payload, job_id=run.job_id, settings=current_settings()))


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
