"""Leave jobs without workers, and watch that Redis does not fill up.

`python -m tests.faults.backlog --seconds 900 --jobs 2000` exits with 1 if the
queue in Redis ever holds more than twice as many messages as there are jobs, or
if the jobs are not done once when the workers are back.
"""

import sys
import time
from dataclasses import dataclass

import click
import psutil

from tests.faults.report import table
from tests.faults.stack import Client, Stack, new_settings

QUEUES = ("rq:queue:high", "rq:queue:default", "rq:queue:low")


@dataclass(slots=True)
class Outcome:
    """State after a time without workers."""

    jobs: int
    longest: int = 0
    leases: float = 0.0
    relay_share: float = 0.0
    drained_in: float = 0.0
    unfinished: int = 0
    wrong_effects: int = 0

    @property
    def is_good(self) -> bool:
        return 0 < self.longest <= 2 * self.jobs and not self.unfinished and not self.wrong_effects


def run(stack: Stack, *, seconds: float, jobs: int, lease: float, workers: int, drain_seconds: float) -> Outcome:
    """Order jobs while no worker runs, wait for many leases, then let workers come."""
    outcome = Outcome(jobs, leases=seconds / lease)
    scheduler = stack.add("scheduler", "scheduler")
    client = Client(stack.url)
    tasks = stack.create_tasks(jobs)
    for task_id in tasks:
        assert client.process(task_id) is not None, client.refusals
    client.close()
    usage, before = psutil.Process(scheduler.process.pid), time.monotonic()
    spent = sum(usage.cpu_times()[:2])
    with stack.redis.client as redis:
        while time.monotonic() < before + seconds:
            outcome.longest = max(outcome.longest, sum(redis.llen(key) for key in QUEUES))
            time.sleep(0.1)
    outcome.relay_share = (sum(usage.cpu_times()[:2]) - spent) / (time.monotonic() - before)
    for number in range(workers):
        stack.add(f"worker-{number + 1}", "worker", TASKLANE_PROCESSING__STEP_SECONDS="0")
    start = time.monotonic()
    stack.drain(seconds=drain_seconds)
    outcome.drained_in = time.monotonic() - start
    outcome.unfinished = len(stack.unfinished())
    effects = stack.effects()
    outcome.wrong_effects = sum(effects[task_id] != 1 for task_id in tasks)
    return outcome


def show(outcome: Outcome) -> str:
    """Return the outcome as a table."""
    return table(
        [
            ("jobs without a worker", f"{outcome.jobs}, for {outcome.leases:g} leases"),
            ("messages in Redis, at most", f"{outcome.longest} ({2 * outcome.jobs} allowed)"),
            ("the relay took", f"{outcome.relay_share:.1%} of a core"),
            ("done after the workers came", f"{outcome.drained_in:.1f} s"),
            ("jobs not over", outcome.unfinished),
            ("tasks not processed exactly once", outcome.wrong_effects),
        ]
    )


@click.command()
@click.option("--engine", type=click.Choice(["sqlite", "postgresql"]), default="sqlite", show_default=True)
@click.option("--seconds", default=900.0, show_default=True, help="How long no worker runs.")
@click.option("--jobs", default=2000, show_default=True)
@click.option("--lease", default=1.0, show_default=True, help="Seconds.")
@click.option("--workers", default=2, show_default=True)
def main(engine: str, seconds: float, jobs: int, lease: float, workers: int) -> None:
    """Leave jobs without workers and watch the queue. Exits with 1 if it grows or if a job is lost or doubled."""
    click.echo(f"{engine}, {jobs} jobs, {seconds:g} s without workers, lease {lease:g} s")
    environ = {"TASKLANE_JOBS__LEASE_SECONDS": str(lease)}
    with new_settings(engine) as (settings, redis, _), Stack(settings, redis, **environ) as stack:
        arguments = {"seconds": seconds, "jobs": jobs, "lease": lease, "workers": workers}
        outcome = run(stack, drain_seconds=60 + jobs, **arguments)
    click.echo(show(outcome))
    sys.exit(0 if outcome.is_good else 1)


if __name__ == "__main__":
    main()
