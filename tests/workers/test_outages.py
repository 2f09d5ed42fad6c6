"""Real worker and scheduler processes whose Redis goes away, and a host that can run neither all the time."""

from collections.abc import Callable

from flask import Flask

from tests.support.engines import on_postgresql
from tests.support.people import Person
from tests.support.processes import PATIENCE, job_of, log_of, process, process_task, wait_for
from tests.support.servers import RedisServer


@on_postgresql
def test_work_goes_on_after_redis_was_killed_and_came_back_empty(
    remake_app: Callable[..., Flask], ada: Person, own_redis_server: RedisServer
) -> None:
    app = remake_app(redis_url=own_redis_server.url)
    person = ada.at(app)
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
    person = ada.at(app)
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
    person = ada.at(app)
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
def test_a_host_with_cron_only_can_run_the_scheduler_now_and_then(app: Flask, ada: Person) -> None:
    _, job_id = process_task(ada)
    with process(app, "scheduler", "--once") as scheduler:
        assert scheduler.wait(PATIENCE) == 0
    with process(app, "worker", "--burst") as worker:
        assert worker.wait(PATIENCE) == 0
    assert job_of(ada, job_id)["state"] == "succeeded"
