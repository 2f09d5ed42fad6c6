"""The child of a worker and who watches it: many short jobs in one process, and every way for it to end."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from core.jobs.kinds import KINDS, PROCESS_TASK
from core.jobs.model import Job, JobState
from core.platform import clock
from core.platform.database.base import db
from core.platform.database.session import transaction
from core.platform.errors import Unavailable
from core.runs import lifecycle
from core.runs.lifecycle import Attempt
from core.runs.run import Run
from tests.support.people import Person
from tests.support.processes import wait_for
from workers import child as child_module
from workers import watch
from workers.child import Assignment
from workers.children import Child
from workers.jobs import emails, processing
from workers.oversight import KILLED, Progress, clear_up, follow

KIND = "email.task_created"


@pytest.fixture
def letters(ada: Person) -> list[UUID]:
    """Four jobs that send an e-mail, in the order of their tasks; nothing else waits."""
    for number in range(4):
        ada.create_task(title=f"Task {number}")
    with ada.app.app_context(), transaction() as session:
        session.execute(update(Job).where(Job.kind != KIND).values(state=JobState.CANCELLED))
        return list(session.scalars(select(Job.id).where(Job.kind == KIND).order_by(Job.created_at)))


NewChild = Callable[[], Child]


@pytest.fixture
def new_child(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[NewChild]:
    """Fork a child of this process, with all that the test has replaced in it."""
    children: list[Child] = []
    # A busy machine makes any job slow.
    monkeypatch.setattr(watch, "PENDING_SECONDS", 600)

    def fork() -> Child:
        with app.app_context():
            db.session.remove()
            db.engine.dispose()
        children.append(Child(app))
        return children[-1]

    yield fork
    for one in children:
        one.kill()
        one.bury()


def assignment_of(job_ids: list[UUID], number: int = 0) -> Assignment:
    return Assignment(lifecycle.new_token(), tuple(Attempt(job_id, number) for job_id in job_ids))


def work(app: Flask, child: Child, assignment: Assignment) -> Progress:
    """Give the child its assignment and watch it, as a worker does."""
    child.assign(assignment)
    progress = follow(child, assignment, beat=lambda: None)
    if progress.is_last or not progress.is_told:
        clear_up(app, assignment, progress, status=child.bury())
    return progress


def jobs_of(app: Flask, job_ids: list[UUID]) -> list[Job]:
    with app.app_context():
        return [db.session.get_one(Job, job_id) for job_id in job_ids]


def states_of(app: Flask, job_ids: list[UUID]) -> list[tuple[JobState, int, int, str | None]]:
    return [(job.state, job.attempts, job.max_attempts, job.error) for job in jobs_of(app, job_ids)]


DONE = (JobState.SUCCEEDED, 1, 30, None)
# At no cost of an attempt, and at once.
GIVEN_BACK = (JobState.RETRYING, 1, 31, None)
UNTOUCHED = (JobState.QUEUED, 0, 30, None)


def test_a_child_lives_for_many_short_jobs(app: Flask, letters: list[UUID], new_child: NewChild) -> None:
    child = new_child()
    assert work(app, child, assignment_of(letters[:1])).is_last is False
    assert work(app, child, assignment_of(letters[1:])).is_last is False
    assert states_of(app, letters) == [DONE] * 4
    assert child.is_alive()
    outbox = list((app.extensions["tasklane"].instance_path / "outbox").glob("*.eml"))
    assert sorted(path.name for path in outbox) == sorted(f"task_created-{job_id}.eml" for job_id in letters)


def test_what_is_late_or_cancelled_is_passed_over(app: Flask, letters: list[UUID], new_child: NewChild) -> None:
    with app.app_context(), transaction() as session:
        session.execute(update(Job).where(Job.id == letters[1]).values(state=JobState.CANCELLED))
        session.execute(update(Job).where(Job.id == letters[2]).values(attempts=1))
        session.execute(update(Job).where(Job.id == letters[3]).values(kind="from.the.future"))
    work(app, new_child(), assignment_of(letters))
    found = [(job.state, job.attempts) for job in jobs_of(app, letters)]
    assert found == [
        (JobState.SUCCEEDED, 1),
        (JobState.CANCELLED, 0),
        (JobState.QUEUED, 1),
        (JobState.QUEUED, 0),
    ]


def test_a_long_job_is_the_last_of_its_process(
    app: Flask, ada: Person, letters: list[UUID], new_child: NewChild, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processing.time, "sleep", lambda seconds: None)
    task = ada.create_task()
    order = UUID(ada.post(f"/tasks/{task['id']}/process").get_json()["data"]["job_id"])
    child = new_child()
    assert work(app, child, assignment_of([*letters[:2], order, *letters[2:]])).is_last
    assert states_of(app, letters) == [DONE, DONE, GIVEN_BACK, GIVEN_BACK]
    assert jobs_of(app, [order])[0].state is JobState.SUCCEEDED
    assert not child.is_alive()


@pytest.mark.parametrize("limit", ["MOST_JOBS", "MOST_SECONDS", "MOST_MEGABYTES"])
def test_a_child_that_has_done_enough_leaves_with_its_jobs_done(
    app: Flask, letters: list[UUID], new_child: NewChild, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(child_module, limit, 1 if limit == "MOST_JOBS" else 0)
    child = new_child()
    progress = work(app, child, assignment_of(letters[:2]))
    assert (progress.begun, progress.is_last, child.bury()) == (1, True, os.EX_OK)
    assert states_of(app, letters) == [DONE, DONE, UNTOUCHED, UNTOUCHED]


# --- the child dies -------------------------------------------------------------------

REAL = emails.task_created


def kill_at(second: UUID, where: str) -> Callable[..., None]:
    """Return what sends e-mails, but has its process killed in the middle, or at the end, of the second."""

    def send(run: Run, **payload: Any) -> None:
        if run.job_id != second or where == "at its end":
            REAL(run, **payload)
        if run.job_id == second:
            os.kill(os.getpid(), signal.SIGKILL)

    return send


@pytest.mark.parametrize("where", ["in the middle", "at its end"])
def test_the_job_that_a_child_dies_of_is_tried_again_and_the_others_are_given_back_at_once(
    app: Flask, letters: list[UUID], new_child: NewChild, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setattr(emails, "task_created", kill_at(letters[1], where))
    progress = work(app, new_child(), assignment_of(letters))
    assert progress.begun == 1
    second = DONE if where == "at its end" else (JobState.RETRYING, 1, 30, KILLED)
    assert states_of(app, letters) == [DONE, second, GIVEN_BACK, GIVEN_BACK]
    assert all(job.due_at <= clock.now() for job in jobs_of(app, letters[2:]))
    # Nobody holds anything any more, so each can be done once, by any process.
    monkeypatch.setattr(emails, "task_created", REAL)
    work(app, new_child(), assignment_of(letters[1:], number=1))
    assert {job.state for job in jobs_of(app, letters)} == {JobState.SUCCEEDED}


def test_claims_whose_first_job_had_not_begun_are_given_back(
    app: Flask, letters: list[UUID], new_child: NewChild, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child_module, "_tell", lambda *args, **event: os.kill(os.getpid(), signal.SIGKILL))
    assert work(app, new_child(), assignment_of(letters)).begun == -1
    assert states_of(app, letters) == [GIVEN_BACK] * 4


def test_messages_of_which_nothing_was_claimed_are_sent_again_in_a_moment(
    app: Flask, letters: list[UUID], new_child: NewChild
) -> None:
    with app.app_context(), transaction() as session:
        session.execute(update(Job).values(due_at=clock.now() + timedelta(seconds=3600)))
    child = new_child()
    child.kill()
    work(app, child, assignment_of(letters))
    assert states_of(app, letters) == [UNTOUCHED] * 4
    assert all(job.due_at < clock.now() + timedelta(seconds=60) for job in jobs_of(app, letters))


def test_a_child_that_fails_by_itself_leaves_its_messages_to_their_leases(
    app: Flask, letters: list[UUID], new_child: NewChild, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child_module.runner, "claim", lambda *args, **kwargs: 1 / 0)
    due = clock.now() + timedelta(seconds=3600)
    with app.app_context(), transaction() as session:
        session.execute(update(Job).values(due_at=due))
    child = new_child()
    work(app, child, assignment_of(letters))
    assert child.bury() == os.EX_SOFTWARE << 8
    assert [job.due_at for job in jobs_of(app, letters)] == [due] * 4


def test_what_another_worker_has_claimed_meanwhile_stays_with_it(app: Flask, letters: list[UUID]) -> None:
    mine = assignment_of(letters)
    with app.app_context():
        lifecycle.claim_all(mine.attempts[:2], token="another worker's", lease_seconds=30)
    clear_up(app, mine, Progress(begun=0), status=signal.SIGKILL)
    tokens = [job.lease_token for job in jobs_of(app, letters)]
    assert tokens == ["another worker's", "another worker's", None, None]
    assert [state[0] for state in states_of(app, letters)] == [JobState.STARTED] * 2 + [JobState.QUEUED] * 2


def test_a_job_whose_child_keeps_dying_fails_in_the_end(app: Flask, letters: list[UUID]) -> None:
    first = letters[0]
    with app.app_context(), transaction() as session:
        session.execute(update(Job).values(max_attempts=3))
    for number in range(3):
        assignment = assignment_of([first], number)
        with app.app_context():
            assert lifecycle.claim_all(assignment.attempts, token=assignment.token, lease_seconds=30)
        clear_up(app, assignment, Progress(begun=0), status=signal.SIGKILL)
        # A late report of the same death changes nothing more.
        clear_up(app, assignment, Progress(begun=0), status=signal.SIGKILL)
    assert states_of(app, [first]) == [(JobState.FAILED, 3, 3, KILLED)]


# --- limits, cancellation, the end of the worker --------------------------------------------


def test_a_job_that_does_not_react_to_its_time_limit_is_killed(
    app: Flask, letters: list[UUID], new_child: NewChild, monkeypatch: pytest.MonkeyPatch
) -> None:
    def do_not_react(run: Run, **payload: Any) -> None:
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        time.sleep(600)

    monkeypatch.setitem(KINDS, KIND, replace(KINDS[KIND], timeout_seconds=1, kill_seconds=0))
    monkeypatch.setattr(emails, "task_created", do_not_react)
    work(app, new_child(), assignment_of(letters[:2]))
    assert states_of(app, letters[:2]) == [(JobState.RETRYING, 1, 30, KILLED), GIVEN_BACK]


def test_each_job_has_its_own_time_limit(
    app: Flask, letters: list[UUID], new_child: NewChild, monkeypatch: pytest.MonkeyPatch
) -> None:
    def take_long(run: Run, **payload: Any) -> None:
        if run.job_id == letters[1]:
            time.sleep(600)

    monkeypatch.setitem(KINDS, KIND, replace(KINDS[KIND], timeout_seconds=1))
    monkeypatch.setattr(emails, "task_created", take_long)
    child = new_child()
    assert work(app, child, assignment_of(letters)).is_last is False
    late = (JobState.RETRYING, 1, 30, "The job took longer than 1 s.")
    assert states_of(app, letters) == [DONE, late, DONE, DONE]


def test_claims_behind_a_slow_job_are_given_back_for_others(
    app: Flask, letters: list[UUID], new_child: NewChild, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "PENDING_SECONDS", 0)

    def wait_for_the_others(run: Run, **payload: Any) -> None:
        wait_for(lambda: states_of(app, letters[1:]), lambda states: states == [GIVEN_BACK] * 3)

    monkeypatch.setattr(emails, "task_created", wait_for_the_others)
    work(app, new_child(), assignment_of(letters))
    assert states_of(app, letters) == [DONE, *[GIVEN_BACK] * 3]


def test_claims_that_a_child_could_not_give_back_its_worker_gives_back(
    app: Flask, letters: list[UUID], new_child: NewChild, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, release, tried = os.getpid(), lifecycle.release, threading.Event()

    def release_here(attempts: Any, *, token: str) -> None:
        if os.getpid() != worker:
            tried.set()
            raise OperationalError("COMMIT", None, Exception("The database does not answer."))
        release(attempts, token=token)

    monkeypatch.setattr(watch, "PENDING_SECONDS", 0)
    monkeypatch.setattr(lifecycle, "release", release_here)
    monkeypatch.setattr(emails, "task_created", lambda run, **payload: None if tried.wait(30) else {})
    assert work(app, new_child(), assignment_of(letters)).is_last
    assert states_of(app, letters) == [DONE, *[GIVEN_BACK] * 3]


def test_a_cancelled_job_stops_and_the_next_one_of_its_process_does_not(
    app: Flask, ada: Person, letters: list[UUID], new_child: NewChild, monkeypatch: pytest.MonkeyPatch
) -> None:

    def hang(run: Run, **payload: Any) -> None:
        if run.job_id == letters[0]:
            time.sleep(600)

    monkeypatch.setattr(emails, "task_created", hang)
    child, assignment = new_child(), assignment_of(letters)
    child.assign(assignment)
    wait_for(lambda: jobs_of(app, letters)[0].state, lambda state: state is JobState.STARTED)
    assert ada.delete(f"/jobs/{letters[0]}").status_code == 204
    assert ada.delete(f"/jobs/{letters[2]}").status_code == 204
    assert follow(child, assignment, beat=lambda: None).is_last is False
    states = [state for state, *_ in states_of(app, letters)]
    assert states == [JobState.CANCELLED, JobState.SUCCEEDED, JobState.CANCELLED, JobState.SUCCEEDED]


def test_a_child_that_must_stop_hands_its_job_back_and_its_worker_the_others(
    app: Flask, letters: list[UUID], new_child: NewChild, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emails, "task_created", lambda run, **payload: time.sleep(600))
    child = new_child()
    assignment = assignment_of(letters)

    def stop() -> None:
        wait_for(lambda: jobs_of(app, letters)[0].state, lambda state: state is JobState.STARTED)
        time.sleep(0.2)
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR1):
            child.kill(number)

    threading.Thread(target=stop).start()
    work(app, child, assignment)
    assert child.bury() == os.EX_OK
    assert states_of(app, letters) == [GIVEN_BACK] * 4


def test_a_child_outlives_its_parent_for_the_jobs_that_it_has(
    app: Flask, letters: list[UUID], new_child: NewChild
) -> None:
    child = new_child()
    child.assign(assignment_of(letters))
    child.pipe.close()
    wait_for(child.is_alive, lambda is_alive: not is_alive)
    assert states_of(app, letters) == [DONE] * 4


def test_an_idle_child_leaves_with_its_worker(app: Flask, new_child: NewChild) -> None:
    child = new_child()
    child.dismiss()
    assert child.bury() == os.EX_OK


def test_a_failure_is_that_of_its_job_alone(
    app: Flask, letters: list[UUID], new_child: NewChild, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(run: Run, **payload: Any) -> None:
        if run.job_id == letters[0]:
            raise Unavailable("Not now.")
        if run.job_id == letters[1]:
            raise ZeroDivisionError

    monkeypatch.setattr(emails, "task_created", fail)
    work(app, new_child(), assignment_of(letters))
    assert states_of(app, letters) == [
        (JobState.RETRYING, 1, 30, "Not now."),
        (JobState.RETRYING, 1, 30, "The job failed unexpectedly (ZeroDivisionError)."),
        DONE,
        DONE,
    ]


def test_only_short_kinds_share_a_process() -> None:
    assert {kind.name for kind in KINDS.values() if kind.is_short} == {name for name in KINDS if "email." in name}
    assert not PROCESS_TASK.is_short
