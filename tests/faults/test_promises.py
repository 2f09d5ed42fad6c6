"""Short forms of the proofs in this folder; docs/reliability.md says how to run the long ones."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from core.jobs.model import JobState
from core.platform.config.settings import Settings
from tests.faults import (
    backlog,
    chaos,
    deploy,
    durability,
    limits,
    locking,
    outage,
    recovery,
    repeats,
    revocation,
    rotation,
)
from tests.faults.stack import Stack
from tests.support.engines import on_postgresql, on_sqlite
from tests.support.servers import RedisServer

LEASE = 2.0
# Of the web processes, where only what they order is the subject.
ONE = ("--processes", "1")

NewStack = Callable[..., Stack]


@pytest.fixture
def new_stack(
    new_database_url: Callable[[], str], make_settings: Callable[..., Settings], own_redis_server: RedisServer
) -> Iterator[NewStack]:
    started: list[Stack] = []

    def start(*web: str, **environ: str) -> Stack:
        settings = make_settings(new_database_url(), own_redis_server.url)
        stack = Stack(settings, own_redis_server, seed=1, web=web, **environ)
        started.append(stack.__enter__())
        return stack

    yield start
    for stack in started:
        stack.stop()


def test_nothing_is_lost_or_done_twice_while_parts_are_killed(new_stack: NewStack) -> None:
    stack = new_stack(*ONE, TASKLANE_JOBS__LEASE_SECONDS=str(LEASE))
    faults = ["worker", "parent", "child", "scheduler", "redis", "redis-and-its-data", "redis-is-emptied"]
    outcome = chaos.run(stack, seconds=6, rate=6, workers=2, lease=LEASE, faults=faults)
    assert outcome.is_clean, chaos.show(outcome)
    # The API needs neither Redis nor workers to accept a job.
    assert not outcome.refusals
    assert sum(outcome.faults.values()) >= 2
    # A part that ends by itself, instead of waiting for Redis, would be missing where nobody starts it again.
    assert not outcome.deaths


@on_sqlite
def test_the_job_of_a_killed_worker_starts_again_in_time_and_without_its_parent_alone_it_goes_on(
    new_stack: NewStack,
) -> None:
    stack = new_stack(*ONE, TASKLANE_JOBS__LEASE_SECONDS=str(LEASE))
    outcome = recovery.run(stack, victim="worker", kills=2, lease=LEASE, parallel=2)
    assert outcome.is_good, recovery.show(outcome)
    outcome = recovery.run(stack, victim="parent", kills=1, lease=LEASE, parallel=1)
    # Nobody begins it a second time.
    assert (outcome.attempts, outcome.wrong_effects) == ([1], 0), recovery.show(outcome)


@on_postgresql
def test_jobs_without_workers_do_not_fill_redis(new_stack: NewStack) -> None:
    stack = new_stack(*ONE, TASKLANE_JOBS__LEASE_SECONDS="0.5")
    outcome = backlog.run(stack, seconds=4, jobs=30, lease=0.5, workers=1, drain_seconds=60)
    assert outcome.is_good, backlog.show(outcome)


@on_postgresql
def test_a_deploy_finishes_what_is_short_and_hands_back_what_is_long(new_stack: NewStack) -> None:
    stack = new_stack(*ONE, TASKLANE_JOBS__SHUTDOWN_GRACE_SECONDS="4")
    outcome = deploy.run(stack, rounds=1, grace=4)
    assert outcome.is_good, deploy.show(outcome)


@on_postgresql
def test_limits_and_refresh_tokens_hold_over_several_processes(
    new_stack: NewStack, own_redis_server: RedisServer
) -> None:
    wanted = {"limit": 40, "seconds": 3, "processes": 2}
    # Beside other tests Redis may need longer than a process waits for it before it counts alone.
    patient = {"TEST_REDIS_URL": f"{own_redis_server.url}&socket_timeout=5"}
    stack = new_stack(**limits.environ(**wanted), **patient)
    raced = rotation.run(stack, rounds=2, parallel=20)
    assert raced.is_good, rotation.show(raced)
    outcome = limits.run(stack, **wanted, crowd=8)
    # How fast the answers are is measured where nothing else runs.
    outcome.slowest_ms = 0
    assert outcome.is_good, limits.show(outcome)


@on_sqlite
def test_what_was_revoked_stays_out_whatever_is_dead(new_stack: NewStack) -> None:
    stack = new_stack(**revocation.ENVIRON)
    outcome = revocation.run(stack, None, times=1)
    assert (outcome.let_in, outcome.good["Redis hangs"][200]) == (0, 1), revocation.show(outcome)
    assert outcome.slowest < 1000, revocation.show(outcome)


@on_sqlite
def test_writes_go_on_without_redis_and_many_writers_lock_nobody_out(new_stack: NewStack) -> None:
    stack = new_stack("--processes", "2", "--threads", "16", **outage.USES_REDIS)
    # So few writes have no 99 %, and the machine may be busy with other tests.
    without_redis = outage.run(stack, count=60, clients=4, allowed=2)
    assert without_redis.is_good, outage.show(without_redis)
    crowded = locking.run(stack, seconds=2, clients=32)
    assert crowded.is_good, locking.show(crowded)


@on_postgresql
def test_equal_requests_are_done_once_and_what_was_answered_survives_who_answered(new_stack: NewStack) -> None:
    stack = new_stack("--processes", "2")
    repeated = repeats.run(stack, rounds=3, parallel=20)
    assert repeated.is_good, repeats.show(repeated)
    killed = durability.run(stack, count=1, clients=4, pause=0.2)
    assert killed.is_good, durability.show(killed)


@pytest.mark.parametrize(
    ("states", "effects", "lost", "not_over", "doubled"),
    [
        ([JobState.SUCCEEDED, JobState.SUCCEEDED], {1: 1, 2: 1}, 0, 0, 0),
        ([JobState.SUCCEEDED, JobState.QUEUED], {1: 1, 2: 0}, 0, 1, 0),
        ([JobState.STARTED, JobState.RETRYING], {1: 0, 2: 0}, 0, 2, 0),
        ([JobState.SUCCEEDED, JobState.STARTED], {1: 1, 2: 1}, 0, 1, 1),
        ([JobState.SUCCEEDED, JobState.FAILED], {1: 1, 2: 0}, 1, 0, 0),
        ([JobState.SUCCEEDED, JobState.SUCCEEDED], {1: 1, 2: 0}, 1, 0, 0),
        ([JobState.SUCCEEDED, JobState.SUCCEEDED], {1: 2, 2: 1}, 0, 0, 1),
        ([JobState.SUCCEEDED, JobState.FAILED], {1: 1, 2: 1}, 1, 0, 1),
        ([JobState.SUCCEEDED], {1: 1, 2: 0}, 1, 0, 0),
    ],
)
def test_the_count_would_notice(
    states: list[JobState], effects: dict[int, int], lost: int, not_over: int, doubled: int
) -> None:
    rows: dict[str, Any] = {
        f"job-{task_id}": {"state": state, "attempts": 1, "payload": {"task_id": task_id}}
        for task_id, state in enumerate(states, start=1)
    }
    stack: Any = SimpleNamespace(jobs_and_effects=lambda: (rows, effects))
    outcome = chaos.count(stack, [("job-1", 1), ("job-2", 2)])
    assert (len(outcome.lost), len(outcome.not_over), len(outcome.doubled)) == (lost, not_over, doubled)
    assert outcome.is_clean == (lost == not_over == doubled == 0)
