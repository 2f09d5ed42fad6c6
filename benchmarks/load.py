"""A cheap client in a process of its own: some connections that are kept, each asking again when it has its answer.

`benchmarks/compare.py` starts it. It takes a job as JSON from standard input, writes a line when it has warmed up,
measures, and writes what it found. An answer of another status or length is an error.
"""

import json
import selectors
import socket
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

END_OF_HEAD = b"\r\n\r\n"
WARM = "warm\n"


@dataclass(slots=True)
class Job:
    """Requests to one port.

    `%(n)08d` in them is the number of the request, `%(k)d` one of `many` numbers from `first` on, `step` apart.
    """

    port: int
    request: str
    status: int
    shortest: int
    longest: int
    seconds: float
    warm_up: float
    connections: int
    first: int = 1
    step: int = 1
    many: int = 1


@dataclass(slots=True)
class Found:
    """Number of the answers within the time, and milliseconds that half and 99 of 100 of them took at most."""

    requests: int = 0
    seconds: float = 0.0
    p50: float = 0.0
    p99: float = 0.0
    errors: dict[str, int] = field(default_factory=dict)


class Connection:
    """One connection, and what has come of its answer."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.data = b""
        self.began = 0.0

    def ask(self, request: bytes) -> None:
        """Send a request."""
        self.data = b""
        self.began = time.perf_counter()
        self.socket.sendall(request)

    def answer(self) -> tuple[int, int] | None:
        """Read what has come; return status and length of the body when the answer is whole."""
        came = self.socket.recv(65536)
        if not came:
            raise ConnectionError("The server has closed a connection.")
        self.data = self.data + came if self.data else came
        end = self.data.find(END_OF_HEAD)
        if end < 0:
            return None
        head = self.data[:end].lower()
        status = int(head[9:12])
        length = 0
        if status != 304:
            place = head.index(b"content-length:") + 15
            length = int(head[place:].partition(b"\r")[0])
        return (status, length) if len(self.data) >= end + 4 + length else None


def run(job: Job) -> Found:
    """Keep all connections busy until the time is over."""
    waiting = selectors.DefaultSelector()
    template = job.request.encode("latin-1")
    number = 0

    def ask(connection: Connection) -> None:
        nonlocal number
        number += 1
        connection.ask(template % {b"n": number, b"k": job.first + job.step * (number % job.many)})

    for _ in range(job.connections):
        connection = Connection(job.port)
        waiting.register(connection.socket, selectors.EVENT_READ, connection)
        ask(connection)
    errors: Counter[str] = Counter()
    times: list[float] = []
    start, is_warm = time.perf_counter(), False
    until = start + job.warm_up
    while True:
        for key, _ in waiting.select():
            connection = key.data
            answer = connection.answer()
            if answer is None:
                continue
            times.append(time.perf_counter() - connection.began)
            status, length = answer
            if status != job.status or not job.shortest <= length <= job.longest:
                errors[f"{status} with {length} bytes"] += 1
            ask(connection)
        if (now := time.perf_counter()) < until:
            continue
        if is_warm:
            break
        # What went wrong while it warmed up went wrong, too.
        print(WARM, end="", flush=True)
        is_warm, times = True, []
        start = time.perf_counter()
        until = start + job.seconds
    times.sort()
    p50, p99 = (1000 * times[int(len(times) * part)] for part in (0.5, 0.99))
    return Found(len(times), now - start, p50, p99, dict(errors))


def main() -> None:
    """Do the job of standard input."""
    given: dict[str, Any] = json.loads(sys.stdin.read())
    print(json.dumps(asdict(run(Job(**given)))), flush=True)


if __name__ == "__main__":
    main()
