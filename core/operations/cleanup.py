"""Deletion of what is over: sessions, files, jobs, slots, deleted tasks. In small steps, so that no writer waits."""

from collections.abc import Callable
from datetime import timedelta

from sqlalchemy.orm import Session

from core.audit.repository import AuditRepository
from core.auth import lockout
from core.auth.repository import ResetRepository, SessionRepository
from core.files import service as files
from core.idempotency.repository import StoredAnswerRepository
from core.jobs.repository import JobRepository
from core.mail.repository import MailRepository
from core.platform import clock
from core.platform.config.settings import Settings
from core.platform.database.session import transaction
from core.tasks.repository import TaskRepository

BATCH = 500
# Long after any slot could still be caught up.
SLOTS_KEPT = timedelta(days=90)
# A client with a wrong clock should still hear that its token is expired, not that it is unknown.
SESSIONS_KEPT = timedelta(days=1)
# No user is reminded of a due date that is over, unless the clock is wrong by more than this.
REMINDERS_KEPT = timedelta(days=60)


def clean_up(settings: Settings, step: Callable[[], None]) -> dict[str, int]:
    """Delete what is of no use any more; return how many of each.

    `step` is called between transactions; it may raise to end the work early.
    Every step stands for itself, so nothing is lost or done twice by that.
    """
    now = clock.now()
    jobs_end = now - timedelta(days=settings.jobs.history_days)
    sessions_end = now - SESSIONS_KEPT
    trash_end = now - timedelta(days=settings.tasks.trash_days)
    counts = {
        "sessions": _in_batches(lambda session: SessionRepository(session).delete_ended(sessions_end, BATCH), step),
        "refresh_tokens": _in_batches(
            lambda session: SessionRepository(session).delete_expired_tokens(sessions_end, BATCH), step
        ),
        "tasks": _in_batches(lambda session: TaskRepository(session).purge_trashed_before(trash_end, BATCH), step),
        "kept_answers": _in_batches(lambda session: StoredAnswerRepository(session).delete_expired(now, BATCH), step),
        "files": 0,
        "jobs": _in_batches(lambda session: JobRepository(session).delete_finished_before(jobs_end, BATCH), step),
    }
    while count := files.sweep():
        counts["files"] += count
        step()
    with transaction() as session:
        JobRepository(session).forget_slots(now - SLOTS_KEPT)
        MailRepository(session).forget_reminders((now - REMINDERS_KEPT).date())
        ResetRepository(session).delete_expired(sessions_end)
        counts["security_events"] = AuditRepository(session).forget_before(
            events=now - timedelta(days=settings.security_event_days),
            failures=now - lockout.MEMORY,
            addresses=now - timedelta(days=settings.security_event_days),
        )
    return counts


def _in_batches(delete: Callable[[Session], int], step: Callable[[], None]) -> int:
    total = 0
    while True:
        with transaction() as session:
            count = delete(session)
        if not count:
            return total
        total += count
        step()
