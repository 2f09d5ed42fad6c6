"""Frame of every job: success, every way to fail, and the functions that may be called."""

import os
import signal
import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from datetime import timedelta
from types import FrameType
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from rq import Callback, Queue
from rq.exceptions import NoSuchJobError
from rq.serializers import JSONSerializer
from rq.timeouts import JobTimeoutException
from sqlalchemy import select, text, update

from core.jobs.model import Job, JobState
from core.platform import clock
from core.platform.database.base import db
from core.platform.database.session import transaction
from core.platform.errors import Invalid
from core.platform.logs import context as logs
from core.runs import lifecycle
from core.runs.run import Run
from core.tasks.model import Task
from tests.support.people import Person
from tests.support.servers import RedisServer
from workers import child, runner
from workers import relay as relay_module
from workers.jobs import processing
from workers.relay import MESSAGE_SECONDS, Relay
from workers.runner import Stopping, run_job
from workers.wakeup import ForeignMessage, WakeUp
from workers.watch import TAKEN, Watch, raise_taken
from workers.worker import TasklaneWorker


@pytest.fixture
def ordered(ada: Person) -> tuple[int, UUID]:
    """A task and the job that is to process it; no e-mails in between."""
    task = ada.create_task(description="Before")
    job_id = UUID(ada.post(f"/tasks/{task['id']}/process").get_json()["data"]["job_id"])
    with ada.app.app_context(), transaction() as session:
        session.execute(update(Job).where(Job.id != job_id).values(state=JobState.CANCELLED))
    return task["id"], job_id


def work(app: Flask, job_id: UUID, attempt: int = 0) -> Job:
    with app.app_context():
        run_job(str(job_id), attempt)
    with app.app_context():
        return db.session.get_one(Job, job_id)


def test_a_task_is_processed_once(app: Flask, ada: Person, ordered: tuple[int, UUID]) -> None:
    task_id, job_id = ordered
    assert work(app, job_id).state is JobState.SUCCEEDED
    assert work(app, job_id).state is JobState.SUCCEEDED
    task = ada.get(f"/tasks/{task_id}").get_json()["data"]
    assert (task["description"], task["status"]) == ("Before [Processed]", "completed")
    assert task["completed_at"] is not None


def test_a_task_that_was_completed_before_keeps_the_moment(
    app: Flask, ada: Person, ordered: tuple[int, UUID], at: Callable[[str], None]
) -> None:
    task_id, job_id = ordered
    done = ada.put(f"/tasks/{task_id}/status", {"status": "completed"}).get_json()["data"]
    at((clock.now() + timedelta(minutes=1)).isoformat())
    assert work(app, job_id).state is JobState.SUCCEEDED
    task = ada.get(f"/tasks/{task_id}").get_json()["data"]
    assert task["version"] > done["version"]
    assert task["completed_at"] == done["completed_at"]


def test_each_job_adds_its_own_mark(app: Flask, ada: Person, ordered: tuple[int, UUID]) -> None:
    task_id, job_id = ordered
    work(app, job_id)
    second = UUID(ada.post(f"/tasks/{task_id}/process").get_json()["data"]["job_id"])
    work(app, second)
    assert ada.get(f"/tasks/{task_id}").get_json()["data"]["description"] == "Before [Processed] [Processed]"


def test_a_task_without_a_description_gets_the_mark_alone(app: Flask, ada: Person) -> None:
    task_id = ada.create_task()["id"]
    work(app, UUID(ada.post(f"/tasks/{task_id}/process").get_json()["data"]["job_id"]))
    assert ada.get(f"/tasks/{task_id}").get_json()["data"]["description"] == " [Processed]"


