"""Sending e-mail: one message a job, its Message-ID made of the job's id."""

from core.bootstrap import current_settings
from core.errors import JobFailed
from core.jobs.lifecycle import Run
from core.mail import service as mail
from core.mail.delivery import MailRefused


def task_created(run: Run, *, task_id: int) -> dict[str, str]:
    """Confirm a new task to its owner."""
    try:
        return {"delivered_to": mail.send_task_created(current_settings(), task_id=task_id, message_id=str(run.job_id))}
    except MailRefused as error:
        raise JobFailed(str(error)) from error


def welcome(run: Run, *, user_id: int) -> dict[str, str]:
    """Welcome a new user."""
    try:
        return {"delivered_to": mail.send_welcome(current_settings(), user_id=user_id, message_id=str(run.job_id))}
    except MailRefused as error:
        raise JobFailed(str(error)) from error
