"""Measure what Tasklane takes of a machine: `python benchmarks/memory.py`.

The memory of a web process and of those in the background, after their start and after many requests of all kinds;
what an idle `manage.py dev` costs, and how soon it is ready. Memory is that which a process has to itself and shares
(RSS): what the tools of the system show.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

# A script's own folder is on the path, not the one above it.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import click
import psutil

from benchmarks.compare import KINDS, ask_for, busy
from benchmarks.contestants import Tasklane
from tests.faults.report import table
from tests.support.servers import RedisServer
from tests.support.serving import Program

SLICE_SECONDS = 2.0
READY = "Swagger UI: "


def megabytes(processes: list[psutil.Process]) -> list[int]:
    """Return the memory of each, the largest first."""
    return sorted((process.memory_info().rss >> 20 for process in processes), reverse=True)


def serving(requests: int) -> list[tuple[str, str]]:
    """Return the memory of each process after its start, and after so many requests."""
    with tempfile.TemporaryDirectory(prefix="tl-memory-") as folder, RedisServer() as redis:
        tasklane = Tasklane(Path(folder), redis, f"sqlite:///{folder}/tasklane.db")
        tasklane.prepare()
        try:
            tasklane.service.arguments = ("--processes", "1")
            tasklane.service.start()
            tasklane.start_workers()
            time.sleep(10)
            found = [("web process after its start", tasklane.serving()), ("background", tasklane.workers())]
            rows = [(name, f"{megabytes(processes)} MB") for name, processes in found]
            tasklane.port = tasklane.service.port
            tasklane.log_in()
            done, turn = 0, 0
            while done < requests:
                answered = ask_for(tasklane, KINDS[turn % len(KINDS)], seconds=SLICE_SECONDS, connections=8)
                if answered.errors:
                    raise RuntimeError(f"{KINDS[turn % len(KINDS)].name}: {answered.errors}")
                done += answered.requests
                turn += 1
            found = [(f"web process after {done} requests", tasklane.serving()), ("background", tasklane.workers())]
            return rows + [(name, f"{megabytes(processes)} MB") for name, processes in found]
        finally:
            tasklane.stop()


def developing(seconds: float) -> list[tuple[str, str]]:
    """Return how soon `manage.py dev` is ready, and what it takes while nobody asks it anything."""
    with tempfile.TemporaryDirectory(prefix="tl-memory-") as folder:
        rows = []
        for start in ("first", "second"):
            dev = Program(Path(folder) / "dev.log", "dev")
            dev.environ |= {"TASKLANE_INSTANCE_PATH": str(Path(folder) / "instance"), "HOME": os.environ["HOME"]}
            began = time.monotonic()
            dev.launch()
            dev.wait_for_line(READY)
            rows.append((f"dev, {start} start: ready after", f"{time.monotonic() - began:.1f} s"))
            if start == "second":
                time.sleep(5)
                used, since = busy(dev.family()), time.monotonic()
                time.sleep(seconds)
                share = (busy(dev.family()) - used) / (time.monotonic() - since)
                rows.append(("dev, idle", f"{100 * share:.1f} % of a core, {sum(megabytes(dev.family()))} MB"))
            dev.stop()
        return rows


@click.command()
@click.option("--requests", default=100_000, show_default=True)
@click.option("--idle-seconds", default=30.0, show_default=True)
def main(requests: int, idle_seconds: float) -> None:
    """Measure what Tasklane takes of a machine."""
    print(table([*developing(idle_seconds), *serving(requests)]))
    print(f"{os.cpu_count()} cores, load of the machine {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
