"""Processing a task, in visible steps."""

import time

from core.access import Author, Via
from core.bootstrap import current_settings
from core.db import transaction
from core.jobs.lifecycle import Run
from core.tasks import service as tasks


def process_task(run: Run, *, task_id: int) -> None:
    """Work through the steps, then complete the task and the job in one transaction.

    Raises JobFailed if the task is deleted or cancelled.
    """
    settings = current_settings().processing
    with transaction() as session:
        tasks.require_processable(session, task_id=task_id)
    for step in range(1, settings.steps + 1):
        time.sleep(settings.step_seconds)
        if step < settings.steps:
            run.report(step * 100 // settings.steps)
    with run.completing(task_id=task_id) as session:
        tasks.finish_processing(session, Author(run.owner_id, Via.JOB), task_id=task_id)
