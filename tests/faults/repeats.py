"""Send one POST many times at once under one Idempotency-Key, to several processes.

`python -m tests.faults.repeats --engine postgresql --count 20` exits with 1 unless
each round stores one task and all its answers are the same.
"""

import sys
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import click
import httpx
from sqlalchemy import func, select

from core.jobs.model import Job
from core.platform.database.base import db
from core.tasks.model import Task
from tests.faults.crowd import Crowd, database_of, database_options
from tests.faults.report import table
from tests.faults.stack import Stack, new_settings

STILL_RUNNING = 409


@dataclass(slots=True)
class Outcome:
    """Result of the rounds. A request that hears that the first one is still running asks again, as it should."""

    rounds: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    wrong_rows: list[int] = field(default_factory=list)
    wrong_jobs: list[int] = field(default_factory=list)
    different: list[int] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        expected = {"first", "repeated", "still running"}
        is_clean = not (self.wrong_rows or self.wrong_jobs or self.different or self.broken)
        return self.rounds > 0 and is_clean and set(self.answers) <= expected and self.answers["first"] == self.rounds


def run(stack: Stack, *, rounds: int, parallel: int) -> Outcome:
    """Create a task `parallel` times at once in each round, under one key."""
    outcome = Outcome()
    start = threading.Barrier(parallel, timeout=60)
    bodies: list[set[tuple[str, bytes]]] = [set() for _ in range(rounds)]
    turns: Counter[int] = Counter()
    lock = threading.Lock()

    def work(client: httpx.Client, number: int) -> None:
        this = turns[number]
        if this == rounds:
            crowd.leave()
        turns[number] += 1
        start.wait()
        _ask(client, this, outcome, bodies[this], lock, stack.wait)

    with Crowd(stack, parallel, work) as crowd:
        crowd.join()
    outcome.rounds, outcome.broken = rounds, crowd.broken
    with stack.app.app_context():
        rows = db.session.execute(select(Task.title, func.count(), func.min(Task.id)).group_by(Task.title)).all()
        payloads = db.session.scalars(select(Job.payload).where(Job.kind == "email.task_created")).all()
        db.session.remove()
    jobs = Counter(payload["task_id"] for payload in payloads)
    found = {title: (number, jobs[task_id]) for title, number, task_id in rows}
    for number in range(rounds):
        tasks, messages = found.get(f"Round {number}", (0, 0))
        if tasks != 1:
            outcome.wrong_rows.append(number)
        if messages != 1:
            outcome.wrong_jobs.append(number)
        if len(bodies[number]) != 1:
            outcome.different.append(number)
    return outcome


def _ask(
    client: httpx.Client,
    number: int,
    outcome: Outcome,
    bodies: set[tuple[str, bytes]],
    lock: threading.Lock,
    wait: Callable[[float], None],
) -> None:
    while True:
        headers = {"Idempotency-Key": f"round-{number}"}
        response = client.post("/tasks", json={"title": f"Round {number}"}, headers=headers)
        with lock:
            if response.status_code != STILL_RUNNING:
                was_before = "Idempotency-Replayed" in response.headers
                status = str(response.status_code)
                outcome.answers[("repeated" if was_before else "first") if status == "201" else status] += 1
                bodies.add((response.headers.get("Location", ""), response.content))
                return
            outcome.answers["still running"] += 1
        wait(0.1)


def show(outcome: Outcome) -> str:
    """Return the outcome as a table."""
    return table(
        [
            ("rounds", outcome.rounds),
            ("answers", dict(outcome.answers)),
            ("rounds without exactly one row", len(outcome.wrong_rows)),
            ("rounds without exactly one job", len(outcome.wrong_jobs)),
            ("rounds with different answers", len(outcome.different)),
            ("broken", outcome.broken or "nothing"),
        ]
    )


@click.command()
@database_options
@click.option("--count", default=20, show_default=True, help="Rounds.")
@click.option("--parallel", default=50, show_default=True, help="Equal requests at once.")
@click.option("--processes", default=2, show_default=True)
def main(engine: str, database: str | None, count: int, parallel: int, processes: int) -> None:
    """Repeat one POST many times at once. Exits with 1 unless it is done once and answered alike."""
    click.echo(f"{engine}, {count} rounds of {parallel} requests, {processes} processes")
    own = new_settings(engine, **database_of(database))
    with (
        own as (settings, redis, _),
        Stack(settings, redis, web=("--processes", str(processes), "--threads", "16")) as stack,
    ):
        outcome = run(stack, rounds=count, parallel=parallel)
    click.echo(show(outcome))
    sys.exit(0 if outcome.is_good else 1)


if __name__ == "__main__":
    main()
