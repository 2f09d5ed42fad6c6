"""Kill workers, scheduler and Redis at random while jobs are ordered over HTTP; count what is lost or doubled.

`python -m tests.faults.chaos --engine postgresql --seconds 300` exits with 1 if
anything is.
"""

import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import click
import psutil

from core.jobs.model import OPEN_STATES, JobState
from core.platform import clock
from tests.faults.report import keys_of, table
from tests.faults.stack import Client, Part, Stack, new_settings
from tests.support.processes import children_of, kill_all
from tests.support.servers import PostgresServer

# Every tenth task is processed three times, so that runs also meet on one row.
REPEATED = 10
REPEATS = 3

# Seconds between two faults.
PAUSE = (0.3, 1.7)


@dataclass(slots=True)
class Outcome:
    """Result of a run. Three lists decide; the rest shows the size of the proof."""

    accepted: int = 0
    refusals: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    not_over: list[str] = field(default_factory=list)
    doubled: list[int] = field(default_factory=list)
    letters: int = 0
    unsent: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    deaths: Counter[str] = field(default_factory=Counter)
    attempts: Counter[int] = field(default_factory=Counter)
    retried: int = 0
    drained_in: float = 0.0
    redis: dict[str, Any] = field(default_factory=dict)

    @property
    def is_clean(self) -> bool:
        return self.accepted > 0 and not (self.lost or self.not_over or self.doubled or self.unsent)


class Orders:
    """Threads that order jobs over HTTP at a steady rate, and remember what was accepted."""

    def __init__(self, stack: Stack, tasks: list[int], *, rate: float, threads: int) -> None:
        self.accepted: list[tuple[str, int]] = []
        self.refusals: Counter[str] = Counter()
        self._stack = stack
        self._tasks = _repeating(tasks)
        self._lock = threading.Lock()
        self._pause = threads / rate
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._order) for _ in range(threads)]

    def __enter__(self) -> "Orders":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _order(self) -> None:
        client = Client(self._stack.url)
        due = time.monotonic()
        while not self._over.wait(max(0.0, due - time.monotonic())):
            due = max(due + self._pause, time.monotonic())
            with self._lock:
                task_id = next(self._tasks)
            job_id = client.process(task_id)
            if job_id is not None:
                self.accepted.append((job_id, task_id))
        self.refusals.update(client.refusals)
        client.close()


def _repeating(tasks: list[int]) -> Iterator[int]:
    for index, task_id in enumerate(tasks):
        yield from [task_id] * (REPEATS if index % REPEATED == 0 else 1)


