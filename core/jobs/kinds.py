"""The allow-list of background work: what may run, where, and how often it is tried.

`core` must not import `workers`, so a function is named by a dotted string; a
test proves that every name resolves.
"""

from collections.abc import Collection
from dataclasses import dataclass

# In seconds; however often a job has failed, it does not wait longer than this.
LONGEST_PAUSE = 3600.0


@dataclass(frozen=True, slots=True)
class JobKind:
    """One kind of slow work.

    `attempts` counts the first run too; `retry_seconds` is the pause between
    attempts, which grows by `retry_factor` from one to the next, up to
    LONGEST_PAUSE. After `timeout_seconds` an attempt is interrupted and can tidy up;
    `kill_seconds` later its process is killed, because it did not react. `for_actor`:
    it works with the rights of the user who orders it, which `core.runs.rights`
    asks again and again. `is_short`: a process of a worker does many of these, and some at once
    are taken from their queue; any other kind has a process of its own.
    """

    name: str
    function: str
    queue: str
    attempts: int
    retry_seconds: float
    timeout_seconds: int
    kill_seconds: int = 30
    retry_factor: float = 1.0
    for_actor: bool = False
    is_short: bool = False


PROCESS_TASK = JobKind("task.process", "workers.jobs.processing.process_task", "default", 4, 30, 600, for_actor=True)


def _email(name: str) -> JobKind:
    # Tried for almost a day: mail servers are mended in the morning. The time limit leaves a
    # server the five minutes that it may take to answer a whole message (RFC 5321, 4.5.3.2.6).
    return JobKind(f"email.{name}", f"workers.jobs.emails.{name}", "high", 30, 30, 420, retry_factor=2.0, is_short=True)


EMAIL_WELCOME = _email("welcome")
EMAIL_PASSWORD_RESET = _email("password_reset")
EMAIL_TASK_CREATED = _email("task_created")
EMAIL_TASK_ASSIGNED = _email("task_assigned")
EMAIL_TASKS_TRANSFERRED = _email("tasks_transferred")
EMAIL_TASK_REMINDER = _email("task_reminder")
MAIL_REMINDERS = JobKind("mail.reminders", "workers.jobs.reminders.order", "default", 3, 60, 300)
EXPORT = JobKind("export", "workers.jobs.exports.export", "low", 3, 60, 3600, for_actor=True)
IMPORT = JobKind("import", "workers.jobs.imports.import_file", "low", 3, 60, 1800, for_actor=True)
REPORT = JobKind("report", "workers.jobs.reports.make", "low", 3, 60, 600, for_actor=True)
REPORT_WEEKLY = JobKind("report.weekly", "workers.jobs.reports.make_weekly", "low", 3, 60, 600)
CLEAN_UP = JobKind("maintenance.clean_up", "workers.jobs.maintenance.clean_up", "low", 3, 60, 1800)

KINDS = {
    kind.name: kind
    for kind in (
        PROCESS_TASK,
        EMAIL_WELCOME,
        EMAIL_PASSWORD_RESET,
        EMAIL_TASK_CREATED,
        EMAIL_TASK_ASSIGNED,
        EMAIL_TASKS_TRANSFERRED,
        EMAIL_TASK_REMINDER,
        MAIL_REMINDERS,
        EXPORT,
        IMPORT,
        REPORT,
        REPORT_WEEKLY,
        CLEAN_UP,
    )
}

# Each gets a share of a worker's time by its weight, so that none waits for another to be empty;
# where it is equal, the first of them comes first.
QUEUES = ("high", "default", "low")
WEIGHTS = {"high": 4, "default": 2, "low": 1}
# These carry short kinds only.
SHORT_QUEUES = frozenset(QUEUES) - {kind.queue for kind in KINDS.values() if not kind.is_short}

EMAILS = frozenset(name for name in KINDS if name.startswith("email."))


def kinds_of(queues: Collection[str]) -> list[str]:
    """Return the names of the kinds of job that these queues carry."""
    return [kind.name for kind in KINDS.values() if kind.queue in queues]
