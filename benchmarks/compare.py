"""Measure Tasklane beside a FastAPI service and a bare Flask route, by turns: `python benchmarks/compare.py`.

First, once:

    python -m venv /tmp/peer
    /tmp/peer/bin/pip install -r benchmarks/peer/requirements.txt

The peer has the same people, projects and tasks, gives the same pages and commits as durably, but has neither limits
nor sessions, log or metrics, which are on in Tasklane. Everything is started anew in each round. CPU is that of all
processes of a service, Valkey included; the server of PostgreSQL is shown beside it. Figures compare within one run.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

# A script's own folder is on the path, not the one above it.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import click
import psutil

from benchmarks.contestants import Bare, Contestant, Peer, Tasklane
from benchmarks.load import WARM, Found, Job
from benchmarks.peer.tables import PEOPLE, READER, WRITER
from tests.support.servers import PostgresServer, RedisServer

LOAD = Path(__file__).resolve().parent / "load.py"
DRAINING = "create, worker draining"
# The reader's, and the writer's, which are as far apart as there are people.
ONE, FIRST, MANY = 1000, 1, 400


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of request. `goal`: the peer's CPU must be so many times ours."""

    name: str
    method: str
    path: str
    goal: float
    status: int = 200
    body: str = ""
    is_conditional: bool = False
    tolerance: int = 0  # bytes by which answers differ


TITLE = '{"title": "Measured %(n)08d", "description": "As long as people write it."}'
KINDS = (
    Kind("read one", "GET", f"/tasks/{ONE}", 4),
    Kind("read one, 304", "GET", f"/tasks/{ONE}", 4, status=304, is_conditional=True),
    Kind("list, seen before", "GET", "/tasks?per_page=20", 6),
    # Each asks for something else, and so finds nothing that is kept; the page is the same.
    Kind("list, made anew", "GET", "/tasks?per_page=20&created_at[gte]=2020-01-01T00:00:00.%(n)06dZ", 1.5),
    Kind("create", "POST", "/tasks", 1.5, status=201, body=TITLE, tolerance=4),
    Kind("patch", "PATCH", "/tasks/%(k)d", 1.5, body=TITLE, tolerance=8),
    Kind(DRAINING, "POST", "/tasks", 1.5, status=201, body=TITLE, tolerance=4),
)


@dataclass(slots=True)
class Measured:
    """Figures of one kind in one round: per second, and milliseconds of processor time or of waiting per request."""

    cpu: float
    server: float
    workers: float
    rate: float
    p50: float
    p99: float


def busy(processes: Sequence[psutil.Process]) -> float:
    """Return the seconds of processor time that these and those of their children that are gone have used."""
    total = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def request_of(contestant: Contestant, kind: Kind, tag: str) -> str:
    """Return the bytes to send, as a template of `benchmarks/load.py`."""
    token = contestant.tokens[READER if kind.method == "GET" else WRITER]
    lines = [f"{kind.method} /api/v1{kind.path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {token}"]
    if kind.is_conditional:
        lines.append(f"If-None-Match: {tag}")
    if kind.body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(kind.body % {'n': 1})}"]
    return "\r\n".join([*lines, "", kind.body])


def look(contestant: Contestant, kind: Kind) -> tuple[bytes, str]:
    """Ask once for what is measured; return the body, which must be right, and the tag."""
    client = HTTPConnection("127.0.0.1", contestant.port, timeout=30)
    token = contestant.tokens[READER if kind.method == "GET" else WRITER]
    headers = {"Authorization": f"Bearer {token}", **({"Content-Type": "application/json"} if kind.body else {})}
    path = kind.path % {"n": 999_999, "k": FIRST}
    client.request(kind.method, f"/api/v1{path}", kind.body % {"n": 1} or None, headers)
    answer = client.getresponse()
    body = answer.read()
    client.close()
    wanted = 200 if kind.is_conditional else kind.status
    if answer.status != wanted:
        raise RuntimeError(f"{contestant.name}, {kind.name}: {answer.status} {body[:500]!r}")
    data = json.loads(body)["data"]
    if "list" in kind.name and len(data) != 20:
        raise RuntimeError(f"{contestant.name}, {kind.name}: {len(data)} tasks")
    return body, answer.getheader("ETag", "")


