"""Log in, in turns, as people who exist, who do not, and who are deactivated, and compare the refusals.

`python -m tests.faults.enumeration --logins 200` exits with 1 unless all of them say the same and the
medians of their times lie within 10 % of each other.
"""

import random
import statistics
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import click
import httpx
from sqlalchemy import insert

from core.auth import lockout
from core.platform import clock, passwords
from core.platform.database.session import transaction
from core.users.model import User
from tests.faults.report import table
from tests.faults.stack import Stack, new_settings

ALLOWED_GAP = 0.10
# Names of one length, each used once, because wrong passwords in a row lock a name.
KINDS = {"exists": "real{:05d}", "does not": "none{:05d}", "deactivated": "gone{:05d}"}
RIGHT, WRONG = "correct horse battery", "wrong horse battery"
WARM_UP = 10


@dataclass(slots=True)
class Outcome:
    """Answers to each kind of caller, and the milliseconds they took."""

    times: dict[str, list[float]] = field(default_factory=dict)
    answers: dict[str, set[tuple[Any, ...]]] = field(default_factory=dict)
    locked_times: dict[str, list[float]] = field(default_factory=dict)
    locked_answers: dict[str, set[tuple[Any, ...]]] = field(default_factory=dict)

    @property
    def gap(self) -> float:
        return _gap(self.times)

    @property
    def is_good(self) -> bool:
        is_alike = len(set.union(*self.answers.values())) == 1
        is_alike_locked = len(set.union(*self.locked_answers.values())) == 1
        return self.gap <= ALLOWED_GAP and is_alike and is_alike_locked


def _gap(times: dict[str, list[float]]) -> float:
    """Return by which share the slowest median is above the fastest."""
    medians = [statistics.median(values) for values in times.values()]
    return max(medians) / min(medians) - 1


def prepare(stack: Stack, number: int) -> None:
    """Store the accounts, all with one password, half of them deactivated."""
    hashed, now = passwords.hash_password(RIGHT), clock.now()
    rows = [
        {
            "username": KINDS[kind].format(index),
            "email": f"{KINDS[kind].format(index)}@example.com",
            "password_hash": hashed,
            "role": "user",
            "is_active": kind == "exists",
            "time_zone": "UTC",
            "created_at": now,
            "updated_at": now,
        }
        for kind in ("exists", "deactivated")
        for index in range(number)
    ]
    with stack.app.app_context(), transaction() as session:
        session.execute(insert(User), rows)


def run(stack: Stack, *, logins: int) -> Outcome:
    """Try so many logins of each kind, in random order."""
    outcome = Outcome()
    prepare(stack, logins + WARM_UP + 1)
    with httpx.Client(base_url=f"{stack.url}/api/v1", timeout=60, trust_env=False) as client:
        for index in range(logins + WARM_UP):
            for kind in random.sample(list(KINDS), len(KINDS)):
                # A deactivated account is refused even its right password.
                password = RIGHT if kind == "deactivated" and index % 2 else WRONG
                milliseconds, answer = _try(client, KINDS[kind].format(index), password)
                if index >= WARM_UP:
                    outcome.times.setdefault(kind, []).append(milliseconds)
                    outcome.answers.setdefault(kind, set()).add(answer)
        _try_locked(client, outcome, logins)
    return outcome


def _try_locked(client: httpx.Client, outcome: Outcome, logins: int) -> None:
    """Lock a name of each kind, and go on for no longer than the lock lasts."""
    names = {kind: name.format(logins + WARM_UP) for kind, name in KINDS.items()}
    for name in names.values():
        for _ in range(lockout.FREE_FAILURES + 1):
            _try(client, name, WRONG)
    until = time.monotonic() + lockout.FIRST_LOCK.total_seconds() / 2
    for _ in range(logins):
        for kind in random.sample(list(names), len(names)):
            milliseconds, answer = _try(client, names[kind], RIGHT)
            outcome.locked_times.setdefault(kind, []).append(milliseconds)
            outcome.locked_answers.setdefault(kind, set()).add(answer)
        if time.monotonic() > until:
            break


def _try(client: httpx.Client, username: str, password: str) -> tuple[float, tuple[Any, ...]]:
    """Return how many milliseconds a login took, and all of its answer that is not of its moment."""
    start = time.perf_counter()
    answer = client.post("/auth/login", json={"username": username, "password": password})
    milliseconds = (time.perf_counter() - start) * 1000
    error = {name: value for name, value in answer.json()["error"].items() if name != "request_id"}
    own = ("date", "x-request-id", "retry-after")
    headers = sorted((name, value) for name, value in answer.headers.items() if name not in own)
    return milliseconds, (answer.status_code, str(error), str(headers))


def show(outcome: Outcome) -> str:
    """Return the outcome as a table."""
    rows: list[tuple[str, Any]] = []
    for title, times, answers in (
        ("", outcome.times, outcome.answers),
        ("locked, ", outcome.locked_times, outcome.locked_answers),
    ):
        for kind in KINDS:
            values = times[kind]
            quartiles = statistics.quantiles(values, n=4)
            rows.append((f"{title}{kind}: logins", len(values)))
            rows.append((f"{title}{kind}: quartiles", " / ".join(f"{one:.1f}" for one in quartiles) + " ms"))
        rows.append((f"{title}gap of the medians", f"{_gap(times):.1%}"))
        rows.append((f"{title}different answers", len(set.union(*answers.values()))))
    return table(rows)


@click.command()
@click.option("--engine", type=click.Choice(["sqlite", "postgresql"]), default="sqlite", show_default=True)
@click.option("--logins", default=200, show_default=True, help="Of each kind.")
def main(engine: str, logins: int) -> None:
    """Try to tell by refusals who has an account. Exits with 1 if that is possible."""
    click.echo(f"{engine}, {logins} logins of each kind, in random order")
    with new_settings(engine) as (settings, redis, _), Stack(settings, redis) as stack:
        outcome = run(stack, logins=logins)
    click.echo(show(outcome))
    sys.exit(0 if outcome.is_good else 1)


if __name__ == "__main__":
    main()
