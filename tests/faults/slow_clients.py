"""Slow and silent clients beside ordinary ones: `python -m tests.faults.slow_clients`.

First 900 connections that send a header drop by drop, then 1,300 that send
nothing, which is more than one process takes.
"""

import argparse
import http.client
import os
import resource
import socket
import statistics
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

from tests.support.serving import Service


class Crowd:
    """Connections that are open and say little."""

    def __init__(self, service: Service, number: int, opening: bytes) -> None:
        self.sockets = []
        for _ in range(number):
            each = socket.create_connection(("127.0.0.1", service.port), timeout=10)
            each.sendall(opening)
            self.sockets.append(each)
        self._over = threading.Event()

    def dribble(self) -> None:
        """Send a byte on each of them every few seconds, until `close`."""

        def work() -> None:
            while not self._over.wait(3):
                for each in self.sockets:
                    with suppress(OSError):
                        each.sendall(b"x")

        threading.Thread(target=work, daemon=True).start()

    def close(self) -> None:
        self._over.set()
        for each in self.sockets:
            each.close()


def ask(service: Service, number: int) -> list[float]:
    """Return how many milliseconds each of so many requests took, each on a connection of its own."""
    times = []
    for _ in range(number):
        start = time.perf_counter()
        status, _ = service.call("GET", "/auth/me")
        times.append((time.perf_counter() - start) * 1000)
        assert status == 200
        time.sleep(0.005)
    return sorted(times)


def first_answer(service: Service, seconds: float) -> float | None:
    """Return after how many seconds somebody new is answered, or None."""
    start = time.monotonic()
    try:
        assert service.call("GET", "/health", timeout=seconds)[0] == 200
    except (OSError, http.client.HTTPException):
        return None
    return time.monotonic() - start


def main() -> int:
    """Run it; return 1 if the promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--slow", type=int, default=900)
    parser.add_argument("--idle", type=int, default=1300)
    parser.add_argument("--requests", type=int, default=500)
    options = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 8192), hard), hard))
    with tempfile.TemporaryDirectory() as folder:
        service = Service(Path(folder), "--processes", str(options.processes)).prepare().start().log_in()
        calm = ask(service, options.requests)
        children = service.children()

        slow = Crowd(service, options.slow, b"GET /health HTTP/1.1\r\nX-Slow: ")
        slow.dribble()
        beside = ask(service, options.requests)
        slow.close()

        idle = Crowd(service, options.idle, b"")
        waited = first_answer(service, 60)
        after = ask(service, 50) if waited is not None else []
        idle.close()
        alive = service.children() == children
        service.stop()
    for name, times in (("nobody else", calm), (f"{options.slow} slow headers", beside)):
        print(f"{name:<20} median {statistics.median(times):6.1f} ms   p99 {times[int(len(times) * 0.99)]:6.1f} ms")
    print(
        f"{options.idle} idle connections: the same processes live: {alive}; somebody new was answered after", end=" "
    )
    print("more than 60 s" if waited is None else f"{waited:.1f} s, then in {statistics.median(after):.1f} ms")
    print(f"{options.processes} processes on {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    return int(beside[int(len(beside) * 0.99)] > 100 or not alive or waited is None or waited > 35)


if __name__ == "__main__":
    sys.exit(main())
