"""Measure idle latency and throughput of jobs beside a bare `rq worker`.

`python benchmarks/jobs.py [--engine postgresql] [--singles 200] [--jobs 500] [--rounds 3]`

Both use the same Redis, in the same run. One job is the cheapest that stores
something: processing a task with one step that takes no time, in a process of its own.
The other is an e-mail, which shares a process with others.
"""

import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

# A script's own folder is on the path, not the one above it.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import click
import psutil
from rq import Queue
from sqlalchemy import func, insert, select

from core.jobs.kinds import EMAIL_TASK_CREATED
from core.jobs.model import Job
from core.platform.database.base import db
from core.platform.database.session import transaction
from core.users.model import User
from tests.faults.report import percentile, table
from tests.faults.stack import Client, Part, Stack, new_settings
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


def letters(stack: Stack, number: int) -> tuple[float, float]:
    """Return how many e-mails into the outbox one worker sends in a second, and the CPU of its processes for each."""
    worker = stack.named("worker")[0]
    worker.wanted = False
    worker.process.terminate()
    worker.process.wait()
    tasks = stack.create_tasks(number)
    with stack.app.app_context(), transaction() as session:
        owner_id = session.scalars(select(User.id)).first()
        row = {"kind": EMAIL_TASK_CREATED.name, "owner_id": owner_id, "max_attempts": EMAIL_TASK_CREATED.attempts}
        session.execute(insert(Job), [{**row, "payload": {"task_id": task_id}} for task_id in tasks])
    worker.start()
    worker.wanted = True
    waiting = select(func.count()).where(Job.kind == EMAIL_TASK_CREATED.name, Job.finished_at.is_(None))
    wait_for(lambda: _ask(stack, waiting), lambda count: count < number)
    start, left, spent = time.perf_counter(), _ask(stack, waiting), _spent(worker)
    wait_for(lambda: _ask(stack, waiting), lambda count: count <= number // 50, seconds=600)
    done = left - _ask(stack, waiting)
    return done / (time.perf_counter() - start), 1000 * (_spent(worker) - spent) / done


def _ask(stack: Stack, query: Any) -> int:
    with stack.app.app_context():
        count = db.session.scalar(query)
        db.session.remove()
    return int(count)


def _spent(part: Part) -> float:
    """Return the seconds of CPU of a process and its children, of those that have ended, too."""
    process = psutil.Process(part.process.pid)
    own = process.cpu_times()
    living = [child.cpu_times()[:2] for child in process.children(recursive=True)]
    return float(sum(own[:4]) + sum(sum(times) for times in living))


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
        rates = [(ours(stack, client, jobs), bare(redis, jobs), *letters(stack, jobs)) for _ in range(rounds)]
        client.close()
    mine, theirs, mails, cost = (statistics.median(column) for column in zip(*rates, strict=True))
    rows = [
        (f"{name}, p50 / p99", f"{1000 * percentile(values, 0.5):.0f} / {1000 * percentile(values, 0.99):.0f} ms")
        for name, values in (("accepted to started", starts), ("accepted to finished", ends))
    ]
    rows += [
        ("Tasklane, one worker", f"{mine:.0f} jobs/s"),
        ("bare rq worker", f"{theirs:.0f} jobs/s"),
        ("ratio", f"{mine / theirs:.2f}"),
        ("e-mails, one worker", f"{mails:.0f} jobs/s, {cost:.1f} ms of CPU each"),
        ("ratio", f"{mails / theirs:.2f}"),
    ]
    print(f"{engine}: {singles} single jobs, then {rounds} times {jobs} at once")
    print(table(rows))


if __name__ == "__main__":
    main()
