"""Watching a child at work: it is killed when a job does not react to its time limit, and its jobs outlive it."""

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from core.jobs import tally
from core.jobs.kinds import KINDS
from core.platform import clock
from core.platform.config.current import current_settings
from core.platform.database.base import db
from core.runs import lifecycle
from core.runs.lifecycle import Attempt
from workers.child import Assignment
from workers.children import Child, ChildEnded
from workers.wakeup import message_id

log = logging.getLogger("tasklane.worker")

# Seconds between two signs of life of the worker while its child is at work.
BEAT_SECONDS = 5.0
# What a child may take from hearing of its jobs to the beginning of the first.
CLAIM_SECONDS = 180.0

KILLED = "The worker process was killed in the middle of this job."


@dataclass(slots=True)
class Progress:
    """State of an assignment as the parent knows it: the place of the last job that has begun, and when it did.

    `is_told`: the child has said that it is through; `is_last`: that it leaves.
    """

    begun: int = -1
    began_at: float = 0.0
    is_told: bool = False
    is_last: bool = False


def follow(child: Child, assignment: Assignment, *, beat: Callable[[], None]) -> Progress:
    """Wait until the child has done its assignment, or has ended."""
    progress = Progress()
    limit, beat_at = clock.monotonic() + CLAIM_SECONDS, clock.monotonic() + BEAT_SECONDS
    while not progress.is_told:
        now = clock.monotonic()
        if now >= limit:
            job_id = assignment.attempts[max(progress.begun, 0)].job_id
            log.error("Job %s does not react to its time limit; its process is killed.", job_id)
            child.kill()
            limit = float("inf")
        if now >= beat_at:
            beat()
            beat_at = now + BEAT_SECONDS
        try:
            event = child.next_event(min(limit, beat_at) - now)
        except ChildEnded:
            break
        if event is None:
            continue
        if "begun" in event:
            kind = KINDS[event["kind"]]
            progress.begun, progress.began_at = event["begun"], clock.monotonic()
            limit = progress.began_at + kind.timeout_seconds + kind.kill_seconds
        else:
            progress.is_told, progress.is_last = True, event["leaves"]
    return progress


def clear_up(app: Flask, assignment: Assignment, progress: Progress, *, status: int) -> None:
    """Retry the job at once that a child has died of, instead of when its lease ends; give back what had not begun."""
    died_at, rest = _left_over(assignment.attempts, progress, status)
    if died_at is None and not rest:
        return
    with app.app_context():
        try:
            if died_at is not None:
                _give_up(died_at, assignment.token, clock.monotonic() - progress.began_at)
            if rest:
                lifecycle.release(rest, token=assignment.token)
        except SQLAlchemyError as error:
            log.warning("Jobs wait for their leases to end: %s", type(error).__name__)
        finally:
            disconnect()


def _left_over(
    attempts: Sequence[Attempt], progress: Progress, status: int
) -> tuple[Attempt | None, Sequence[Attempt]]:
    """Return the job that a child has died of, and those to give back."""
    begun = progress.begun
    if progress.is_told:
        return None, attempts[begun + 1 :] if progress.is_last else ()
    if status == os.EX_OK:
        # It was told to stop, and the last job may not have got as far as handing itself back.
        return None, attempts[max(begun, 0) :]
    if begun < 0:
        # One that ends by itself may do so each time; then leases are what keeps it from trying without a pause.
        return None, attempts if os.WIFSIGNALED(status) else ()
    return attempts[begun], attempts[begun + 1 :]


def _give_up(attempt: Attempt, token: str, seconds: float) -> None:
    kind = lifecycle.give_up(attempt.job_id, token, error=KILLED)
    if kind is not None:
        fields = {"outcome": "killed", "killed_attempt": message_id(*attempt)}
        log.error("%s: %s", kind, KILLED, extra=fields)
        tally.count(current_settings(), kind=kind, outcome="killed", seconds=seconds)


def disconnect() -> None:
    """Close what is open to the database: a child must not inherit it."""
    db.session.remove()
    db.engine.dispose()
