"""Processing a task, in visible steps."""

import time

from core.platform.config.current import current_settings
from core.runs.run import Run
from core.tasks import processing as tasks


def process_task(run: Run, *, task_id: int) -> None:
    """Work through the steps, then complete the task and the job in one transaction.

    Raises JobFailed if the task is deleted or cancelled, or whoever ordered this may not have it processed now.
    """
    settings = current_settings().processing
    for step in range(1, settings.steps + 1):
        time.sleep(settings.step_seconds)
        if step < settings.steps:
            run.report(step * 100 // settings.steps)
    with run.completing(task_id=task_id) as session:
        tasks.finish(session, run.actor, task_id=task_id)
