"""Replace workers as a platform does: SIGTERM twice to every process, while they are at work.

`python -m tests.faults.deploy --rounds 10` exits with 1 unless each job is done
once: the short one and the one that fits into the grace period without being
interrupted, the long one handed back and run again by the new worker; and the old
workers are gone in time.
"""

import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field

import click
import psutil

from core.jobs.model import JobState
from tests.faults.report import table
from tests.faults.stack import Client, Stack, new_settings
from tests.support.processes import children_of, wait_for

# A platform waits for 30 s; so much of it is ours.
ALLOWED_SECONDS = 25.0


@dataclass(slots=True)
class Outcome:
    """End of the workers and their jobs in all rounds."""

    ended_in: list[float] = field(default_factory=list)
    exit_codes: list[int] = field(default_factory=list)
    attempts: list[tuple[int, ...]] = field(default_factory=list)
    unfinished: int = 0
    wrong_effects: int = 0
    allowed: float = ALLOWED_SECONDS

    @property
    def is_good(self) -> bool:
        is_in_time = max(self.ended_in) <= self.allowed and set(self.exit_codes) == {0}
        # Short, fitting, long: only the last one needed a second run.
        return is_in_time and set(self.attempts) == {(1, 1, 2)} and not self.unfinished and not self.wrong_effects


def run(stack: Stack, *, rounds: int, grace: float) -> Outcome:
    """Deploy so many times. `grace` is what a worker grants its job, in seconds."""
    outcome = Outcome(allowed=grace + ALLOWED_SECONDS - 20)
    stack.add("scheduler", "scheduler")
    client = Client(stack.url)
    tasks: list[int] = []
    for number in range(rounds):
        tasks += _deploy(stack, client, outcome, number, grace)
    client.close()
    outcome.unfinished = len(stack.unfinished())
    effects = stack.effects()
    outcome.wrong_effects = sum(effects[task_id] != 1 for task_id in tasks)
    return outcome


def _deploy(stack: Stack, client: Client, outcome: Outcome, number: int, grace: float) -> list[int]:
    """Do one round; return its tasks."""
    tasks = stack.create_tasks(3)
    ids, old = [], []
    # One after the other, so that each job is taken by the worker that is meant for it; the long one first.
    for task_id, seconds in zip(tasks, (3 * grace + 10, 0.9 * grace, 0.2 * grace), strict=True):
        steps = {"TASKLANE_PROCESSING__STEPS": "100", "TASKLANE_PROCESSING__STEP_SECONDS": str(seconds / 100)}
        part = stack.add(f"old-{number}-{seconds:g}", "worker", **steps)
        part.wanted = False
        old.append(part)
        job_id = client.process(task_id)
        assert job_id is not None, client.refusals
        ids.append(job_id)
        wait_for(lambda job_id=job_id: stack.job(job_id)["state"], lambda state: state is JobState.STARTED)
    start = time.monotonic()
    family = [process for part in old for process in (psutil.Process(part.process.pid), *children_of(part.process.pid))]
    for pause in (stack.chance.uniform(0.05, min(2, grace / 2)), 0):
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGTERM)
        time.sleep(pause)
    new = stack.add(f"new-{number}", "worker", TASKLANE_PROCESSING__STEP_SECONDS="0.02")
    for part in old:
        outcome.exit_codes.append(part.process.wait(60))
        outcome.ended_in.append(time.monotonic() - start)
    stack.drain(seconds=90)
    jobs = stack.jobs()
    outcome.attempts.append(tuple(jobs[job_id]["attempts"] for job_id in reversed(ids)))
    new.wanted = False
    new.process.terminate()
    new.process.wait()
    return tasks


def show(outcome: Outcome) -> str:
    """Return the outcome as a table."""
    return table(
        [
            ("rounds, each with two SIGTERMs to all", len(outcome.attempts)),
            ("the last old worker was gone after, at most", f"{max(outcome.ended_in):.1f} s"),
            ("allowed", f"{outcome.allowed:.1f} s"),
            ("exit codes", sorted(set(outcome.exit_codes))),
            ("runs of the short, the fitting, the long job", sorted(set(outcome.attempts))),
            ("jobs not over", outcome.unfinished),
            ("tasks not processed exactly once", outcome.wrong_effects),
        ]
    )


@click.command()
@click.option("--engine", type=click.Choice(["sqlite", "postgresql"]), default="sqlite", show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--grace", default=20.0, show_default=True, help="Seconds a stopping worker grants its job.")
def main(engine: str, rounds: int, grace: float) -> None:
    """Replace workers at work, again and again. Exits with 1 unless every job is done once and in time."""
    click.echo(f"{engine}, grace {grace:g} s: jobs of {0.2 * grace:g}, {0.9 * grace:g} and {3 * grace + 10:g} s")
    environ = {"TASKLANE_JOBS__SHUTDOWN_GRACE_SECONDS": str(grace)}
    with new_settings(engine) as (settings, redis, _), Stack(settings, redis, **environ) as stack:
        outcome = run(stack, rounds=rounds, grace=grace)
    click.echo(show(outcome))
    sys.exit(0 if outcome.is_good else 1)


if __name__ == "__main__":
    main()
