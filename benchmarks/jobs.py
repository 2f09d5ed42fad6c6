"""Measure idle latency and throughput of jobs beside a bare `rq worker`.

`python benchmarks/jobs.py [--engine postgresql] [--singles 200] [--jobs 500] [--rounds 3]`

Both use the same Redis, in the same run. The job is the cheapest that stores
something: processing a task with one step that takes no time.
"""

import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

# A script's own folder is on the path, not the one above it.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import click
from rq import Queue

from tests.faults.report import percentile, table
from tests.faults.stack import Client, Stack, new_settings
from tests.support.processes import wait_for
from tests.support.servers import RedisServer


def idle_latency(stack: Stack, client: Client, number: int) -> tuple[list[float], list[float]]:
    """Return the seconds from the commit of single jobs to their start and to their end."""
    starts, ends = [], []
    for task_id in stack.create_tasks(number):
        job_id = client.process(task_id)
        ordered = datetime.now(UTC)
        if job_id is None:
            raise RuntimeError(client.refusals)
        wait_for(stack.unfinished, lambda unfinished: not unfinished)
        job = stack.job(job_id)
        starts.append((job["started_at"] - ordered).total_seconds())
        ends.append((job["finished_at"] - ordered).total_seconds())
        # Not in step with the relay, whatever its rhythm.
        time.sleep(stack.chance.uniform(0.05, 0.25))
    return starts, ends


def ours(stack: Stack, client: Client, number: int) -> float:
    """Return how many jobs one worker finishes in a second."""
    worker = stack.named("worker")[0]
    worker.wanted = False
    worker.process.terminate()
    worker.process.wait()
    before = set(stack.jobs())
    for task_id in stack.create_tasks(number):
        if client.process(task_id) is None:
            raise RuntimeError(client.refusals)
    worker.start()
    worker.wanted = True
    stack.drain(seconds=600)
    done = [job for job_id, job in stack.jobs().items() if job_id not in before]
    # Its first start, because loading the program is not part of the rate.
    took = max(job["finished_at"] for job in done) - min(job["started_at"] for job in done)
    return len(done) / took.total_seconds()


def bare(redis: RedisServer, number: int) -> float:
    """Return how many calls of a trivial function `rq worker` finishes in a second."""
    with redis.client as connection:
        queue = Queue("bare", connection=connection)
        for _ in range(number):
            queue.enqueue("math.sqrt", 2)
        command = [sys.executable, "-m", "rq.cli", "worker", "-u", redis.url, "-q", "bare"]
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(lambda: queue.count, lambda count: count < number)
            start, left = time.perf_counter(), queue.count
            wait_for(lambda: queue.finished_job_registry.count, lambda count: count == number, seconds=600)
            return left / (time.perf_counter() - start)
        finally:
            running.terminate()
            running.wait()
            connection.flushdb()


@click.command()
@click.option("--engine", type=click.Choice(["sqlite", "postgresql"]), default="sqlite", show_default=True)
@click.option("--singles", default=200, show_default=True, help="Jobs ordered one by one, for the latency.")
@click.option("--jobs", default=500, show_default=True, help="Jobs ordered at once, for the throughput.")
@click.option("--rounds", default=3, show_default=True, help="Of the throughput; the median counts.")
def main(engine: str, singles: int, jobs: int, rounds: int) -> None:
    """Measure jobs beside a bare `rq worker`."""
    environ = {"TASKLANE_PROCESSING__STEPS": "1", "TASKLANE_PROCESSING__STEP_SECONDS": "0"}
    with new_settings(engine) as (settings, redis, _), Stack(settings, redis, **environ) as stack:
        stack.add("scheduler", "scheduler")
        stack.add("worker", "worker")
        client = Client(stack.url)
        idle_latency(stack, client, 5)  # Until everything is loaded.
        starts, ends = idle_latency(stack, client, singles)
        rates = [(ours(stack, client, jobs), bare(redis, jobs)) for _ in range(rounds)]
        client.close()
    mine, theirs = (statistics.median(column) for column in zip(*rates, strict=True))
    rows = [
        (f"{name}, p50 / p99", f"{1000 * percentile(values, 0.5):.0f} / {1000 * percentile(values, 0.99):.0f} ms")
        for name, values in (("accepted to started", starts), ("accepted to finished", ends))
    ]
    rows += [
        ("Tasklane, one worker", f"{mine:.0f} jobs/s"),
        ("bare rq worker", f"{theirs:.0f} jobs/s"),
        ("ratio", f"{mine / theirs:.2f}"),
    ]
    print(f"{engine}: {singles} single jobs, then {rounds} times {jobs} at once")
    print(table(rows))


if __name__ == "__main__":
    main()
