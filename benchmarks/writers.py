"""Measure many writers at once on SQLite, which has one: `python benchmarks/writers.py`.

Each asks again when it has its answer. Those who are unlucky shall not wait much longer than the others, and nobody
shall be refused.
"""

import os
import statistics
import sys
import tempfile
from pathlib import Path

# A script's own folder is on the path, not the one above it.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import click

from benchmarks.compare import KINDS, ask_for
from benchmarks.contestants import Tasklane
from tests.support.servers import RedisServer

CREATE = next(kind for kind in KINDS if kind.name == "create")


@click.command()
@click.option("--writers", default=16, show_default=True)
@click.option("--processes", type=int, multiple=True, default=[1, 2], show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--seconds", default=5.0, show_default=True, help="Of each round.")
def main(writers: int, processes: tuple[int, ...], rounds: int, seconds: float) -> None:
    """Measure many writers at once on SQLite."""
    with tempfile.TemporaryDirectory(prefix="tl-writers-") as folder, RedisServer() as redis:
        tasklane = Tasklane(Path(folder), redis, f"sqlite:///{folder}/tasklane.db")
        tasklane.prepare()
        for number in processes:
            found = []
            for _ in range(rounds):
                tasklane.start(number)
                try:
                    found.append(ask_for(tasklane, CREATE, connections=writers, seconds=seconds, warm_up=1))
                finally:
                    tasklane.stop()
            p50, p99 = (statistics.median(getattr(each, name) for each in found) for name in ("p50", "p99"))
            rate = statistics.median(each.requests / each.seconds for each in found)
            refused = sum(sum(each.errors.values()) for each in found)
            print(f"{writers} writers, web processes: {number}, medians of {rounds} rounds of {seconds:g} s: ", end="")
            print(f"{rate:.0f} creates/s, p50 {p50:.1f} ms, p99 {p99:.1f} ms ({p99 / p50:.1f} times), ", end="")
            print(f"refused: {refused} of {sum(each.requests for each in found)}")
    print(f"{os.cpu_count()} cores, load of the machine {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
