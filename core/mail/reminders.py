"""Reminders: on the day before the due date, at an hour of the reader's own time zone, once."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from core.jobs import service as jobs
from core.jobs.kinds import EMAIL_TASK_REMINDER
from core.jobs.service import NewJob
from core.mail.repository import MailRepository
from core.platform import clock
from core.platform.database.base import db
from core.platform.database.repeats import repeated
from core.platform.database.session import transaction
from core.platform.text import zones

# How many reminders one transaction orders, so that others get their turn to write.
BATCH = 200


def order_reminders(*, hour: int) -> int:
    """Order every reminder that is due and not ordered yet; return how many these are.

    The owner and the assignee of an open task are reminded, from this hour of the
    day before the due date until that date is over, each in their own time zone.
    So a late run, or a task that was made late, makes a reminder late, not lost.
    Any number of runs may overlap: a row for each task, person and due date, in
    the transaction that orders the message, lets it be ordered once.
    """
    ordered = 0
    while True:
        found, taken = _order_batch(hour)
        ordered += taken
        if found < BATCH:
            break
    return ordered


@repeated
def _order_batch(hour: int) -> tuple[int, int]:
    """Return how many reminders were due, up to the limit, and how many of them this run has ordered."""
    due = _due_dates(clock.now(), MailRepository(db.session()).list_zones(), hour)
    if not due:
        return 0, 0
    with transaction() as session:
        mails = MailRepository(session)
        found = mails.lock_unreminded(due, BATCH)
        taken = mails.take(found)
        wanted = []
        for task_id, user_id, due_date in taken:
            payload = {"user_id": user_id, "task_id": task_id, "due_date": due_date.isoformat()}
            wanted.append(NewJob(EMAIL_TASK_REMINDER, user_id, payload))
        jobs.enqueue_all(session, wanted)
    return len(found), len(taken)


def _due_dates(now: datetime, names: list[str], hour: int) -> dict[date, list[str]]:
    """Return the due dates of which people are to be reminded now, each with the zones where that is so."""
    due: dict[date, list[str]] = {}
    for name in names:
        for day in due_dates(now, zones.known(name), hour):
            due.setdefault(day, []).append(name)
    return due


def due_dates(now: datetime, zone: ZoneInfo, hour: int) -> list[date]:
    """Return the due dates of which people in the zone are to be reminded now: today, and from the hour on tomorrow."""
    today = now.astimezone(zone).date()
    has_begun = now.astimezone(UTC) >= zones.first_moment(today, zone, hour=hour)
    return [today, today + timedelta(days=1)] if has_begun else [today]
