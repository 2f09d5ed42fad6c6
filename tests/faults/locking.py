"""Change the same few tasks at once as many people, by several processes.

`python -m tests.faults.locking --seconds 60` exits with 1 if a change is refused
because the database was locked, or if one that was acknowledged is not counted.
"""

import sys
import threading
from collections import Counter
from dataclasses import dataclass, field

import click
import httpx
from sqlalchemy import func, select

from core.platform.database.base import db
from core.tasks.model import Task, TaskChange
from tests.faults.crowd import Crowd, database_of, database_options, timed
from tests.faults.report import percentile, table
from tests.faults.stack import Stack, new_settings

TASKS = 4


@dataclass(slots=True)
class Outcome:
    """Answers, and the tasks compared with them."""

    answers: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    lost: int = 0
    untold: int = 0
    broken: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        return set(self.answers) == {200} and not self.lost and not self.untold and not self.broken


def run(stack: Stack, *, seconds: float, clients: int) -> Outcome:
    """Change titles for so long. Each change that is acknowledged makes the version of its task one more."""
    outcome = Outcome()
    tasks = stack.create_tasks(TASKS)
    changed: Counter[int] = Counter()
    lock = threading.Lock()
    rounds: Counter[int] = Counter()

    def work(client: httpx.Client, number: int) -> None:
        rounds[number] += 1
        task_id = tasks[(number + rounds[number]) % TASKS]
        title = f"{number} {rounds[number]}"
        response, took = timed(lambda: client.patch(f"/tasks/{task_id}", json={"title": title}))
        with lock:
            outcome.answers[response.status_code] += 1
            outcome.seconds.append(took)
            changed[task_id] += response.status_code == 200

    with Crowd(stack, clients, work) as crowd:
        stack.wait(seconds)
    outcome.broken = crowd.broken
    with stack.app.app_context():
        versions = db.session.execute(select(Task.id, Task.version).where(Task.id.in_(tasks))).all()
        query = select(TaskChange.task_id, func.count()).group_by(TaskChange.task_id)
        entries = {row[0]: row[1] for row in db.session.execute(query.where(TaskChange.task_id.in_(tasks)))}
        db.session.remove()
    outcome.lost = sum(abs(changed[task_id] - (version - 1)) for task_id, version in versions)
    outcome.untold = sum(abs(changed[task_id] - entries.get(task_id, 0)) for task_id in tasks)
    return outcome


def show(outcome: Outcome) -> str:
    """Return the outcome as a table."""
    p50, p99 = (percentile(outcome.seconds, share) * 1000 for share in (0.5, 0.99))
    return table(
        [
            ("answers", dict(outcome.answers)),
            ("p50 / p99 / longest", f"{p50:.0f} / {p99:.0f} / {max(outcome.seconds) * 1000:.0f} ms"),
            ("updates lost", outcome.lost),
            ("updates without history", outcome.untold),
            ("broken", outcome.broken or "nothing"),
        ]
    )


@click.command()
@database_options
@click.option("--seconds", default=60.0, show_default=True)
@click.option("--processes", default=2, show_default=True)
@click.option("--threads", default=16, show_default=True, help="Of each process; as many clients each.")
def main(engine: str, database: str | None, seconds: float, processes: int, threads: int) -> None:
    """Change the same tasks by many threads of many processes. Exits with 1 if one is refused or lost."""
    click.echo(f"{engine}, {seconds:g} s, {processes} processes of {threads} threads, {TASKS} tasks")
    web = ("--processes", str(processes), "--threads", str(threads))
    own = new_settings(engine, **database_of(database))
    with own as (settings, redis, _), Stack(settings, redis, web=web) as stack:
        outcome = run(stack, seconds=seconds, clients=processes * threads)
    click.echo(show(outcome))
    sys.exit(0 if outcome.is_good else 1)


if __name__ == "__main__":
    main()
