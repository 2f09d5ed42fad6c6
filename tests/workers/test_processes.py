"""Real worker and scheduler processes, on a real Redis-protocol server and both databases."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import psutil
import pytest
from flask import Flask

from core.platform.config.load import ROOT
from tests.support.engines import on_postgresql
from tests.support.people import Person
from tests.support.processes import PATIENCE, children_of, job_of, kill_tree, log_of, process, wait_for
from tests.support.servers import RedisServer
from workers.worker import KILLED


def process_task(person: Person, **fields: Any) -> tuple[int, str]:
    task = person.create_task(**fields)
    return task["id"], person.post(f"/tasks/{task['id']}/process").get_json()["data"]["job_id"]


def test_a_real_worker_processes_a_task_in_visible_steps(app: Flask, ada: Person) -> None:
    task_id, job_id = process_task(ada, description="Before")
    seen = set()
    with process(app, "scheduler"), process(app, "worker", TASKLANE_PROCESSING__STEP_SECONDS="0.1"):

        def look() -> Any:
            job = job_of(ada, job_id)
            seen.add((job["state"], job["progress"]))
            return job

        job = wait_for(look, lambda job: job["state"] == "succeeded")
        wait_for(lambda: ada.get("/health/ready").get_json()["queue_depth"], lambda depth: depth == {})
        assert ada.get("/health/ready").get_json()["workers"] == 1
    assert job["attempts"] == 1
    assert ("queued", 0) in seen
    assert len([state for state in seen if state[0] == "started"]) >= 3
    task = ada.get(f"/tasks/{task_id}").get_json()["data"]
    assert (task["description"], task["status"]) == ("Before [Processed]", "completed")


def test_a_worker_that_is_killed_in_the_middle_costs_time_and_nothing_else(app: Flask, ada: Person) -> None:
    task_id, job_id = process_task(ada, description="Before")
    settings = {"TASKLANE_PROCESSING__STEP_SECONDS": "0.2", "TASKLANE_JOBS__LEASE_SECONDS": "1.5"}
    with process(app, "scheduler", **settings):
        with process(app, "worker", **settings) as first:
            wait_for(lambda: job_of(ada, job_id), lambda job: job["progress"] >= 20)
            kill_tree(first)
            first.returncode = 0
        with process(app, "worker", **settings):
            job = wait_for(lambda: job_of(ada, job_id), lambda job: job["state"] == "succeeded")
    assert job["attempts"] == 2
    assert ada.get(f"/tasks/{task_id}").get_json()["data"]["description"] == "Before [Processed]"


@on_postgresql
def test_a_stopping_worker_lets_a_short_job_finish_and_ignores_a_second_signal(app: Flask, ada: Person) -> None:
    _, job_id = process_task(ada)
    with process(app, "scheduler"), process(app, "worker", TASKLANE_PROCESSING__STEP_SECONDS="0.3") as worker:
        wait_for(lambda: job_of(ada, job_id), lambda job: job["progress"] >= 20)
        worker.terminate()
        time.sleep(0.2)
        worker.terminate()
        assert worker.wait(PATIENCE) == 0
        assert job_of(ada, job_id)["state"] == "succeeded"


@on_postgresql
def test_a_stopping_worker_hands_a_long_job_back_and_another_finishes_it(app: Flask, ada: Person) -> None:
    task_id, job_id = process_task(ada, description="Before")
    slow = {"TASKLANE_PROCESSING__STEP_SECONDS": "30", "TASKLANE_JOBS__SHUTDOWN_GRACE_SECONDS": "0.3"}
    with process(app, "scheduler"):
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
def test_work_goes_on_after_redis_was_killed_and_came_back_empty(
    remake_app: Callable[..., Flask], ada: Person, own_redis_server: RedisServer
) -> None:
    app = remake_app(redis_url=own_redis_server.url)
    person = Person(app, "ada", ada.user_id, ada.role, ada.tokens)
    short = {"TASKLANE_JOBS__LEASE_SECONDS": "1"}
    with process(app, "scheduler", **short):
        process_task(person)
        wait_for(lambda: own_redis_server.client.llen("rq:queue:default"), lambda length: length == 1)
        own_redis_server.kill()
        own_redis_server.forget()
        _, job_id = process_task(person)
        own_redis_server.start()
        with process(app, "worker", **short):
            wait_for(lambda: job_of(person, job_id), lambda job: job["state"] == "succeeded")
            wait_for(lambda: person.get("/health/ready").get_json()["queue_depth"], lambda depth: depth == {})


@on_postgresql
def test_a_worker_outlives_redis_and_so_does_its_job(
    remake_app: Callable[..., Flask], ada: Person, own_redis_server: RedisServer
) -> None:
    app = remake_app(redis_url=own_redis_server.url)
    person = Person(app, "ada", ada.user_id, ada.role, ada.tokens)
    settings = {"TASKLANE_PROCESSING__STEP_SECONDS": "0.3", "TASKLANE_JOBS__LEASE_SECONDS": "2"}
    with process(app, "scheduler", **settings), process(app, "worker", **settings) as worker:
        _, job_id = process_task(person)
        wait_for(lambda: job_of(person, job_id), lambda job: job["state"] == "started")
        own_redis_server.kill()
        own_redis_server.forget()
        _, next_id = process_task(person)
        job = wait_for(lambda: job_of(person, job_id), lambda job: job["state"] == "succeeded")
        assert job["attempts"] == 1
        own_redis_server.start()
        wait_for(lambda: job_of(person, next_id), lambda job: job["state"] == "succeeded")
        wait_for(lambda: person.get("/health/ready").get_json()["workers"], lambda count: count == 1)
        own_redis_server.client.flushall()
        _, last_id = process_task(person)
        wait_for(lambda: job_of(person, last_id), lambda job: job["state"] == "succeeded")
        assert person.get("/health/ready").get_json()["workers"] == 1
        assert worker.poll() is None


@on_postgresql
def test_a_worker_waits_for_a_redis_that_is_not_there_yet(
    remake_app: Callable[..., Flask], ada: Person, own_redis_server: RedisServer
) -> None:
    app = remake_app(redis_url=own_redis_server.url)
    person = Person(app, "ada", ada.user_id, ada.role, ada.tokens)
    log = log_of(app.extensions["tasklane"], "worker")
    own_redis_server.kill()
    with process(app, "scheduler"), process(app, "worker"):
        _, job_id = process_task(person)
        wait_for(log.read_text, lambda text: "Redis does not answer" in text)
        own_redis_server.start()
        wait_for(lambda: job_of(person, job_id), lambda job: job["state"] == "succeeded")
        own_redis_server.kill()
    # Both have left well, although nobody was there to say goodbye to.


@on_postgresql
def test_a_job_that_does_not_react_to_being_stopped_does_not_hold_up_its_worker(app: Flask, ada: Person) -> None:
    _, job_id = process_task(ada)
    slow = {"TASKLANE_PROCESSING__STEP_SECONDS": "30", "TASKLANE_JOBS__SHUTDOWN_GRACE_SECONDS": "0.3"}
    with process(app, "scheduler"), process(app, "worker", **slow) as worker:
        wait_for(lambda: job_of(ada, job_id), lambda job: job["state"] == "started")
        for child in children_of(worker.pid):
            child.suspend()
        worker.terminate()
        assert worker.wait(PATIENCE) == 0
        job = job_of(ada, job_id)
    assert (job["state"], job["attempts"], job["error"]) == ("retrying", 1, KILLED)


@on_postgresql
@pytest.mark.parametrize("arguments", [("worker", "--queues", "high,urgent"), ("worker", "--queues", "")])
def test_an_unknown_queue_is_refused(app: Flask, arguments: tuple[str, ...]) -> None:
    command = [sys.executable, str(ROOT / "manage.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "The queues are high, default, low." in done.stderr


@on_postgresql
def test_a_running_job_that_is_cancelled_stops_and_stores_nothing(app: Flask, ada: Person) -> None:
    task_id, job_id = process_task(ada, description="Before")
    _, next_id = process_task(ada)
    with process(app, "scheduler"), process(app, "worker", TASKLANE_PROCESSING__STEP_SECONDS="30") as worker:
        wait_for(lambda: job_of(ada, job_id), lambda job: job["state"] == "started")
        assert ada.delete(f"/jobs/{job_id}").status_code == 204
        # The worker is free for the next one long before the cancelled one would have been done.
        wait_for(lambda: job_of(ada, next_id), lambda job: job["state"] == "started", seconds=8)
        assert ada.delete(f"/jobs/{next_id}").status_code == 204
        assert worker.poll() is None
    assert job_of(ada, job_id)["state"] == "cancelled"
    task = ada.get(f"/tasks/{task_id}").get_json()["data"]
    assert (task["description"], task["status"]) == ("Before", "pending")


@on_postgresql
def test_the_job_of_a_killed_child_is_tried_again_without_waiting_for_its_lease(app: Flask, ada: Person) -> None:
    task_id, job_id = process_task(ada, description="Before")
    steps = {"TASKLANE_PROCESSING__STEP_SECONDS": "0.3", "TASKLANE_JOBS__LEASE_SECONDS": "60"}
    with process(app, "scheduler", **steps), process(app, "worker", **steps) as worker:
        wait_for(lambda: job_of(ada, job_id), lambda job: job["progress"] >= 20)
        for child in psutil.Process(worker.pid).children(recursive=True):
            child.kill()
        job = wait_for(lambda: job_of(ada, job_id), lambda job: job["state"] == "succeeded")
    assert job["attempts"] == 2
    assert ada.get(f"/tasks/{task_id}").get_json()["data"]["description"] == "Before [Processed]"


@on_postgresql
def test_several_processes_work_at_once_and_are_replaced_when_they_die(app: Flask, ada: Person) -> None:
    slow = {"TASKLANE_PROCESSING__STEP_SECONDS": "0.5"}
    first, second = process_task(ada), process_task(ada)
    with process(app, "scheduler"), process(app, "worker", "--concurrency", "2", **slow) as pool:
        wait_for(
            lambda: {job_of(ada, job_id)["state"] for _, job_id in (first, second)},
            lambda states: states == {"started"},
        )
        parent = psutil.Process(pool.pid)
        victim = parent.children()[0]
        victim.kill()
        wait_for(
            lambda: [child.pid for child in parent.children() if child.pid != victim.pid], lambda pids: len(pids) == 2
        )
        family = parent.children(recursive=True)
        for _, job_id in (first, second):
            wait_for(lambda job_id=job_id: job_of(ada, job_id), lambda job: job["progress"] >= 0)
    assert [child for child in family if child.is_running() and child.status() != "zombie"] == []


@on_postgresql
def test_a_pool_is_rolled_one_process_after_the_other(app: Flask, ada: Person) -> None:
    with process(app, "scheduler"), process(app, "worker", "--concurrency", "2") as pool:
        parent = psutil.Process(pool.pid)
        before = wait_for(lambda: {child.pid for child in parent.children()}, lambda pids: len(pids) == 2)
        wait_for(lambda: ada.get("/health/ready").get_json()["workers"], lambda count: count == 2)
        pool.send_signal(signal.SIGHUP)
        wait_for(lambda: {child.pid for child in parent.children()}, lambda pids: len(pids) == 2 and not pids & before)
        _, job_id = process_task(ada)
        wait_for(lambda: job_of(ada, job_id), lambda job: job["state"] == "succeeded")


@on_postgresql
def test_a_host_with_cron_only_can_run_the_scheduler_now_and_then(app: Flask, ada: Person) -> None:
    _, job_id = process_task(ada)
    with process(app, "scheduler", "--once") as scheduler:
        assert scheduler.wait(PATIENCE) == 0
    with process(app, "worker", "--burst") as worker:
        assert worker.wait(PATIENCE) == 0
    assert job_of(ada, job_id)["state"] == "succeeded"
