"""Run three schedulers on clocks that hurry, kill them again and again, and count what they order.

`python -m tests.faults.schedule --engine postgresql --seconds 30` lets an hour pass
in half a minute, and exits with 1 unless each slot of it has exactly one job.
"""

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import click
import flask_migrate
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from core.bootstrap import create_core_app
from core.jobs import schedule
from core.jobs.kinds import CLEAN_UP
from core.jobs.model import Job
from core.jobs.schedule import Entry, Missed
from core.platform.config.load import ROOT
from core.platform.config.settings import Settings
from core.platform.database.base import db
from tests.faults.crowd import database_of, database_options
from tests.faults.report import table
from tests.faults.stack import new_settings
from workers.scheduler import Ticker

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
EVERY = timedelta(minutes=1)
ENTRY = Entry("every-minute", CLEAN_UP, EVERY, missed=Missed.EACH)

# How far the clocks of the schedulers are apart.
SKEWS = (timedelta(seconds=-40), timedelta(), timedelta(seconds=25))


@dataclass(slots=True)
class Outcome:
    """Jobs by slot, and how often a scheduler was killed."""

    kills: int = 0
    ended: Counter[int] = field(default_factory=Counter)
    jobs: Counter[str] = field(default_factory=Counter)
    missing: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        return not self.missing and not self.doubled and not self.ended and self.jobs.total() > 0


def follow(app: Flask, *, start: float, speed: float, skew: timedelta) -> None:
    """Be a scheduler until killed or left alone: look at a clock that hurries, and order what is due by it."""
    ticker, parent = Ticker((ENTRY,)), os.getppid()
    with app.app_context():
        while os.getppid() == parent:
            now = NOON + (time.time() - start) * speed * timedelta(seconds=1) + skew
            try:
                ticker.tick(now)
            except SQLAlchemyError:
                time.sleep(0.1)
            finally:
                db.session.remove()
            time.sleep(0.01)


def run(settings: Settings, *, seconds: float, pause: float, seed: int) -> Outcome:
    """Let an hour pass in so many seconds, and kill a scheduler after each pause."""
    outcome = Outcome()
    chance = random.Random(seed)
    app = create_core_app(settings=settings)
    with app.app_context():
        flask_migrate.upgrade()
        # An entry that is new has missed nothing, so its first slot is one before all that counts.
        schedule.order_due(NOON + min(SKEWS) - EVERY, (ENTRY,))
        db.session.remove()
    start, speed = time.time(), HOUR / timedelta(seconds=seconds)
    running = {skew: _spawn(settings, start, speed, skew) for skew in SKEWS}
    try:
        # They go on for a little longer, so that the last ones to start see the end of the hour too.
        while time.time() < start + seconds * 1.1 + 3:
            time.sleep(chance.uniform(0, 2 * pause))
            skew = chance.choice(SKEWS)
            if running[skew].poll() is not None:
                outcome.ended[running[skew].returncode] += 1
            if time.time() < start + seconds:
                running[skew].kill()
                running[skew].wait()
                outcome.kills += 1
                running[skew] = _spawn(settings, start, speed, skew)
    finally:
        for process in running.values():
            process.kill()
            process.wait()
    with app.app_context():
        payloads = db.session.scalars(select(Job.payload).where(Job.kind == CLEAN_UP.name)).all()
        db.session.remove()
        db.engine.dispose()
    outcome.jobs = Counter(payload["slot"] for payload in payloads)
    slots = [(NOON + number * EVERY).isoformat() for number in range(HOUR // EVERY + 1)]
    outcome.missing = [slot for slot in slots if outcome.jobs[slot] == 0]
    outcome.doubled = [slot for slot, number in outcome.jobs.items() if number > 1]
    return outcome


def _spawn(settings: Settings, start: float, speed: float, skew: timedelta) -> subprocess.Popen[bytes]:
    variables = {
        **os.environ,
        "TASKLANE_ENV": "testing",
        "TASKLANE_INSTANCE_PATH": str(settings.instance_path),
        "TEST_DATABASE_URL": settings.database_url,
        "TEST_REDIS_URL": settings.redis_url,
    }
    orders = json.dumps([start, speed, skew.total_seconds()])
    return subprocess.Popen(
        [sys.executable, "-m", "tests.faults.schedule", "--follow", orders], env=variables, cwd=ROOT
    )


def show(outcome: Outcome) -> str:
    """Return the outcome as a table."""
    return table(
        [
            ("schedulers killed", outcome.kills),
            ("schedulers that ended by themselves", dict(outcome.ended) or "none"),
            ("slots with a job", len(outcome.jobs)),
            ("slots of the hour without a job", outcome.missing or "none"),
            ("slots with more than one", outcome.doubled or "none"),
        ]
    )


@click.command()
@database_options
@click.option("--seconds", default=60.0, show_default=True, help="How long the hour takes.")
@click.option("--pause", default=1.5, show_default=True, help="Between two kills, on average, in seconds.")
@click.option("--seed", default=1, show_default=True)
@click.option("--follow", "orders", hidden=True, help="What the command starts itself with.")
def main(engine: str, database: str | None, seconds: float, pause: float, seed: int, orders: str | None) -> None:
    """Kill three schedulers for an hour of their clocks. Exits with 1 unless each slot has one job."""
    if orders is not None:
        start, speed, skew = json.loads(orders)
        follow(create_core_app(), start=start, speed=speed, skew=timedelta(seconds=skew))
    click.echo(f"{engine}, one hour in {seconds:g} s, {len(SKEWS)} schedulers, a slot every minute")
    with new_settings(engine, **database_of(database)) as (settings, _, _):
        outcome = run(settings, seconds=seconds, pause=pause, seed=seed)
    click.echo(show(outcome))
    sys.exit(0 if outcome.is_good else 1)


if __name__ == "__main__":
    main()
