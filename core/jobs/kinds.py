"""The allow-list of background work: what may run, where, and how often it is tried.

`core` must not import `workers`, so a function is named by a dotted string; a
test proves that every name resolves.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class JobKind:
    """One kind of slow work.

    `attempts` counts the first run too; `retry_seconds` is the pause between
    attempts. After `timeout_seconds` an attempt is interrupted and can tidy up;
    `kill_seconds` later its process is killed, because it did not react.
    """

    name: str
    function: str
    queue: str
    attempts: int
    retry_seconds: float
    timeout_seconds: int
    kill_seconds: int = 30


PROCESS_TASK = JobKind("task.process", "workers.jobs.processing.process_task", "default", 4, 30, 600)
EMAIL_TASK_CREATED = JobKind("email.task_created", "workers.jobs.emails.task_created", "high", 6, 60, 60)
EMAIL_WELCOME = JobKind("email.welcome", "workers.jobs.emails.welcome", "high", 6, 60, 60)
IMPORT = JobKind("import", "workers.jobs.imports.import_file", "low", 3, 30, 1800)
CLEAN_UP = JobKind("maintenance.clean_up", "workers.jobs.maintenance.clean_up", "low", 3, 60, 1800)

KINDS = {
    kind.name: kind
    for kind in (
        PROCESS_TASK,
        EMAIL_TASK_CREATED,
        EMAIL_WELCOME,
        IMPORT,
        CLEAN_UP,
    )
}

# In order of precedence: a worker empties the first before it looks at the next.
QUEUES = ("high", "default", "low")
