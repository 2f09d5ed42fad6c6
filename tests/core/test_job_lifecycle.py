"""Life of a job: claimed once, finished once, repaired by time when a process dies."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy import Connection, event, select, update
from sqlalchemy.orm import Session

from core.jobs import service as jobs
from core.jobs.kinds import EMAIL_WELCOME, PROCESS_TASK
from core.jobs.model import Job, JobState
from core.platform import clock
from core.platform.database.base import db
from core.platform.database.session import is_writing, transaction
from core.runs import lifecycle
from core.runs import service as runs
from core.runs.run import LeaseLost, Run, pause_after
from core.tasks import processing
from core.tasks import service as tasks
from core.tasks.model import Task
from tests.support.people import Person

LEASE = 30.0


@pytest.fixture
def task_id(ada: Person) -> int:
    """A task; the e-mails that people cause are put out of the way."""
    number = int(ada.create_task(description="Before")["id"])
    with ada.app.app_context(), transaction() as session:
        session.execute(update(Job).values(state=JobState.CANCELLED))
    return number


@pytest.fixture
def job_id(ada: Person, task_id: int) -> UUID:
    return UUID(ada.post(f"/tasks/{task_id}/process").get_json()["data"]["job_id"])


def job(job_id: UUID) -> Job:
    db.session.rollback()
    return db.session.scalars(select(Job).where(Job.id == job_id), execution_options={"populate_existing": True}).one()


def claimed(job_id: UUID, attempt: int = 0) -> list[Run]:
    """Claim a job as a worker does; nothing comes of a late duplicate, or of a cancelled job."""
    attempts = [lifecycle.Attempt(job_id, attempt)]
    return lifecycle.claim_all(attempts, token=lifecycle.new_token(), lease_seconds=LEASE)


def claim(job_id: UUID, attempt: int = 0) -> Run:
    [run] = claimed(job_id, attempt)
    return run


def make_due(job_id: UUID) -> None:
    """Let the lease pass without waiting for it."""
    with transaction() as session:
        session.execute(update(Job).where(Job.id == job_id).values(due_at=clock.now() - timedelta(seconds=1)))


def test_an_order_is_stored_exactly_if_the_change_is(app: Flask, ada: Person, task_id: int) -> None:
    def order_and_fail() -> None:
        with transaction() as session:
            jobs.enqueue(session, PROCESS_TASK, by=ada.actor, task_id=task_id)
            raise RuntimeError

    with app.app_context():
        with pytest.raises(RuntimeError):
            order_and_fail()
        assert lifecycle.take_due(lease_seconds=LEASE) == []


def test_a_job_is_taken_for_sending_once_per_lease(app: Flask, job_id: UUID) -> None:
    with app.app_context():
        assert [sending.job_id for sending in lifecycle.take_due(lease_seconds=LEASE)] == [job_id]
        assert lifecycle.take_due(lease_seconds=LEASE) == []
        make_due(job_id)
        assert len(lifecycle.take_due(lease_seconds=LEASE)) == 1


def test_what_is_due_is_ranked_before_anybody_is_kept_from_writing(app: Flask, job_id: UUID) -> None:
    """It takes the longer the more waits, and SQLite has one writer."""
    ranked_while_writing: list[bool] = []

    def note(connection: Connection, cursor: object, statement: str, *rest: object) -> None:
        if "row_number" in statement.lower():
            ranked_while_writing.append(is_writing())

    with app.app_context():
        event.listen(db.engine, "before_cursor_execute", note)
        try:
            assert [sending.job_id for sending in lifecycle.take_due(lease_seconds=LEASE)] == [job_id]
        finally:
            event.remove(db.engine, "before_cursor_execute", note)
    assert ranked_while_writing == [False]


def test_many_relays_take_each_job_once(app: Flask, ada: Person, task_id: int) -> None:
    for _ in range(20):
        ada.post(f"/tasks/{task_id}/process")
    taken: list[UUID] = []

    def take() -> None:
        with app.app_context():
            for _ in range(5):
                taken.extend(sending.job_id for sending in lifecycle.take_due(lease_seconds=LEASE, limit=3))

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with app.app_context():
        taken.extend(sending.job_id for sending in lifecycle.take_due(lease_seconds=LEASE))
    assert len(taken) == len(set(taken)) == 20


def test_only_one_of_many_workers_gets_a_job(app: Flask, job_id: UUID) -> None:
    runs: list[list[Run]] = []

    def work() -> None:
        with app.app_context():
            runs.append(claimed(job_id))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(len, runs)) == [0] * 7 + [1]


def test_a_late_duplicate_of_an_earlier_attempt_starts_nothing(app: Flask, job_id: UUID) -> None:
    with app.app_context():
        claim(job_id).fail("It broke.")
        assert claimed(job_id) == []
        assert claimed(uuid4()) == []


def test_progress_is_visible_and_keeps_the_lease(app: Flask, job_id: UUID) -> None:
    with app.app_context():
        run = claim(job_id)
        make_due(job_id)
        run.report(40)
        assert (job(job_id).state, job(job_id).progress) == (JobState.STARTED, 40)
        assert lifecycle.take_due(lease_seconds=LEASE) == []
        make_due(job_id)
        run.extend()
        assert lifecycle.take_due(lease_seconds=LEASE) == []


def test_a_rehearsal_changes_nothing(app: Flask, job_id: UUID) -> None:
    with app.app_context():
        before = job(job_id)
        lifecycle.rehearse()
        assert job(job_id) is before
        assert (before.state, before.attempts) == (JobState.QUEUED, 0)
        assert len(db.session.scalars(select(Job)).all()) == 2


def test_the_work_and_its_success_are_one_transaction(app: Flask, ada: Person, task_id: int, job_id: UUID) -> None:
    with app.app_context():
        run = claim(job_id)
        with run.completing(task_id=task_id) as session:
            processing.finish(session, ada.actor, task_id=task_id)
        done = job(job_id)
        assert (done.state, done.progress, done.result, done.lease_token) == (
            JobState.SUCCEEDED,
            100,
            {"task_id": task_id},
            None,
        )
        assert done.finished_at is not None
        task = tasks.get(ada.actor, task_id=task_id)
        assert (task.description, task.status.value) == ("Before [Processed]", "completed")


def test_a_run_that_was_given_up_for_dead_stores_nothing(app: Flask, ada: Person, task_id: int, job_id: UUID) -> None:
    with app.app_context():
        zombie = claim(job_id)
        make_due(job_id)
        (sending,) = lifecycle.take_due(lease_seconds=LEASE)
        assert sending.attempt == 1
        second = claim(job_id, 1)

        def finish(run: Run) -> None:
            with run.completing() as session:
                processing.finish(session, ada.actor, task_id=task_id)

        with pytest.raises(LeaseLost):
            finish(zombie)
        db.session.rollback()
        assert tasks.get(ada.actor, task_id=task_id).description == "Before"
        for late in (lambda: zombie.report(50), zombie.extend, lambda: zombie.fail("late"), zombie.hand_back):
            with pytest.raises(LeaseLost):
                late()
        finish(second)
        with pytest.raises(LeaseLost):
            finish(second)
        db.session.rollback()
        assert db.session.scalar(select(Task.description)) == "Before [Processed]"


def test_a_failure_is_tried_again_after_a_pause_and_then_given_up(app: Flask, job_id: UUID) -> None:
    with app.app_context():
        for attempt in range(PROCESS_TASK.attempts):
            claim(job_id, attempt).fail("It broke.")
            current = job(job_id)
            is_last = attempt == PROCESS_TASK.attempts - 1
            assert current.state is (JobState.FAILED if is_last else JobState.RETRYING)
            assert current.error == "It broke."
            if not is_last:
                pause = (current.due_at - clock.now()).total_seconds()
                assert PROCESS_TASK.retry_seconds - 5 < pause <= PROCESS_TASK.retry_seconds
                assert lifecycle.take_due(lease_seconds=LEASE) == []
                make_due(job_id)
                assert [s.attempt for s in lifecycle.take_due(lease_seconds=LEASE)] == [attempt + 1]
        assert PROCESS_TASK.attempts == 4
        assert job(job_id).finished_at is not None
        make_due(job_id)
        assert lifecycle.take_due(lease_seconds=LEASE) == []


def test_pauses_grow_to_an_hour_and_outlast_a_mail_server_that_is_mended_in_the_morning() -> None:
    pauses = [pause_after(EMAIL_WELCOME, failures) for failures in range(1, EMAIL_WELCOME.attempts)]
    assert pauses[:9] == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]
    assert set(pauses[7:]) == {3600}
    assert 20 < sum(pauses) / 3600 < 24
    # Nothing overflows, and kinds that do not grow stay as they are.
    assert pause_after(EMAIL_WELCOME, 10**6) == 3600
    assert {pause_after(PROCESS_TASK, failures) for failures in range(-1, 5)} == {30}
    assert pause_after(replace(PROCESS_TASK, retry_seconds=7200), 3) == 7200


def test_a_job_that_is_ordered_again_begins_with_short_pauses(app: Flask, ada: Person) -> None:
    ada.create_task()
    with app.app_context():
        (sending,) = lifecycle.take_due(lease_seconds=LEASE)

        def fail(attempt: int, *, permanently: bool = False) -> float:
            claim(sending.job_id, attempt).fail("Not now.", permanently=permanently)
            return (job(sending.job_id).due_at - clock.now()).total_seconds()

        assert [round(fail(attempt), -1) for attempt in range(4)] == [30, 60, 120, 240]
        fail(4, permanently=True)
        runs.retry(ada.actor, job_id=sending.job_id)
        assert [round(fail(attempt), -1) for attempt in (5, 6)] == [30, 60]


def test_a_pointless_job_is_not_tried_again(app: Flask, job_id: UUID) -> None:
    with app.app_context():
        claim(job_id).fail("The task is gone.", permanently=True)
        assert job(job_id).state is JobState.FAILED


def test_a_job_whose_workers_keep_dying_fails_with_a_reason(app: Flask, job_id: UUID) -> None:
    with app.app_context():
        for attempt in range(PROCESS_TASK.attempts):
            claim(job_id, attempt)
            make_due(job_id)
            lifecycle.take_due(lease_seconds=LEASE)
        assert (job(job_id).state, job(job_id).error) == (JobState.FAILED, lifecycle.LOST)


def test_a_job_that_is_handed_back_runs_again_at_once_and_keeps_its_chances(app: Flask, job_id: UUID) -> None:
    with app.app_context():
        claim(job_id).hand_back()
        assert job(job_id).state is JobState.RETRYING
        (sending,) = lifecycle.take_due(lease_seconds=LEASE)
        run = claim(job_id, sending.attempt)
        assert run.max_attempts - run.attempt == PROCESS_TASK.attempts - 1


def test_a_late_message_of_an_earlier_attempt_is_not_postponed(app: Flask, job_id: UUID) -> None:
    with app.app_context():
        (sending,) = lifecycle.take_due(lease_seconds=LEASE)
        claim(job_id).fail("It went wrong.")
        due_at = job(job_id).due_at
        lifecycle.postpone([sending], seconds=0)
        assert job(job_id).due_at == due_at
        lifecycle.postpone([replace(sending, attempt=1)], seconds=0)
        assert job(job_id).due_at != due_at


def test_a_run_whose_end_could_not_be_stored_is_not_over(app: Flask, job_id: UUID) -> None:
    def fail(session: Session) -> None:
        raise RuntimeError

    with app.app_context():
        run = claim(job_id)
        event.listen(Session, "before_commit", fail)
        try:
            with pytest.raises(RuntimeError), run.completing():
                pass
        finally:
            event.remove(Session, "before_commit", fail)
        assert not run.is_finished
        assert job(job_id).state is JobState.STARTED


def test_a_postponed_job_is_due_again_soon_unless_it_has_started(app: Flask, job_id: UUID) -> None:
    with app.app_context():
        (sending,) = lifecycle.take_due(lease_seconds=LEASE)
        lifecycle.postpone([sending], seconds=0)
        assert lifecycle.take_due(lease_seconds=LEASE) == [sending]
        run = claim(job_id)
        lifecycle.postpone([sending], seconds=0)
        assert lifecycle.take_due(lease_seconds=LEASE) == []
        run.report(1)


@pytest.mark.parametrize("change", [{"state": JobState.CANCELLED}])
def test_a_cancelled_job_stops_at_its_next_sign_of_life(
    app: Flask, job_id: UUID, change: dict[str, JobState], monkeypatch: pytest.MonkeyPatch
) -> None:
    with app.app_context():
        run = claim(job_id)
        with transaction() as session:
            session.execute(update(Job).where(Job.id == job_id).values(lease_token=None, **change))
        with pytest.raises(LeaseLost):
            run.report(50)
        assert job(job_id).state is JobState.CANCELLED


def test_a_taken_job_needs_no_write_lock_while_nothing_is_due(
    app: Flask, task_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object) -> Callable[..., None]:
        raise AssertionError("An idle relay must not lock out writers.")

    monkeypatch.setattr(lifecycle, "transaction", refuse)
    with app.app_context():
        assert lifecycle.take_due(lease_seconds=LEASE) == []


def test_messages_that_repeat_one_another_start_a_job_once(app: Flask, job_id: UUID) -> None:
    """A Redis that came back from an older copy may hold both, and one claim may take them together."""
    messages = [lifecycle.Attempt(job_id, number) for number in (0, 1, 0, 1)]
    with app.app_context():
        [run] = lifecycle.claim_all(messages, token="t" * 32, lease_seconds=LEASE)
        assert (run.attempt, job(job_id).attempts) == (1, 1)
