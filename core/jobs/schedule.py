"""Schedule of jobs that no caller orders: one table of entries, each slot of each entry exactly once.

A slot is a moment at which an entry is due, in UTC. Its row is inserted in the
transaction that orders its job, and the row's key admits one; so any number of
schedulers may run, die and come back, on clocks that are set as one likes.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import uuid4

from sqlalchemy.orm import Session

from core.jobs import service as jobs
from core.jobs.kinds import CLEAN_UP, MAIL_REMINDERS, REPORT_WEEKLY, JobKind
from core.jobs.repository import JobRepository
from core.platform.database.repeats import repeated
from core.platform.database.session import transaction

# A Monday, so that weeks begin where ISO 8601 begins them.
_ANCHOR = datetime(1970, 1, 5, tzinfo=UTC)

# However long no scheduler ran: more slots than this are not caught up at once, and the older ones are passed over.
MOST_MISSED = 100


class Missed(StrEnum):
    """Treatment of slots in which no scheduler ran."""

    EACH = "each"
    LATEST = "latest"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the schedule: every so often, `offset` after midnight UTC of a Monday.

    With SKIP, a slot is dealt with while it is not older than `late`.
    """

    name: str
    kind: JobKind
    every: timedelta
    offset: timedelta = timedelta()
    missed: Missed = Missed.LATEST
    late: timedelta = timedelta(minutes=5)

    def newest_slot(self, now: datetime) -> datetime:
        """Return the newest slot that is not in the future."""
        start = _ANCHOR + self.offset
        return start + (now - start) // self.every * self.every


SCHEDULE: tuple[Entry, ...] = (
    Entry("clean-up", CLEAN_UP, timedelta(hours=1), offset=timedelta(minutes=17)),
    # A time zone's day may begin at any quarter of an hour.
    Entry("reminders", MAIL_REMINDERS, timedelta(minutes=15)),
    # Of the week that has just ended, on Monday morning; no week is left out.
    Entry("weekly-report", REPORT_WEEKLY, timedelta(weeks=1), offset=timedelta(hours=6), missed=Missed.EACH),
)


def order_due(now: datetime, entries: tuple[Entry, ...] = SCHEDULE) -> int:
    """Order the jobs of all slots that are due and not dealt with; return how many.

    An entry that is new has missed nothing: its first slot is the next one.
    """
    return sum(_order_entry(entry, now) for entry in entries)


@repeated
def _order_entry(entry: Entry, now: datetime) -> int:
    newest = entry.newest_slot(now)
    with transaction() as session:
        last = JobRepository(session).last_slot(entry.name, now)
        if last is None:
            JobRepository(session).take_slot(entry.name, newest, None)
            return 0
        slots = _slots(entry, last, newest)
        return sum(_order_slot(session, entry, slot, now) for slot in slots)


def _slots(entry: Entry, last: datetime, newest: datetime) -> list[datetime]:
    """Return the slots to deal with, oldest first, given the last one that was."""
    missed = max((newest - last) // entry.every, 0)
    count = min(missed, MOST_MISSED if entry.missed is Missed.EACH else 1)
    return [newest - index * entry.every for index in range(count - 1, -1, -1)]


def _order_slot(session: Session, entry: Entry, slot: datetime, now: datetime) -> int:
    is_too_late = entry.missed is Missed.SKIP and now - slot > entry.late
    job_id = None if is_too_late else uuid4()
    if not JobRepository(session).take_slot(entry.name, slot, job_id) or job_id is None:
        return 0
    jobs.enqueue(session, entry.kind, owner_id=None, job_id=job_id, slot=slot.isoformat())
    return 1
