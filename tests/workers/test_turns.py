"""Fairness: no kind's, queue's or person's backlog keeps the others waiting. Orders are counted, not seconds."""

from collections import Counter
from collections.abc import Iterator
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import insert, select, update

from core.jobs.kinds import WEIGHTS
from core.jobs.model import Job, JobState
from core.platform import clock
from core.platform.database.session import transaction
from core.runs import lifecycle
from tests.support.people import Person
from tests.support.servers import RedisServer
from tests.support.work import find
from workers.jobs import processing
from workers.relay import Relay
from workers.turns import MOST_AHEAD, Turns
from workers.worker import TasklaneWorker

QUEUES = ["high", "default", "low"]
# Of somebody whose task is gone, so each is over without a message.
LETTER = {"kind": "email.task_created", "payload": {"task_id": 0}, "max_attempts": 30}


def serve(turns: Turns, waiting: dict[str, int], seconds: dict[str, float]) -> Iterator[str]:
    """Yield which queue is served next, until all are empty."""
    while found := next((queue for queue in turns.order() if waiting[queue]), None):
        waiting[found] -= 1
        yield found
        turns.note(found, seconds[found])


def test_with_nothing_done_yet_the_first_queue_comes_first() -> None:
    assert Turns(QUEUES, WEIGHTS).order() == QUEUES


def test_what_comes_to_an_empty_queue_is_next_however_long_another_one_is() -> None:
    turns, waiting = Turns(QUEUES, WEIGHTS), {"high": 5000, "default": 0, "low": 0}
    served = []
    for queue in serve(turns, waiting, {"high": 0.25, "default": 2.0, "low": 600.0}):
        served.append(queue)
        if len(served) == 1000:
            waiting["default"] = waiting["low"] = 1
        if len(served) == 1010:
            break
    assert set(served[:1000]) == {"high"}
    assert served[1000:1003] == ["default", "low", "high"]


def test_long_queues_share_the_time_by_their_weights() -> None:
    turns, waiting = Turns(QUEUES, WEIGHTS), dict.fromkeys(QUEUES, 10_000)
    seconds = {"high": 0.25, "default": 0.5, "low": 1.0}
    spent: Counter[str] = Counter()
    for number, queue in enumerate(serve(turns, waiting, seconds)):
        spent[queue] += int(seconds[queue] * 100)
        if number == 5000:
            break
    assert spent["high"] / spent["low"] == pytest.approx(4, rel=0.05)
    assert spent["default"] / spent["low"] == pytest.approx(2, rel=0.05)


def test_a_long_job_does_not_shut_its_queue_out_for_as_long_as_it_took() -> None:
    turns, waiting = Turns(QUEUES, WEIGHTS), {"high": 10**6, "default": 0, "low": 2}
    seconds = {"high": 0.25, "default": 1.0, "low": 3600.0}
    served = []
    for queue in serve(turns, waiting, seconds):
        served.append(queue)
        if not waiting["low"]:
            break
    between = len(served) - 1 - served.index("low") - 1
    assert between <= MOST_AHEAD * WEIGHTS["high"] / seconds["high"] + 1


@pytest.fixture
def backlog(ada: Person, app: Flask) -> None:
    """5,000 e-mails of Ada that are due."""
    with app.app_context(), transaction() as session:
        session.execute(update(Job).values(state=JobState.CANCELLED))
        row = {**LETTER, "owner_id": ada.user_id, "due_at": clock.now(), "created_at": clock.now()}
        session.execute(insert(Job), [row] * 5000)


def order_processing(person: Person) -> UUID:
    task = person.create_task()
    return UUID(person.post(f"/tasks/{task['id']}/process").get_json()["data"]["job_id"])


@pytest.mark.usefixtures("backlog")
def test_people_and_kinds_take_turns_on_their_way_to_a_queue(app: Flask, ada: Person, bob: Person) -> None:
    bob.create_task()
    mine = order_processing(ada)
    with app.app_context(), transaction() as session:
        taken = lifecycle.take_due(lease_seconds=30, limit=6)
        owners = {
            job.id: job.owner_id for job in session.scalars(select(Job).where(Job.id.in_(t.job_id for t in taken)))
        }
    kinds = [(sending.kind, owners[sending.job_id]) for sending in taken]
    # One of each first, although all of them were ordered after 5,000 others.
    assert set(kinds[:3]) == {
        ("email.task_created", ada.user_id),
        ("email.task_created", bob.user_id),
        ("task.process", ada.user_id),
    }
    assert mine in owners
    assert kinds[3:] == [("email.task_created", ada.user_id)] * 3


@pytest.mark.usefixtures("backlog")
def test_with_5000_emails_waiting_the_next_job_is_the_one_that_somebody_else_orders(
    app: Flask, bob: Person, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processing.time, "sleep", lambda seconds: None)
    with app.app_context():
        relay = Relay(app.extensions["tasklane"])
        relay.send_due()
        worker = TasklaneWorker(app, QUEUES)
    served = []

    def work() -> None:
        messages, queue = worker._take(None) or ([], None)
        served.append(queue.name if queue else None)
        worker.execute_job(messages, queue)

    try:
        for _ in range(3):
            work()
        job_id = order_processing(bob)
        with app.app_context():
            relay.send_due()
        work()
    finally:
        assert worker.child is None or worker.child.is_alive()
        if worker.child is not None:
            worker.child.dismiss()
    assert served == ["high", "high", "high", "default"]
    assert find(app, job_id).state is JobState.SUCCEEDED
    with redis_server.client as client:
        assert client.llen("rq:queue:high") > 0