def test_the_progress_moves_in_steps(app: Flask, ordered: tuple[int, UUID], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr(Run, "report", lambda self, progress: seen.append(progress))
    work(app, ordered[1])
    assert seen == [20, 40, 60, 80]


def test_a_task_that_is_gone_fails_the_job_for_good(app: Flask, ada: Person, ordered: tuple[int, UUID]) -> None:
    task_id, job_id = ordered
    ada.delete(f"/tasks/{task_id}")
    job = work(app, job_id)
    assert (job.state, job.error, job.attempts) == (JobState.FAILED, f"Task {task_id} no longer exists.", 1)


def test_a_task_that_vanishes_while_it_is_processed_fails_the_job(
    app: Flask, ada: Person, ordered: tuple[int, UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id, job_id = ordered
    monkeypatch.setattr(processing.time, "sleep", lambda seconds: ada.delete(f"/tasks/{task_id}"))
    assert work(app, job_id).error == f"Task {task_id} no longer exists."


def test_a_task_that_was_cancelled_meanwhile_stays_cancelled(
    app: Flask, ada: Person, ordered: tuple[int, UUID]
) -> None:
    task_id, job_id = ordered
    ada.put(f"/tasks/{task_id}/status", {"status": "cancelled"})
    assert work(app, job_id).error == f"Task {task_id} was cancelled."
    assert ada.get(f"/tasks/{task_id}").get_json()["data"]["status"] == "cancelled"


@pytest.mark.parametrize(
    ("raised", "error"),
    [
        (ValueError("canary"), "The job failed unexpectedly (ValueError)."),
        (Invalid("The title is too long."), "The title is too long."),
    ],
)
def test_an_error_is_recorded_without_its_internals_and_tried_again(
    app: Flask, ordered: tuple[int, UUID], monkeypatch: pytest.MonkeyPatch, raised: Exception, error: str
) -> None:
    def fail(seconds: float) -> None:
        raise raised

    monkeypatch.setattr(processing.time, "sleep", fail)
    job = work(app, ordered[1])
    assert (job.state, job.error, job.attempts) == (JobState.RETRYING, error, 1)
    monkeypatch.undo()
    assert work(app, ordered[1], attempt=1).state is JobState.SUCCEEDED


def test_a_worker_that_must_stop_hands_its_job_back(
    app: Flask, ordered: tuple[int, UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(seconds: float) -> None:
        raise Stopping

    monkeypatch.setattr(processing.time, "sleep", stop)
    job = work(app, ordered[1])
    assert (job.state, job.error) == (JobState.RETRYING, None)


def take_away(signum: int, frame: FrameType | None) -> None:
    assert Watch.current is not None
    Watch.current._taken = Watch.current.run
    raise_taken(signum, frame)


def raise_time_up(signum: int, frame: FrameType | None) -> None:
    runner.TimeLimit(600, JobTimeoutException).handle_death_penalty(signum, frame)


SLOW_STATEMENTS = {
    "postgresql": "SELECT pg_sleep(20)",
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000) SELECT max(i) FROM n",
}


@pytest.mark.parametrize("is_writing", [False, True])
@pytest.mark.parametrize(
    ("interrupt", "expected"),
    [
        (runner.raise_stopping, (JobState.RETRYING, None)),
        (raise_time_up, (JobState.RETRYING, "The job took longer than 600 s.")),
        (take_away, (JobState.STARTED, None)),
    ],
)
def test_an_interruption_in_the_middle_of_a_statement_is_recorded_at_once(
    app: Flask,
    ordered: tuple[int, UUID],
    monkeypatch: pytest.MonkeyPatch,
    interrupt: Any,
    expected: tuple[JobState, str | None],
    is_writing: bool,
) -> None:
    statement = text(SLOW_STATEMENTS[app.extensions["tasklane"].database_url.partition("+")[0].partition(":")[0]])

    def work_in_the_database(seconds: float) -> None:
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        if not is_writing:
            db.session.execute(statement)
        with transaction() as session:
            session.execute(update(Task).values(title="Half done"))
            session.execute(statement)

    monkeypatch.setattr(processing.time, "sleep", work_in_the_database)
    before = signal.signal(signal.SIGUSR1, interrupt)
    start = time.monotonic()
    try:
        job = work(app, ordered[1])
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert (job.state, job.error) == expected
    assert time.monotonic() - start < 10
    with app.app_context():
        assert db.session.get_one(Task, ordered[0]).title == "Water the plants"


def test_an_interruption_just_after_the_end_changes_nothing(
    app: Flask, ordered: tuple[int, UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = processing.process_task

    def stop_afterwards(run: Run, **payload: Any) -> None:
        real(run, **payload)
        raise Stopping

    monkeypatch.setattr(processing, "process_task", stop_afterwards)
    assert work(app, ordered[1]).state is JobState.SUCCEEDED


def test_a_run_that_lost_its_lease_ends_in_silence(
    app: Flask, ordered: tuple[int, UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    def take_away(seconds: float) -> None:
        with transaction() as session:
            session.execute(update(Job).values(lease_token="somebody else", state=JobState.STARTED))

    monkeypatch.setattr(processing.time, "sleep", take_away)
    assert work(app, ordered[1]).lease_token == "somebody else"


def test_a_long_job_keeps_its_lease(app: Flask, ordered: tuple[int, UUID], monkeypatch: pytest.MonkeyPatch) -> None:
    settings = app.extensions["tasklane"]
    monkeypatch.setattr(runner, "current_settings", lambda: _with_lease(settings, 0.3))
    extended: list[str] = []
    real = Run.extend
    monkeypatch.setattr(Run, "extend", lambda self: (extended.append(self.token), real(self)))
    slept = time.sleep
    monkeypatch.setattr(processing.time, "sleep", lambda seconds: slept(0.15))
    assert work(app, ordered[1]).state is JobState.SUCCEEDED
    assert len(extended) >= 3


def _with_lease(settings: Any, seconds: float) -> Any:
    from dataclasses import replace

    return replace(settings, jobs=replace(settings.jobs, lease_seconds=seconds))


# --- what travels through Redis -----------------------------------------------------


def test_the_relay_sends_what_is_due_to_the_queue_of_its_kind(
    app: Flask, ordered: tuple[int, UUID], redis_server: RedisServer
) -> None:
    with app.app_context():
        relay = Relay(app.extensions["tasklane"])
        assert relay.send_due() == 1
        assert relay.send_due() == 0
    with redis_server.client as client:
        queue = Queue("default", connection=client, serializer=JSONSerializer, job_class=WakeUp)
        (message,) = queue.jobs
        assert message.id == f"{ordered[1]}-0"
        assert message.args == [str(ordered[1]), 0]
        assert message.func is run_job


def test_a_message_is_never_on_its_queue_twice(
    app: Flask, ordered: tuple[int, UUID], redis_server: RedisServer
) -> None:
    with app.app_context():
        relay = Relay(app.extensions["tasklane"])
        for _ in range(3):
            with transaction() as session:
                session.execute(update(Job).where(Job.id == ordered[1]).values(due_at=Job.created_at))
            relay.send_due()
    with redis_server.client as client:
        assert client.llen("rq:queue:default") == 1


def test_a_message_of_which_redis_knows_only_a_part_is_sent_whole(
    app: Flask, ordered: tuple[int, UUID], redis_server: RedisServer
) -> None:
    """A worker took the message, Redis was emptied, the worker noted its start and was killed before the claim."""
    with app.app_context(), redis_server.client as client:
        relay = Relay(app.extensions["tasklane"])
        relay.send_due()
        client.flushall()
        client.hset(f"rq:job:{ordered[1]}-0", mapping={"status": "started", "worker_name": "dead"})
        with transaction() as session:
            session.execute(update(Job).where(Job.id == ordered[1]).values(due_at=Job.created_at))
        relay.send_due()
        queue = Queue("default", connection=client, serializer=JSONSerializer, job_class=WakeUp)
        (message,) = queue.jobs
        assert message.func is run_job
        assert message.args == [str(ordered[1]), 0]


def test_a_redis_that_is_down_loses_nothing_and_delays_nothing(
    app: Flask, ada: Person, own_redis_server: RedisServer, remake_app: Any
) -> None:
    other = remake_app(redis_url=own_redis_server.url)
    ada_elsewhere = ada.at(other)
    own_redis_server.kill()
    start = time.perf_counter()
    task = ada_elsewhere.create_task()
    accepted = ada_elsewhere.post(f"/tasks/{task['id']}/process")
    # Clients with the usual retries would wait for more than four seconds.
    assert time.perf_counter() - start < 4
    assert accepted.status_code == 202
    job_id = accepted.get_json()["data"]["job_id"]

    with other.app_context():
        relay = Relay(other.extensions["tasklane"])
        assert relay.send_due() == 0
        assert ada_elsewhere.get(f"/jobs/{job_id}").get_json()["data"]["state"] == "queued"
        own_redis_server.start()
        assert relay.send_due() == 2
    with own_redis_server.client as client:
        assert client.llen("rq:queue:default") == 1


def test_a_redis_that_dies_between_two_messages_gets_the_rest_later(
    app: Flask, ada: Person, own_redis_server: RedisServer, remake_app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = remake_app(redis_url=own_redis_server.url)
    for _ in range(3):
        ada.create_task()
    with other.app_context():
        relay = Relay(other.extensions["tasklane"])
        real, sent = relay._send, []

        def send_one_then_die(sending: lifecycle.Sending) -> None:
            if len(sent) == 1:
                own_redis_server.kill()
            real(sending)
            sent.append(sending)

        monkeypatch.setattr(relay, "_send", send_one_then_die)
        start = clock.now()
        assert relay.send_due() == 1
        # Exactly those that were not sent are due again soon; the other one has its whole lease.
        due = {row.id: row.due_at for row in db.session.execute(select(Job.id, Job.due_at))}
        db.session.remove()
        assert due.pop(sent[0].job_id) >= start + timedelta(seconds=relay.lease_seconds)
        assert len(due) == 2
        assert max(due.values()) < start + timedelta(seconds=relay.lease_seconds / 2)
        monkeypatch.setattr(relay, "_send", real)
        own_redis_server.start()
        with transaction() as session:
            session.execute(update(Job).where(Job.id != sent[0].job_id).values(due_at=Job.created_at))
        assert relay.send_due() == 2


@pytest.mark.parametrize("name", ["os.system", "workers.runner.resolve", "builtins.print"])
def test_a_foreign_function_is_never_called(redis_server: RedisServer, app: Flask, name: str) -> None:
    with redis_server.client as client:
        planted = WakeUp.create(name, args=["touch /tmp/pwned"], connection=client, serializer=JSONSerializer)
        with pytest.raises(ForeignMessage):
            _ = planted.func
        with pytest.raises(NoSuchJobError):
            WakeUp.fetch("nothing", connection=client, serializer=JSONSerializer)


def test_the_child_of_a_worker_stops_when_its_parent_says_so_and_not_before() -> None:
    numbers = (signal.SIGTERM, signal.SIGINT, runner.HAND_BACK, TAKEN)
    before = [signal.getsignal(number) for number in numbers]
    try:
        child.take_signals()
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(Stopping):
            signal.raise_signal(runner.HAND_BACK)
        signal.raise_signal(runner.HAND_BACK)
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def test_a_job_of_an_unknown_kind_does_not_stop_the_others(
    app: Flask, ordered: tuple[int, UUID], redis_server: RedisServer
) -> None:
    with app.app_context():
        with transaction() as session:
            session.add(Job(kind="from.the.future", payload={}, max_attempts=1, due_at=clock.now() - timedelta(days=1)))
        relay = Relay(app.extensions["tasklane"])
        relay.send_due()
    with redis_server.client as client:
        assert client.llen("rq:queue:default") == 1


def test_no_callback_or_webhook_of_a_message_is_ever_called(redis_server: RedisServer, app: Flask) -> None:
    with redis_server.client as client:
        planted = WakeUp.create(
            runner.run_job,
            args=["x", 0],
            connection=client,
            serializer=JSONSerializer,
            on_success=Callback("builtins.print"),
            on_failure=Callback("builtins.print"),
            on_stopped=Callback("builtins.print"),
        )
        assert planted.success_callback is None
        assert planted.failure_callback is None
        assert planted.stopped_callback is None


def test_a_long_queue_is_kept_in_the_database_and_not_in_redis(
    app: Flask, ada: Person, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "ROOM", 5)
    ada.post("/tasks/bulk", {"operations": [{"op": "create", "task": {"title": str(n)}} for n in range(20)]})
    ids = [job_id for _ in range(2) if (job_id := process(ada))]
    with app.app_context(), redis_server.client as client:
        relay = Relay(app.extensions["tasklane"])
        for _ in range(5):
            relay.send_due()
            with transaction() as session:
                # A lease has passed, and no worker came.
                session.execute(update(Job).values(due_at=clock.now() - timedelta(seconds=1)))
        assert client.llen("rq:queue:high") == 5
        # The queue that is full does not hold up the others.
        assert client.llen("rq:queue:default") == len(ids)
        client.ltrim("rq:queue:high", 5, -1)
        relay.send_due()
        assert client.llen("rq:queue:high") == 5


def process(person: Person) -> str:
    task = person.create_task()
    return str(person.post(f"/tasks/{task['id']}/process").get_json()["data"]["job_id"])


def test_a_message_that_a_dying_worker_has_taken_is_sent_again(
    app: Flask, ordered: tuple[int, UUID], redis_server: RedisServer
) -> None:
    with app.app_context(), redis_server.client as client:
        relay = Relay(app.extensions["tasklane"])
        relay.send_due()
        taken = client.lpop("rq:queue:default")
        assert taken is not None
        with transaction() as session:
            session.execute(update(Job).values(due_at=clock.now() - timedelta(seconds=1)))
        assert relay.send_due() == 1
        assert client.lrange("rq:queue:default", 0, -1) == [taken]


def test_what_a_killed_worker_leaves_in_redis_is_cleared_away(
    app: Flask, ordered: tuple[int, UUID], redis_server: RedisServer
) -> None:
    with app.app_context(), redis_server.client as client:
        Relay(app.extensions["tasklane"]).send_due()
        key = f"rq:job:{ordered[1]}-0"
        assert 0 < client.ttl(key) <= MESSAGE_SECONDS
        killed, other = (TasklaneWorker(app, ["high", "default"]) for _ in range(2))
        message, _ = Queue.dequeue_any(
            killed.queues, None, connection=client, job_class=WakeUp, serializer=JSONSerializer
        )
        killed.prepare_execution(message)
        killed.prepare_job_execution(message)
        client.persist(key)
        (execution,) = client.zrange("rq:wip:default", 0, -1)
        client.zadd("rq:wip:default", {execution: 1})  # Its last sign of life was long ago.
        other.run_maintenance_tasks()
        other.run_maintenance_tasks()
        assert client.zcard("rq:wip:default") == 0
        lasting = {found.decode() for found in client.scan_iter() if client.ttl(found) == -1}
        # The id of the message stays on the list of failed ones for a few seconds.
        assert lasting - {"rq:failed:default"} == {"rq:queues"}


def test_every_line_of_a_job_says_which_job_what_kind_and_which_attempt(
    app: Flask, ordered: tuple[int, UUID], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.handler.addFilter(logs.ContextFilter())
    context = copy_context()
    with caplog.at_level("INFO"):
        context.run(work, app, ordered[1])
    lines = [record for record in caplog.records if record.name == "tasklane.worker"]
    assert len(lines) == 2
    for record in lines:
        named = {name: getattr(record, name) for name in ("job_id", "job_kind", "job_attempt")}
        assert named == {"job_id": str(ordered[1]), "job_kind": "task.process", "job_attempt": 1}
