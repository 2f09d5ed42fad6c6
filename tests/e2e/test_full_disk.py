"""A service whose instance folder is on a disk that is full: it serves, and counts on when there is room again."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.disks import Disk, small_disk
from tests.support.engines import on_postgresql, on_sqlite
from tests.support.prometheus import TOKEN, scrape
from tests.support.serving import Service


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with small_disk(tmp_path / "disk", megabytes=4) as disk:
        yield disk


@pytest.fixture
def service(disk: Disk, tmp_path: Path, new_database_url: Callable[[], str], engine_name: str) -> Iterator[Service]:
    """With everything on the disk that is written at all: the log, the metrics and, if it is a file, the database."""
    instance = disk.folder / "instance"
    service = Service(
        tmp_path,
        *("--processes", "2"),
        is_forked=True,
        TASKLANE_INSTANCE_PATH=str(instance),
        TEST_DATABASE_URL=f"sqlite:///{instance / 'own.db'}" if engine_name == "sqlite" else new_database_url(),
        TASKLANE_METRICS__ENABLED="true",
        TASKLANE_METRICS__TOKEN=TOKEN,
        TASKLANE_LOG__FILE="service.log",
    )
    service.prepare()
    yield service
    if service.process is not None:
        service.stop()


def counted(service: Service, method: str, route: str, status: int) -> float:
    labels = (("method", method), ("route", f"/api/v1{route}"), ("status", str(status)))
    return scrape(service).get(("tasklane_http_requests_total", labels), 0)


def work(service: Service, rounds: int = 6) -> dict[str, set[int]]:
    """Read and write by many routes, so that there are series that nobody has counted before."""
    seen: dict[str, set[int]] = {"reads": set(), "writes": set(), "refusals": set()}
    for _ in range(rounds):
        for path in ("/auth/me", "/tasks", "/projects", "/items", "/posts", "/jobs", "/search?q=plants", "/health"):
            seen["reads"].add(service.call("GET", path)[0])
        seen["writes"].add(service.call("POST", "/tasks", {"title": "Water", "description": "x" * 9000})[0])
        seen["writes"].add(service.call("POST", "/posts", {"title": "News", "content": "x" * 9000})[0])
        seen["refusals"].add(service.call("GET", "/tasks/999999")[0])
    return seen


def work_until_counted(service: Service, before: float) -> dict[str, set[int]]:
    """Work until all is counted, which a process does again at a request a second after the disk has refused."""
    done, until = 12, time.monotonic() + 20
    seen = work(service, rounds=done)
    while counted(service, "GET", "/auth/me", 200) < before + done:
        assert time.monotonic() < until
        work(service, rounds=1)
        done += 1
    return seen


@on_sqlite
def test_a_full_disk_costs_no_process_and_no_read(service: Service, disk: Disk) -> None:
    service.start().log_in()
    first = service.children()
    before = counted(service, "GET", "/auth/me", 200)
    disk.fill()
    seen = work(service)
    assert (seen["reads"], seen["refusals"]) == ({200}, {404})
    assert seen["writes"] <= {201, 503}
    scrape(service)
    assert service.children() == first

    # Who takes another's place meanwhile serves, too.
    os.kill(min(first), signal.SIGKILL)
    service.wait_for_children(2, without={min(first)})
    service.process.send_signal(signal.SIGHUP)  # type: ignore[union-attr]
    service.wait_for_line("All processes have been replaced")
    replaced = service.children()
    assert not replaced & first
    seen = work(service)
    assert (seen["reads"], seen["refusals"]) == ({200}, {404})

    disk.make_room()
    assert work_until_counted(service, before)["writes"] == {201}
    assert service.children() == replaced
    assert counted(service, "POST", "/tasks", 201) >= 12
    assert scrape(service)["tasklane_web_processes", ()] == 2
    service.stop()
    assert list((disk.folder / "instance" / "metrics").iterdir()) == []
    assert "Logging error" not in service.log.read_text()


@on_postgresql
def test_it_starts_on_a_full_disk_and_counts_as_soon_as_there_is_room(service: Service, disk: Disk) -> None:
    disk.fill()
    service.start().log_in()
    assert work(service) == {"reads": {200}, "writes": {201}, "refusals": {404}}
    scrape(service)
    disk.make_room()
    family = service.children()
    work_until_counted(service, 0)
    assert service.children() == family
