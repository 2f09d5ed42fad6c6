"""Real worker and scheduler processes, on a real Redis-protocol server and both databases."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from flask import Flask

from tests.support.commands import Operator
from tests.support.engines import on_postgresql
from tests.support.people import Person
from tests.support.processes import PATIENCE, children_of, job_of, kill_tree, process, process_task, wait_for
from workers.oversight import KILLED


@pytest.fixture(scope="module", autouse=True)
def _scheduler(application: Flask) -> Iterator[None]:
    """The scheduler of all tests here, which do nothing to it. It sends soon again what nobody has claimed."""
    with process(application, "scheduler", TASKLANE_JOBS__LEASE_SECONDS="1.5"):
        yield


def test_a_worker_processes_a_task_in_visible_steps_and_costs_only_time_when_it_is_killed(
    app: Flask, ada: Person
) -> None:
    settings = {"TASKLANE_PROCESSING__STEP_SECONDS": "0.2", "TASKLANE_JOBS__LEASE_SECONDS": "1.5"}
    task_id, job_id = process_task(ada, description="Before")
    seen = set()

    def look() -> Any:
        job = job_of(ada, job_id)
        seen.add((job["state"], job["progress"]))
        return job

    with process(app, "worker", **settings) as first:
        job = wait_for(look, lambda job: job["state"] == "succeeded")
        wait_for(lambda: ada.get("/health/ready").get_json()["queue_depth"], lambda depth: depth == {})
        assert ada.get("/health/ready").get_json()["workers"] == 1
        assert job["attempts"] == 1
        assert ("queued", 0) in seen
        assert len([state for state in seen if state[0] == "started"]) >= 3
        task = ada.get(f"/tasks/{task_id}").get_json()["data"]
        assert (task["description"], task["status"]) == ("Before [Processed]", "completed")

        task_id, job_id = process_task(ada, description="Before")
        wait_for(lambda: job_of(ada, job_id), lambda job: job["progress"] >= 20)
        kill_tree(first)
        first.returncode = 0
    with process(app, "worker", **settings):
        job = wait_for(lambda: job_of(ada, job_id), lambda job: job["state"] == "succeeded")
    assert job["attempts"] == 2
    assert ada.get(f"/tasks/{task_id}").get_json()["data"]["description"] == "Before [Processed]"


@on_postgresql
def test_a_worker_tries_the_job_of_a_killed_child_again_at_once_and_lets_a_short_job_finish_when_it_stops(
    app: Flask, ada: Person
) -> None:
    steps = {"TASKLANE_PROCESSING__STEP_SECONDS": "0.3", "TASKLANE_JOBS__LEASE_SECONDS": "60"}
    task_id, job_id = process_task(ada, description="Before")
    with process(app, "worker", **steps) as worker:
        wait_for(lambda: job_of(ada, job_id), lambda job: job["progress"] >= 20)
        for child in children_of(worker.pid):
            child.kill()
        # Nobody waits for its lease.
        job = wait_for(lambda: job_of(ada, job_id), lambda job: job["state"] == "succeeded", seconds=40)
        assert job["attempts"] == 2
        assert ada.get(f"/tasks/{task_id}").get_json()["data"]["description"] == "Before [Processed]"

        _, job_id = process_task(ada)
        wait_for(lambda: job_of(ada, job_id), lambda job: job["progress"] >= 20)
        worker.terminate()
        time.sleep(0.2)
        # A second signal changes nothing.
        worker.terminate()
        assert worker.wait(PATIENCE) == 0
        assert job_of(ada, job_id)["state"] == "succeeded"


@on_postgresql
def test_a_stopping_worker_hands_a_long_job_back_and_another_finishes_it(app: Flask, ada: Person) -> None:
    task_id, job_id = process_task(ada, description="Before")
    slow = {"TASKLANE_PROCESSING__STEP_SECONDS": "30", "TASKLANE_JOBS__SHUTDOWN_GRACE_SECONDS": "0.3"}
    with process(app, "worker", **slow) as worker:
        wait_for(lambda: job_of(ada, job_id), lambda job: job["state"] == "started")
        start = time.monotonic()
        worker.terminate()
        assert worker.wait(PATIENCE) == 0
        assert time.monotonic() - start < 25
    with process(app, "worker"):
        job = wait_for(lambda: job_of(ada, job_id), lambda job: job["state"] == "succeeded")
    assert (job["attempts"], job["max_attempts"]) == (2, 5)
    assert ada.get(f"/tasks/{task_id}").get_json()["data"]["description"] == "Before [Processed]"


@on_postgresql
def test_a_cancelled_job_frees_its_worker_and_one_that_does_not_react_does_not_hold_up_its_end(
    app: Flask, ada: Person
) -> None:
    task_id, job_id = process_task(ada, description="Before")
    _, next_id = process_task(ada)
    slow = {"TASKLANE_PROCESSING__STEP_SECONDS": "30", "TASKLANE_JOBS__SHUTDOWN_GRACE_SECONDS": "0.3"}
    with process(app, "worker", **slow) as worker:
        wait_for(lambda: job_of(ada, job_id), lambda job: job["state"] == "started")
        assert ada.delete(f"/jobs/{job_id}").status_code == 204
        # The worker is free for the next one long before the cancelled one would have been done.
        wait_for(lambda: job_of(ada, next_id), lambda job: job["state"] == "started", seconds=8)
        assert worker.poll() is None
        # The cancelled one has stored nothing.
        assert job_of(ada, job_id)["state"] == "cancelled"
        task = ada.get(f"/tasks/{task_id}").get_json()["data"]
        assert (task["description"], task["status"]) == ("Before", "pending")

        for child in children_of(worker.pid):
            child.suspend()
        worker.terminate()
        assert worker.wait(PATIENCE) == 0
        job = job_of(ada, next_id)
    assert (job["state"], job["attempts"], job["error"]) == ("retrying", 1, KILLED)


@pytest.mark.parametrize("names", ["high,urgent", ""])
@on_postgresql
def test_an_unknown_queue_is_refused(tmp_path: Path, names: str) -> None:
    done = Operator(tmp_path / "instance").run("worker", "--queues", names)
    assert done.returncode == 2
    assert "The queues are high, default, low." in done.stderr


@on_postgresql
def test_a_pool_replaces_what_dies_and_is_rolled_one_process_after_the_other(app: Flask, ada: Person) -> None:
    slow = {"TASKLANE_PROCESSING__STEP_SECONDS": "0.5"}
    first, second = process_task(ada), process_task(ada)
    with process(app, "worker", "--concurrency", "2", **slow) as pool:
        # Both at once.
        wait_for(
            lambda: {job_of(ada, job_id)["state"] for _, job_id in (first, second)},
            lambda states: states == {"started"},
        )
        parent = psutil.Process(pool.pid)
        victim = parent.children()[0]
        victim.kill()
        before = wait_for(
            lambda: {child.pid for child in parent.children() if child.pid != victim.pid}, lambda pids: len(pids) == 2
        )
        wait_for(lambda: ada.get("/health/ready").get_json()["workers"], lambda count: count >= 2)
        pool.send_signal(signal.SIGHUP)
        wait_for(lambda: {child.pid for child in parent.children()}, lambda pids: len(pids) == 2 and not pids & before)
        _, job_id = process_task(ada)
        wait_for(lambda: job_of(ada, job_id), lambda job: job["state"] == "succeeded")
        family = parent.children(recursive=True)
    assert [child for child in family if child.is_running() and child.status() != "zombie"] == []
