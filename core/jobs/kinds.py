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
    asks again and again.
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


PROCESS_TASK = JobKind("task.process", "workers.jobs.processing.process_task", "default", 4, 30, 600, for_actor=True)


def _email(name: str, queue: str) -> JobKind:
    # Tried for almost a day: mail servers are mended in the morning. The time limit leaves a
    # server the five minutes that it may take to answer a whole message (RFC 5321, 4.5.3.2.6).
    return JobKind(f"email.{name}", f"workers.jobs.emails.{name}", queue, 30, 30, 420, retry_factor=2.0)


EMAIL_WELCOME = _email("welcome", "high")
EMAIL_PASSWORD_RESET = _email("password_reset", "high")
EMAIL_TASK_CREATED = _email("task_created", "high")
EMAIL_TASK_ASSIGNED = _email("task_assigned", "high")
EMAIL_TASKS_TRANSFERRED = _email("tasks_transferred", "high")
EMAIL_TASK_REMINDER = _email("task_reminder", "default")
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

# In order of precedence: a worker empties the first before it looks at the next.
QUEUES = ("high", "default", "low")

EMAILS = frozenset(name for name in KINDS if name.startswith("email."))


def kinds_of(queues: Collection[str]) -> list[str]:
    """Return the names of the kinds of job that these queues carry."""
    return [kind.name for kind in KINDS.values() if kind.queue in queues]
