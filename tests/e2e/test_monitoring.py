"""A whole `serve` under watch: counters that outlive processes, and a log that machines read."""

import json
import os
import signal
import time
from pathlib import Path

from tests.support.prometheus import TOKEN, Samples, scrape
from tests.support.serving import Service, wait_for_end


def answered(found: Samples) -> float:
    labels = (("method", "GET"), ("route", "/api/v1/auth/me"), ("status", "200"))
    return found.get(("tasklane_http_requests_total", labels), 0)


def scrape_when_all_serve(service: Service, processes: int) -> Samples:
    """Ask until so many processes are there: `serve` answers as soon as one of them is."""
    until = time.monotonic() + 60
    while (found := scrape(service))["tasklane_web_processes", ()] != processes:
        assert time.monotonic() < until, service.log.read_text()
        time.sleep(0.05)
    return found


def test_counters_are_those_of_all_processes_and_outlive_each(tmp_path: Path) -> None:
    service = Service(
        tmp_path,
        *("--processes", "2"),
        TASKLANE_METRICS__ENABLED="true",
        TASKLANE_METRICS__TOKEN=TOKEN,
        TASKLANE_LOG_FORMAT="json",
    )
    service.prepare().start().log_in()
    try:
        for _ in range(20):
            assert service.call("GET", "/auth/me")[0] == 200
        before = scrape_when_all_serve(service, 2)
        assert answered(before) == 20

        first = service.children()
        victim = min(first)
        os.kill(victim, signal.SIGKILL)
        service.wait_for_children(2, without={victim})
        service.process.send_signal(signal.SIGHUP)  # type: ignore[union-attr]
        service.wait_for_line("All processes have been replaced")
        assert service.call("GET", "/auth/me")[0] == 200
        after = scrape(service)
        assert answered(after) == 21
        assert after["tasklane_web_processes", ()] == 2
        assert after["tasklane_http_requests_in_progress", ()] == 1
        # What dead processes have left is used again, so there are never more files than processes at once.
        (family,) = (tmp_path / "instance" / "metrics").iterdir()
        assert len(list(family.glob("counter_*.db"))) <= 4
    finally:
        children = service.parent.children()
        service.stop(signal.SIGKILL)
    # Also without the one that watched them they tidy up behind themselves.
    assert wait_for_end(children) == []
    assert list((tmp_path / "instance" / "metrics").iterdir()) == []
    lines = [json.loads(line) for line in service.log.read_text().splitlines()]
    asked = [line for line in lines if line.get("route") == "/api/v1/auth/me"]
    assert len(asked) == 21
    assert {line["user_id"] for line in asked} == {1}
    assert len({line["request_id"] for line in asked}) == 21
    assert TOKEN not in service.log.read_text()
