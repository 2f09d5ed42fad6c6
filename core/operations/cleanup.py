"""Deletion of what is over: sessions, files, jobs, slots, deleted tasks. In small steps, so that no writer waits."""

from collections.abc import Callable, Collection
from datetime import timedelta
from typing import Any

from core.audit.repository import AuditRepository
from core.auth import lockout
from core.auth.repository import ResetRepository, SessionRepository
from core.files import service as files
from core.idempotency.repository import StoredAnswerRepository
from core.jobs.repository import JobRepository
from core.mail.repository import MailRepository
from core.platform import clock
from core.platform.config.settings import Settings
from core.platform.database.base import db
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
        "sessions": _in_batches(
            lambda: SessionRepository(db.session()).list_ended(sessions_end, BATCH),
            lambda ids: SessionRepository(db.session()).delete_sessions(ids),
            step,
        ),
        "refresh_tokens": _in_batches(
            lambda: SessionRepository(db.session()).list_expired_tokens(sessions_end, BATCH),
            lambda ids: SessionRepository(db.session()).delete_tokens(ids),
            step,
        ),
        "tasks": _in_batches(
            lambda: TaskRepository(db.session()).list_trashed_before(trash_end, BATCH),
            lambda ids: TaskRepository(db.session()).purge_many(ids, trash_end),
            step,
        ),
        "kept_answers": _in_batches(
            lambda: StoredAnswerRepository(db.session()).list_expired(now, BATCH),
            lambda keys: StoredAnswerRepository(db.session()).delete_all(keys),
            step,
        ),
        "files": 0,
        "jobs": _in_batches(
            lambda: JobRepository(db.session()).list_finished_before(jobs_end, BATCH),
            lambda ids: JobRepository(db.session()).delete(ids),
            step,
        ),
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


def _in_batches(
    find: Callable[[], Collection[Any]], delete: Callable[[Collection[Any]], None], step: Callable[[], None]
) -> int:
    total = 0
    while ids := find():
        with transaction():
            delete(ids)
        total += len(ids)
        step()
    return total
