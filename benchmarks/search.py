"""Measure the search on a database of its own: `python benchmarks/search.py <database URL> <number of tasks>`.

The database must be empty or made by an earlier run; it is migrated and filled
in bulk with tasks that read like tasks, in the frequencies of a natural text.
"""

import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

# A script's own folder is on the path, not the one above it.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import flask_migrate
from sqlalchemy import func, insert, select, text

from core.bootstrap import create_core_app
from core.platform.access import Actor, Role
from core.platform.config.load import load_settings
from core.platform.database.base import db
from core.platform.database.session import transaction
from core.search import service
from core.tasks.model import Task
from core.users.model import User

BATCH = 5_000
PEOPLE = 1_000
REPEATS = 7
OPENING = ("Renew", "Deploy", "Review", "Order", "Repair", "Plan", "Test", "Document", "Water", "Invite")
SYLLABLES = ("ka", "lo", "mi", "ter", "ran", "so", "vel", "dur", "pes", "ti", "gon", "bra", "sha", "quin", "el")


def vocabulary() -> list[str]:
    """Return words from the most frequent to the rarest."""
    chance = random.Random(1)
    return sorted({"".join(chance.choices(SYLLABLES, k=chance.randint(2, 5))) for _ in range(60_000)}, key=hash_of)


def hash_of(word: str) -> int:
    """Return a number that mixes the words and is the same in every run."""
    return random.Random(word).getrandbits(32)


def tasks(number: int) -> Iterator[dict[str, Any]]:
    """Yield tasks. 'release' is in a third of them; 'zanzibar' in one of 100,000, at least in one."""
    chance = random.Random(2)
    words = vocabulary()
    # By Zipf's law, the n-th word is n times rarer than the first.
    weights = [1 / rank for rank in range(1, len(words) + 1)]
    cumulative = [sum(weights[:1])]
    for weight in weights[1:]:
        cumulative.append(cumulative[-1] + weight)
    start = datetime(2020, 1, 1, tzinfo=UTC)
    for index in range(number):
        picked = chance.choices(words, cum_weights=cumulative, k=chance.randint(15, 45))
        if index % 3 == 0:
            picked[len(picked) // 2 : len(picked) // 2] = ["before", "the", "release"]
        if index % 100_000 == 50 % number:
            picked.append("zanzibar")
        moment = start + timedelta(seconds=index)
        yield {
            "title": f"{chance.choice(OPENING)} {' '.join(picked[:4])}"[:150],
            "description": " ".join(picked[4:]),
            "status": "pending",
            "owner_id": index % PEOPLE + 1,
            "version": 1,
            "created_at": moment,
            "updated_at": moment,
        }


def fill(number: int) -> None:
    """Store people and tasks, unless an earlier run has."""
    with transaction() as session:
        if session.scalar(select(func.count()).select_from(Task)) == number:
            return
        people = [{"id": i, "username": f"user{i}", "email": f"user{i}@example.com"} for i in range(1, PEOPLE + 2)]
        session.execute(insert(User), [{**person, "password_hash": "x", "role": Role.USER} for person in people])
    started = time.perf_counter()
    batch: list[dict[str, Any]] = []
    for task in tasks(number):
        batch.append(task)
        if len(batch) == BATCH:
            store(batch)
    store(batch)
    seconds = time.perf_counter() - started
    print(f"filled in {seconds:.1f} s, {number / seconds:,.0f} tasks a second")


def store(batch: list[dict[str, Any]]) -> None:
    """Insert the batch and empty it."""
    if batch:
        with transaction() as session:
            session.execute(insert(Task), batch)
        batch.clear()


def timed(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """Return the median and the longest time of some runs in milliseconds, and the last result."""
    times = []
    result = None
    for _ in range(REPEATS):
        started = time.perf_counter()
        result = work()
        times.append((time.perf_counter() - started) * 1000)
        db.session.remove()
    return statistics.median(times), max(times), result


def measure() -> None:
    """Print the times of searches by an administrator, by a member with few tasks, and by one with none."""
    people = {
        "admin": Actor(1, Role.ADMIN),
        "member": Actor(7, Role.USER),
        "stranger": Actor(PEOPLE + 1, Role.USER),
    }
    queries = {
        "rare word": "zanzibar ",
        "common word": "release",
        "two words": "deploy release",
        "prefix": "rel",
        "one letter": "r",
        "phrase": '"before the release"',
        "absent word": "xylophone",
        "page 40": "release",
    }
    print(f"{'query':<14}{'who':<10}{'hits':>6}{'median ms':>11}{'longest ms':>12}")
    for name, words in queries.items():
        for who, actor in people.items():
            number = 40 if name == "page 40" else 1
            median, longest, page = timed(lambda: service.search(actor, text=words, number=number))  # noqa: B023
            print(f"{name:<14}{who:<10}{page.total:>6}{median:>11.1f}{longest:>12.1f}")


def main() -> None:
    """Run it."""
    url, number = sys.argv[1], int(sys.argv[2])
    settings = load_settings(
        "testing",
        environ={"TASKLANE_INSTANCE_PATH": tempfile.mkdtemp()},
        overrides={"database_url": url, "redis_url": "redis://127.0.0.1:1"},
    )
    with create_core_app(settings=settings).app_context():
        flask_migrate.upgrade()
        fill(number)
        if db.engine.dialect.name == "postgresql":
            with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("VACUUM ANALYZE tasks"))
        measure()
        db.engine.dispose()


if __name__ == "__main__":
    main()
