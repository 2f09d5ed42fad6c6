"""Take Redis away from a running service, and go on writing.

`python -m tests.faults.outage --engine postgresql --count 500` exits with 1
unless every write succeeds and 99 % of them within half a second, while Redis is
dead and while it hangs. Rate limits and a cache on Redis are on.
"""

import sys
from collections import Counter
from dataclasses import dataclass, field

import click
import httpx

from tests.faults.crowd import Crowd, database_of, database_options, timed
from tests.faults.report import percentile, table
from tests.faults.stack import Stack, new_settings
from tests.support.processes import wait_for

ALLOWED_SECONDS = 0.5
FAULTS = ("killed", "stopped")

# A service that uses Redis for all that it can be used for.
USES_REDIS = {
    "TASKLANE_RATELIMIT_ENABLED": "true",
    "TASKLANE_LIMITS__USER": "1000000 per minute",
    "TASKLANE_CACHE__BACKEND": "redis",
}


@dataclass(slots=True)
class Outcome:
    """Answers and seconds of the writes during each fault, how long 99 % may take, and what was broken otherwise."""

    allowed: float = ALLOWED_SECONDS
    answers: dict[str, Counter[int]] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    missing: int = 0

    @property
    def is_good(self) -> bool:
        all_well = all(set(answers) <= {201, 202} for answers in self.answers.values())
        all_fast = all(percentile(each, 0.99) <= self.allowed for each in self.seconds.values())
        told = self.states == {"killed": "down", "stopped": "hung"}
        return all_well and all_fast and told and not self.broken and not self.missing


def run(stack: Stack, *, count: int, clients: int, allowed: float = ALLOWED_SECONDS) -> Outcome:
    """Write `count` times during each fault, which comes while everybody is at work."""
    outcome = Outcome(allowed)
    for fault in FAULTS:
        answers: Counter[int] = Counter()
        seconds: list[float] = []
        created: list[int] = []

        def work(
            client: httpx.Client,
            number: int,
            answers: Counter[int] = answers,
            seconds: list[float] = seconds,
            created: list[int] = created,
        ) -> None:
            response, took = timed(lambda: client.post("/tasks", json={"title": "Without Redis"}))
            note(response, took, answers, seconds)
            if response.status_code == 201:
                created.append(response.json()["data"]["id"])
                note(*timed(lambda: client.post(f"/tasks/{created[-1]}/process")), answers, seconds)

        with Crowd(stack, clients, work) as crowd:
            # Whoever counts in memory since the last fault would not notice the next one.
            wait_for(lambda: counters(stack), bool)
            if fault == "killed":
                stack.redis.kill()
                stack.redis.forget()
            else:
                stack.redis.hang()
            # What was answered before the fault is no proof.
            answers.clear()
            seconds.clear()
            while answers.total() < count and not crowd.broken:
                stack.wait(0.05)
        outcome.states[fault] = httpx.get(f"{stack.url}/health/ready", trust_env=False).json()["checks"]["redis"]
        if fault == "killed":
            stack.redis.start()
        else:
            stack.redis.go_on()
        outcome.answers[fault], outcome.seconds[fault] = answers, seconds
        outcome.broken += crowd.broken
        outcome.missing += len(set(created) - stack.effects().keys())
    return outcome


def counters(stack: Stack) -> int:
    """Return how many counters of requests Redis holds."""
    with stack.redis.client as client:
        return sum(1 for _ in client.scan_iter("LIMITS*requests*"))


def note(response: httpx.Response, took: float, answers: Counter[int], seconds: list[float]) -> None:
    answers[response.status_code] += 1
    seconds.append(took)


def show(outcome: Outcome) -> str:
    """Return the outcome as a table."""
    rows: list[tuple[str, object]] = []
    for fault, answers in outcome.answers.items():
        p50, p99 = (percentile(outcome.seconds[fault], share) * 1000 for share in (0.5, 0.99))
        longest = max(outcome.seconds[fault]) * 1000
        rows += [
            (f"Redis {fault}: answers", dict(answers)),
            ("  p50 / p99 / longest", f"{p50:.0f} / {p99:.0f} / {longest:.0f} ms"),
            ("  readiness says", outcome.states[fault]),
        ]
    return table([*rows, ("acknowledged and missing", outcome.missing), ("broken", outcome.broken or "nothing")])


@click.command()
@database_options
@click.option("--count", default=500, show_default=True, help="Writes during each fault.")
@click.option("--clients", default=2, show_default=True)
def main(engine: str, database: str | None, count: int, clients: int) -> None:
    """Write while Redis is dead, and while it hangs. Exits with 1 if a write fails or is slow."""
    click.echo(f"{engine}, {count} writes by {clients} clients")
    own = new_settings(engine, **database_of(database))
    with own as (settings, redis, _), Stack(settings, redis, **USES_REDIS) as stack:
        outcome = run(stack, count=count, clients=clients)
    click.echo(show(outcome))
    sys.exit(0 if outcome.is_good else 1)


if __name__ == "__main__":
    main()