def job_of(contestant: Contestant, kind: Kind, *, connections: int, seconds: float, warm_up: float) -> Job:
    """Return what the client has to do, after one request of its kind was answered as it should be."""
    body, tag = look(contestant, kind)
    size = 0 if kind.status == 304 else len(body)
    return Job(
        contestant.port,
        request_of(contestant, kind, tag),
        kind.status,
        size - kind.tolerance,
        size + kind.tolerance,
        seconds,
        warm_up,
        connections,
        FIRST,
        PEOPLE,
        MANY,
    )


def ask_for(contestant: Contestant, kind: Kind, *, connections: int, seconds: float, warm_up: float = 0) -> Found:
    """Ask for one kind of request as often as is answered in this time; return what was found."""
    job = job_of(contestant, kind, connections=connections, seconds=seconds, warm_up=warm_up)
    done = subprocess.run(
        [sys.executable, str(LOAD)], input=json.dumps(asdict(job)), capture_output=True, text=True, check=True
    )
    return Found(**json.loads(done.stdout.splitlines()[-1]))


def measure(
    contestant: Contestant, processes: int, kind: Kind, options: dict[str, Any], postgres: psutil.Process | None
) -> Measured:
    """Measure one kind of request."""
    job = job_of(
        contestant,
        kind,
        connections=options["connections"] * processes,
        seconds=options["seconds"],
        warm_up=options["warm_up"],
    )
    server = [postgres, *postgres.children(recursive=True)] if postgres else []
    workers = contestant.workers() if isinstance(contestant, Tasklane) else []
    command = [sys.executable, str(LOAD)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        if client.stdin is None or client.stdout is None:
            raise RuntimeError("Both are pipes.")
        client.stdin.write(json.dumps(asdict(job)))
        client.stdin.close()
        if client.stdout.readline() != WARM:
            raise RuntimeError(f"{contestant.name}, {kind.name}: the client ended while it warmed up")
        groups = (contestant.family(), server, workers)
        before = [busy(group) for group in groups]
        found = Found(**json.loads(client.stdout.readline()))
        used = [1000 * (busy(group) - start) / found.requests for group, start in zip(groups, before, strict=True)]
    if found.errors:
        raise RuntimeError(f"{contestant.name}, {kind.name}: {found.errors}")
    return Measured(*used, found.requests / found.seconds, found.p50, found.p99)


Figures = dict[tuple[str, str], list[Measured]]


def play(
    contestant: Contestant, processes: int, kinds: Sequence[Kind], figures: Figures, options: Any, postgres: Any
) -> None:
    """Start one, measure every kind, and stop it."""
    contestant.start(processes)
    try:
        contestant.pin(pinned=options["pinned"])
        for kind in kinds:
            if kind.name == DRAINING and isinstance(contestant, Tasklane):
                contestant.start_workers()
            figures.setdefault((kind.name, contestant.name), []).append(
                measure(contestant, processes, kind, options, postgres)
            )
    finally:
        contestant.stop()


def median(values: Sequence[Measured]) -> Measured:
    """Return the median of each figure."""
    return Measured(*(statistics.median(column) for column in zip(*(asdict(v).values() for v in values), strict=True)))


def show(figures: Figures, kinds: Sequence[Kind]) -> None:
    """Print the medians of all rounds, and how many times the processor time of ours the peer takes."""
    head = ("", "", "CPU ms", "PG ms", "worker ms", "req/s", "p50 ms", "p99 ms", "peer : ours", "goal")
    row = "{:<24} {:<10} {:>7} {:>6} {:>9} {:>7} {:>7} {:>7} {:>11} {:>7}".format
    print(row(*head))
    for kind in kinds:
        medians = {name: median(found) for (of, name), found in figures.items() if of == kind.name}
        for name, m in medians.items():
            cells = [f"{m.cpu:.2f}", f"{m.server:.2f}" if m.server else "-", f"{m.workers:.2f}" if m.workers else "-"]
            cells += [f"{m.rate:.0f}", f"{m.p50:.1f}", f"{m.p99:.1f}"]
            if name == "Tasklane" and "peer" in medians:
                cells += [f"{medians['peer'].cpu / m.cpu:.2f}", f">= {kind.goal}"]
            elif name == "bare Flask" and "Tasklane" in medians:
                cells += [f"x {medians['Tasklane'].cpu / m.cpu:.2f}", "<= 1.5"]
            print(row(kind.name, name, *[*cells, "", ""][:8]))


@click.command()
@click.option("--peer", default="/tmp/peer/bin/python", show_default=True, help="Python that has the peer's packages.")  # noqa: S108
@click.option("--engine", "engines", type=click.Choice(["sqlite", "postgresql"]), multiple=True, help="Default: both.")
@click.option("--processes", type=int, multiple=True, default=[1, 2], show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--seconds", default=3.0, show_default=True, help="Of each measurement.")
@click.option("--warm-up", default=1.0, show_default=True, help="Seconds before it.")
@click.option("--connections", default=8, show_default=True, help="For each web process.")
@click.option("--pinned/--unpinned", default=True, show_default=True, help="A core for each web process, or any.")
@click.option("--plain", is_flag=True, help="The peer without uvloop and httptools.")
@click.option("--kind", "names", type=click.Choice([kind.name for kind in KINDS]), multiple=True, help="Default: all.")
def main(
    peer: str, engines: Sequence[str], processes: Sequence[int], rounds: int, names: Sequence[str], **options: Any
) -> None:
    """Measure Tasklane beside a FastAPI service and a bare Flask route."""
    if not Path(peer).exists():
        raise click.ClickException(f"There is no {peer}; the beginning of this file says how to make it.")
    kinds = [kind for kind in KINDS if not names or kind.name in names]
    for engine in engines or ("sqlite", "postgresql"):
        with ExitStack() as stack:
            compare(engine, peer, processes, rounds, kinds, options, stack)


def compare(
    engine: str,
    peer: str,
    processes: Sequence[int],
    rounds: int,
    kinds: Sequence[Kind],
    options: dict[str, Any],
    stack: ExitStack,
) -> None:
    """Measure all of them on one engine, and print what was found."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tl-compare-")))
    redis = stack.enter_context(RedisServer())
    urls = [f"sqlite:///{folder / name}.db" for name in ("tasklane", "peer")]
    postgres = None
    if engine == "postgresql":
        cluster = PostgresServer(is_durable=True)
        stack.callback(cluster.stop)
        urls = [cluster.create_database() for _ in urls]
        postgres = psutil.Process(cluster.pid)
    tasklane, other, bare = (
        Tasklane(folder, redis, urls[0]),
        Peer(peer, urls[1], is_plain=options["plain"]),
        Bare(folder),
    )
    tasklane.prepare()
    other.prepare()
    tasklane.start(1)
    bare.body.write_bytes(look(tasklane, KINDS[0])[0])
    tasklane.stop()
    load: list[float] = []
    for number in processes:
        figures: Figures = {}
        for turn in range(rounds):
            # Whatever the machine does meanwhile, it is not always the same one that meets it.
            for contestant in (tasklane, other, bare) if turn % 2 == 0 else (bare, other, tasklane):
                if contestant is not bare:
                    play(contestant, number, kinds, figures, options, postgres)
                elif number == 1 and KINDS[0] in kinds:
                    play(bare, number, KINDS[:1], figures, options, postgres)
            load.append(os.getloadavg()[0])
        where = "a core for each" if options["pinned"] else "on any core"
        print(
            f"\n{engine}, web processes: {number} ({where}), connections: {options['connections'] * number}, ", end=""
        )
        print(f"medians of {rounds} rounds of {options['seconds']:g} s, {os.cpu_count()} cores, ", end="")
        print(f"load of the machine {min(load):.1f} to {max(load):.1f}")
        show(figures, kinds)


if __name__ == "__main__":
    main()
