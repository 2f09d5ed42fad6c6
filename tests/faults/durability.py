"""Kill what serves, again and again, while tasks are created; look for each that was acknowledged.

`python -m tests.faults.durability --engine postgresql --count 50` exits with 1 if
one is missing, or is there without its history.
"""

import sys
from collections import Counter
from dataclasses import dataclass, field

import click
import httpx
from sqlalchemy import func, select

from core.platform.database.base import db
from core.tasks.model import Task, TaskChange
from tests.faults.crowd import Crowd, database_of, database_options
from tests.faults.report import table
from tests.faults.stack import Stack, new_settings
from tests.support.processes import children_of

TITLE = "Acknowledged"


@dataclass(slots=True)
class Outcome:
    """Processes killed, requests answered, and answers that are not in the database."""

    kills: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    unanswered: int = 0
    other_answers: Counter[int] = field(default_factory=Counter)
    missing: int = 0
    without_history: int = 0
    unacknowledged: int = 0
    broken: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        is_worth_something = self.acknowledged > 0 and self.kills.total() > 0
        return is_worth_something and not (self.missing or self.without_history or self.other_answers or self.broken)


def run(stack: Stack, *, count: int, clients: int, pause: float) -> Outcome:
    """Create tasks while so many kills happen: of one process that serves, or of all of them with their parent."""
    outcome = Outcome()
    created: list[int] = []

    def work(client: httpx.Client, number: int) -> None:
        try:
            response = client.post("/tasks", json={"title": TITLE})
        except httpx.HTTPError:
            outcome.unanswered += 1
            stack.wait(0.05)
            return
        if response.status_code == 201:
            created.append(response.json()["data"]["id"])
        else:
            outcome.other_answers[response.status_code] += 1

    (web,) = stack.named("web")
    with Crowd(stack, clients, work) as crowd:
        while outcome.kills.total() < count:
            before = len(created)
            # A kill while nobody gets an answer would prove nothing.
            while len(created) < before + clients and not crowd.broken:
                stack.wait(0.02)
            stack.wait(stack.chance.uniform(0, pause))
            children = children_of(web.process.pid)
            # The pool starts what dies young only after ever longer pauses, so that is done to it now and then only.
            if children and stack.chance.random() < 0.2:
                stack.chance.choice(children).kill()
                outcome.kills["one process"] += 1
            elif web.is_alive:
                web.kill()
                outcome.kills["all"] += 1
            if crowd.broken:
                break
    outcome.broken, outcome.acknowledged = crowd.broken, len(created)
    with stack.app.app_context():
        stored = set(db.session.scalars(select(Task.id).where(Task.title == TITLE)))
        query = select(func.count(func.distinct(TaskChange.task_id))).join(Task, Task.id == TaskChange.task_id)
        told = db.session.scalar(query.where(Task.title == TITLE)) or 0
        db.session.remove()
    outcome.missing = len(set(created) - stored)
    outcome.unacknowledged = len(stored - set(created))
    outcome.without_history = len(stored) - told
    return outcome


def show(outcome: Outcome) -> str:
    """Return the outcome as a table."""
    return table(
        [
            ("kills", dict(outcome.kills)),
            ("tasks acknowledged with 201", outcome.acknowledged),
            ("requests that got no answer", outcome.unanswered),
            ("  of them stored even so", outcome.unacknowledged),
            ("other answers", dict(outcome.other_answers) or "none"),
            ("acknowledged and MISSING", outcome.missing),
            ("stored without history", outcome.without_history),
            ("broken", outcome.broken or "nothing"),
        ]
    )


@click.command()
@database_options
@click.option("--count", default=50, show_default=True, help="Kills.")
@click.option("--clients", default=4, show_default=True)
@click.option("--pause", default=0.5, show_default=True, help="Longest time at work before a kill, in seconds.")
def main(engine: str, database: str | None, count: int, clients: int, pause: float) -> None:
    """Kill what serves while tasks are created. Exits with 1 if an acknowledged one is missing."""
    click.echo(f"{engine}, {count} kills, {clients} clients")
    own = new_settings(engine, **database_of(database))
    with own as (settings, redis, _), Stack(settings, redis, web=("--processes", "2")) as stack:
        outcome = run(stack, count=count, clients=clients, pause=pause)
    click.echo(show(outcome))
    sys.exit(0 if outcome.is_good else 1)


if __name__ == "__main__":
    main()
