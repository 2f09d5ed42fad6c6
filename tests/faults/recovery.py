"""Kill workers in the middle of their jobs, and measure how soon the jobs start again.

`python -m tests.faults.recovery --engine sqlite --kills 100` exits with 1 unless
99 % of the jobs start again within a lease and five seconds, and all are done once.
Redis is left alone: an empty one would hide messages that are stuck in it.
"""

import sys
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import click

from core.jobs.model import JobState
from core.platform import clock
from tests.faults.report import percentile, table
from tests.faults.stack import Client, Part, Stack, new_settings
from tests.support.processes import children_of, wait_for

ALLOWED_SECONDS = 5.0

VICTIMS = ("worker", "parent", "child")


@dataclass(slots=True)
class Outcome:
    """Seconds from each kill to the next start of its job, or to its end if nothing had to start."""

    victim: str
    lease: float
    seconds: list[float] = field(default_factory=list)
    attempts: list[int] = field(default_factory=list)
    wrong_effects: int = 0

    @property
    def is_good(self) -> bool:
        # Whose parent alone dies goes on, and nobody may begin it a second time beside it.
        attempts = {1} if self.victim == "parent" else {2}
        is_soon = percentile(self.seconds, 0.99) <= self.lease + ALLOWED_SECONDS
        return is_soon and set(self.attempts) == attempts and self.wrong_effects == 0


def run(stack: Stack, *, victim: str, kills: int, lease: float, parallel: int) -> Outcome:
    """Let `parallel` workers begin a job each, kill them all in the middle, and wait for the jobs; again and again.

    Workers and scheduler of an earlier run go on.
    """
    outcome = Outcome(victim, lease)
    steps = {"TASKLANE_PROCESSING__STEPS": "10", "TASKLANE_PROCESSING__STEP_SECONDS": "0.2"}
    if not stack.named("scheduler"):
        stack.add("scheduler", "scheduler")
    for number in range(len(stack.named("worker")), parallel):
        stack.add(f"worker-{number + 1}", "worker", **steps)
    client = Client(stack.url)
    ordered: list[int] = []
    while len(outcome.seconds) < kills:
        tasks = stack.create_tasks(min(parallel, kills - len(outcome.seconds)))
        ordered += tasks
        _round(stack, client, outcome, tasks)
    client.close()
    effects = stack.effects()
    outcome.wrong_effects = sum(effects[task_id] != 1 for task_id in ordered)
    return outcome


def _round(stack: Stack, client: Client, outcome: Outcome, tasks: list[int]) -> None:
    ids = [job_id for task_id in tasks if (job_id := client.process(task_id))]
    assert len(ids) == len(tasks), client.refusals
    wait_for(lambda: _states(stack, ids), lambda states: states == {JobState.STARTED})
    stack.wait(stack.chance.uniform(0, 0.5))
    killed_at = clock.now()
    for part in _busy(stack):
        if outcome.victim == "child":
            for child in children_of(part.process.pid):
                child.kill()
        else:
            part.kill(spare_children=outcome.victim == "parent")
    wait_for(lambda: _states(stack, ids), lambda states: states == {JobState.SUCCEEDED}, seconds=outcome.lease + 120)
    for job in _jobs(stack, ids):
        moment = job["finished_at"] if outcome.victim == "parent" else job["started_at"]
        outcome.seconds.append((moment - killed_at) / timedelta(seconds=1))
        outcome.attempts.append(job["attempts"])


def _busy(stack: Stack) -> list[Part]:
    return [part for part in stack.named("worker") if part.is_alive and children_of(part.process.pid)]


def _jobs(stack: Stack, ids: list[str]) -> list[dict[str, Any]]:
    jobs = stack.jobs()
    return [jobs[job_id] for job_id in ids]


def _states(stack: Stack, ids: list[str]) -> set[JobState]:
    return {job["state"] for job in _jobs(stack, ids)}


def show(outcome: Outcome) -> str:
    """Return the outcome as a table."""
    what = "killed to finished" if outcome.victim == "parent" else "killed to started again"
    p50, p99 = (percentile(outcome.seconds, share) for share in (0.5, 0.99))
    return table(
        [
            ("kills in the middle of a job", len(outcome.seconds)),
            (f"{what}, p50 / p99 / longest", f"{p50:.1f} / {p99:.1f} / {max(outcome.seconds):.1f} s"),
            ("allowed at p99", f"{outcome.lease + ALLOWED_SECONDS:.1f} s"),
            ("attempts", sorted(set(outcome.attempts))),
            ("tasks not processed exactly once", outcome.wrong_effects),
        ]
    )


@click.command()
@click.option("--engine", type=click.Choice(["sqlite", "postgresql"]), default="sqlite", show_default=True)
@click.option("--kills", default=100, show_default=True)
@click.option("--lease", default=3.0, show_default=True, help="Seconds; the service's own default is 30.")
@click.option("--parallel", default=2, show_default=True, help="Workers, and jobs that are hit at once.")
@click.option(
    "--victim",
    type=click.Choice(VICTIMS),
    default="worker",
    show_default=True,
    help="A worker with its child, its parent process alone, or the child alone.",
)
def main(engine: str, kills: int, lease: float, parallel: int, victim: str) -> None:
    """Kill workers in the middle of jobs and measure the recovery. Exits with 1 if it takes too long."""
    click.echo(f"{engine}, victim: {victim}, lease {lease:g} s, {parallel} at once")
    environ = {"TASKLANE_JOBS__LEASE_SECONDS": str(lease)}
    with new_settings(engine) as (settings, redis, _), Stack(settings, redis, **environ) as stack:
        outcome = run(stack, victim=victim, kills=kills, lease=lease, parallel=parallel)
    click.echo(show(outcome))
    sys.exit(0 if outcome.is_good else 1)


if __name__ == "__main__":
    main()