class Chaos:
    """Does one of the faults every now and then."""

    def __init__(self, stack: Stack, *, faults: list[str], lease: float, postgres: PostgresServer | None) -> None:
        self.stack = stack
        self.faults = faults
        self.lease = lease
        self.postgres = postgres
        self.chance = stack.chance
        self.done: Counter[str] = Counter()
        self._later: list[tuple[float, Callable[[], None]]] = []

    def run(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        next_fault = time.monotonic() + self.chance.uniform(*PAUSE)
        while time.monotonic() < end:
            self._mend(time.monotonic())
            if time.monotonic() >= next_fault:
                fault = self.chance.choice(self.faults)
                if FAULTS[fault](self):
                    self.done[fault] += 1
                    next_fault = time.monotonic() + self.chance.uniform(*PAUSE)
            time.sleep(0.02)
        self._mend(float("inf"))

    def _mend(self, now: float) -> None:
        due = [mend for moment, mend in self._later if moment <= now]
        self._later = [(moment, mend) for moment, mend in self._later if moment > now]
        for mend in due:
            mend()

    def _after(self, seconds: float, mend: Callable[[], None]) -> None:
        self._later.append((time.monotonic() + seconds, mend))

    def _worker(self) -> Part | None:
        """Choose a worker, rather one that is at work: an idle one has little to lose."""
        alive = [part for part in self.stack.named("worker") if part.is_alive]
        busy = [part for part in alive if children_of(part.process.pid)]
        candidates = busy if busy and self.chance.random() < 0.8 else alive
        return self.chance.choice(candidates) if candidates else None

    def kill_worker(self, *, spare_children: bool = False) -> bool:
        """Kill a worker with its child, or leave the child behind."""
        part = self._worker()
        if part is None or (spare_children and not children_of(part.process.pid)):
            return False
        part.kill(spare_children=spare_children)
        return True

    def kill_child(self) -> bool:
        """Kill the forked child of a worker that has one."""
        part = self._worker()
        children = children_of(part.process.pid) if part else []
        kill_all(children)
        return bool(children)

    def kill_scheduler(self) -> bool:
        (part,) = self.stack.named("scheduler")
        is_alive = part.is_alive
        if is_alive:
            part.kill()
        return is_alive

    def freeze_worker(self) -> bool:
        """Stop a worker with its child for longer than the lease; then it comes back and does not know."""
        part = self._worker()
        if part is None:
            return False
        family = [psutil.Process(part.process.pid), *children_of(part.process.pid)]
        _each(family, "suspend")
        self._after(self.lease * self.chance.uniform(1.2, 2), lambda: _each(family, "resume"))
        return True

    def kill_redis(self, *, forget: bool) -> bool:
        redis = self.stack.redis
        if redis.process is None:
            return False
        redis.kill()
        if forget:
            redis.forget()
        self._after(self.chance.uniform(0, 2), redis.start)
        return True

    def hang_redis(self) -> bool:
        """Let Redis accept connections and say nothing."""
        redis = self.stack.redis
        if redis.process is None or redis.is_hanging:
            return False
        redis.hang()
        self._after(self.chance.uniform(1, 4), redis.go_on)
        return True

    def empty_redis(self) -> bool:
        redis = self.stack.redis
        if redis.process is None or redis.is_hanging:
            return False
        with redis.client as client:
            client.flushall()
        return True

    def crash_database(self) -> bool:
        if self.postgres is None or not self.postgres.is_running:
            return False
        self.postgres.crash()
        self._after(self.chance.uniform(0.5, 3), self.postgres.start)
        return True


def _each(processes: list[psutil.Process], action: str) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            getattr(process, action)()


FAULTS: dict[str, Callable[[Chaos], bool]] = {
    "worker": Chaos.kill_worker,
    "parent": lambda chaos: chaos.kill_worker(spare_children=True),
    "child": Chaos.kill_child,
    "scheduler": Chaos.kill_scheduler,
    "redis": lambda chaos: chaos.kill_redis(forget=False),
    "redis-and-its-data": lambda chaos: chaos.kill_redis(forget=True),
    "redis-hangs": Chaos.hang_redis,
    "redis-is-emptied": Chaos.empty_redis,
    "worker-freezes": Chaos.freeze_worker,
    "database": Chaos.crash_database,
}
KILLS = ("worker", "parent", "child", "scheduler", "redis")


def run(
    stack: Stack,
    *,
    seconds: float,
    rate: float,
    workers: int,
    lease: float,
    faults: list[str],
    postgres: PostgresServer | None = None,
    drain_seconds: float = 180,
) -> Outcome:
    """Let jobs be ordered and parts be killed for so long, wait for the rest, and count."""
    # Steps of 20 ms let kills hit every phase of a job; the last worker takes longer than a lease for each.
    stack.add("scheduler", "scheduler")
    for number in range(workers):
        is_slow = number == workers - 1
        steps = {"TASKLANE_PROCESSING__STEPS": "5"}
        steps["TASKLANE_PROCESSING__STEP_SECONDS"] = str(lease * 1.5 / 5 if is_slow else 0.02)
        stack.add(f"worker-{number + 1}{'-slow' if is_slow else ''}", "worker", **steps)
    tasks = stack.create_tasks(int(seconds * rate) + 100)
    letters = tasks[: int(seconds * rate)]
    stack.order_letters(letters, seconds=seconds)
    chaos = Chaos(stack, faults=faults, lease=lease, postgres=postgres)
    with Orders(stack, tasks, rate=rate, threads=4) as orders:
        chaos.run(seconds)
    start = clock.monotonic()
    retried = stack.drain(seconds=drain_seconds)
    outcome = count(stack, orders.accepted)
    outcome.letters, outcome.unsent = len(letters), stack.unsent()
    outcome.retried, outcome.drained_in = retried, clock.monotonic() - start
    outcome.faults, outcome.refusals, outcome.deaths = chaos.done, orders.refusals, stack.deaths
    outcome.redis = keys_of(stack.redis)
    return outcome


def count(stack: Stack, accepted: list[tuple[str, int]]) -> Outcome:
    """Compare what was accepted with what the database holds.

    Lost is an accepted job that has failed or is not there, or whose task shows
    fewer effects than jobs that have succeeded; one that is open still is not
    over, which is as bad, but something else. Doubled is a task with more effects
    than jobs.
    """
    outcome = Outcome(accepted=len(accepted))
    jobs, effects = stack.jobs_and_effects()
    succeeded = Counter(job["payload"]["task_id"] for job in jobs.values() if job["state"] is JobState.SUCCEEDED)
    for job_id, task_id in accepted:
        job = jobs.get(job_id)
        if job is not None and job["state"] in OPEN_STATES:
            outcome.not_over.append(job_id)
        elif job is None or job["state"] is not JobState.SUCCEEDED or effects[task_id] < succeeded[task_id]:
            outcome.lost.append(job_id)
        if job is not None:
            outcome.attempts[job["attempts"]] += 1
    outcome.doubled = [task_id for task_id, number in effects.items() if number > succeeded[task_id]]
    return outcome


def show(outcome: Outcome) -> str:
    """Return the outcome as a table."""
    return table(
        [
            ("jobs accepted over HTTP", outcome.accepted),
            ("orders refused", _listed(outcome.refusals)),
            ("faults", _listed(outcome.faults)),
            ("parts that ended by themselves", _listed(outcome.deaths)),
            ("attempts: jobs", _listed(dict(sorted(outcome.attempts.items())))),
            ("failed after all attempts, tried again by hand", outcome.retried),
            ("the last job was over after", f"{outcome.drained_in:.1f} s"),
            ("keys in Redis", _listed(outcome.redis["keys"])),
            ("  of them without an end", _listed(outcome.redis["lasting"])),
            ("memory of Redis", f"{outcome.redis['memory'] / 2**20:.1f} MiB"),
            ("e-mails beside them", outcome.letters),
            ("LOST", len(outcome.lost)),
            ("NOT OVER", len(outcome.not_over)),
            ("NOT SENT", outcome.unsent),
            ("DOUBLED", len(outcome.doubled)),
        ]
    )


def _listed(counts: dict[Any, int]) -> str:
    return ", ".join(f"{name}: {number}" for name, number in counts.items()) or "none"


@click.command()
@click.option("--engine", type=click.Choice(["sqlite", "postgresql"]), default="sqlite", show_default=True)
@click.option("--seconds", default=60.0, show_default=True, help="How long to order and to kill.")
@click.option("--rate", default=15.0, show_default=True, help="Orders a second.")
@click.option(
    "--workers", default=3, show_default=True, help="The last of them takes longer than a lease for each job."
)
@click.option("--lease", default=3.0, show_default=True, help="Seconds.")
@click.option("--kill", default=",".join(KILLS), show_default=True, help=f"Some of {', '.join(FAULTS)}.")
@click.option("--no-persistence", is_flag=True, help="Redis forgets everything when it is killed.")
@click.option("--seed", type=int, help="Repeat the choices of an earlier run. Default: at random.")
def main(
    engine: str, seconds: float, rate: float, workers: int, lease: float, kill: str, no_persistence: bool, seed: int
) -> None:
    """Kill parts of Tasklane at random and count lost and doubled effects. Exits with 1 if there are any."""
    faults = kill.split(",")
    if unknown := set(faults) - FAULTS.keys():
        raise click.BadParameter(f"Unknown: {', '.join(unknown)}.", param_hint="--kill")
    if no_persistence:
        faults = ["redis-and-its-data" if fault == "redis" else fault for fault in faults]
    seed = random.randrange(10**6) if seed is None else seed
    click.echo(f"{engine}, {seconds:g} s, {rate:g} orders/s, {workers} workers, lease {lease:g} s, seed {seed}")
    environ = {"TASKLANE_JOBS__LEASE_SECONDS": str(lease)}
    with new_settings(engine) as (settings, redis, postgres), Stack(settings, redis, seed=seed, **environ) as stack:
        arguments = {"rate": rate, "workers": workers, "lease": lease, "faults": faults}
        outcome = run(stack, seconds=seconds, postgres=postgres, **arguments)
    click.echo(show(outcome))
    sys.exit(0 if outcome.is_clean else 1)


if __name__ == "__main__":
    main()
