"""Frame of every job: claim, run and finish, in the child of a worker."""

import logging
import signal
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import partial
from importlib import import_module
from types import FrameType
from typing import Any
from uuid import UUID

from flask import current_app
from rq.timeouts import JobTimeoutException, UnixSignalDeathPenalty
from sqlalchemy.exc import SQLAlchemyError

from core.jobs import tally
from core.jobs.kinds import EMAILS, KINDS
from core.platform import clock
from core.platform.config.current import current_settings
from core.platform.database import outage_log
from core.platform.database.base import db
from core.platform.database.repeats import repeated
from core.platform.database.trouble import is_away
from core.platform.errors import DomainError, JobFailed
from core.platform.logs import context
from core.platform.text import redaction
from core.runs import lifecycle
from core.runs.lifecycle import Attempt
from core.runs.run import LeaseLost, Run
from workers.watch import Taken, Watch, name_lines

log = logging.getLogger("tasklane.worker")


HAND_BACK = signal.SIGUSR1
# For how long a run whose database is away waits to hand its job back, and how often one job is handed back for that.
AWAY_SECONDS = 600.0
AWAY_PAUSE = 2.0
MOST_HANDED_BACK = 100


class Stopping(BaseException):
    """The worker has to stop now. Not an Exception, so that no job swallows it."""


class TimeUp(BaseException):
    """The job takes too long. Not an Exception, for the same reason.

    It also keeps SQLAlchemy from using a connection again on which a statement
    was interrupted; psycopg could not even roll back on it.
    """


class TimeLimit(UnixSignalDeathPenalty):
    """RQ's time limit of a job, with an exception of ours."""

    def handle_death_penalty(self, signum: int, frame: FrameType | None) -> None:
        if self._exception is JobTimeoutException:
            raise TimeUp
        super().handle_death_penalty(signum, frame)  # type: ignore[no-untyped-call]


def run_job(job_id: str, attempt: int) -> None:
    """Run one attempt of a job. It is what messages call by name, so that older processes can run them."""
    context.job_id.set(job_id)
    for run in claim([Attempt(UUID(job_id), attempt)], token=lifecycle.new_token()):
        with Watch(current_app._get_current_object(), [run]) as watch:  # type: ignore[attr-defined]
            watch.begin_next()
            perform(run, watch)


def claim(attempts: Collection[Attempt], *, token: str) -> list[Run]:
    """Return the runs of those attempts that are to be made now."""
    try:
        runs = lifecycle.claim_all(attempts, token=token, lease_seconds=current_settings().jobs.lease_seconds)
    except SQLAlchemyError as error:
        db.session.remove()
        if not is_away(error):
            raise
        # Nothing has happened to the jobs, so they are sent again.
        outage_log.tell(log, error)
        return []
    if len(runs) < len(attempts):
        log.info("%s of %s: nothing to do, late duplicates or cancelled.", len(attempts) - len(runs), len(attempts))
    return runs


def perform(run: Run, watch: Watch) -> None:
    """Make an attempt that is claimed, and the current one of its watch.

    Never raises for a failed job: its row says what happened, and when it is
    tried again.
    """
    redaction.forget_confided()
    name_lines(run)
    run.began_at = clock.monotonic()
    log.info("%s started, attempt %s of %s", run.kind, run.attempt, run.max_attempts)
    try:
        try:
            _call(run)
        finally:
            watch.end_current()
    except (LeaseLost, Taken):
        db.session.rollback()
        _end(run, "taken", "%s was cancelled, or taken from this run; nothing of it was stored.", run.kind)
    except Stopping:
        db.session.rollback()
        _end(run, "handed_back", "%s is handed back, because this worker stops", run.kind)
        _unless_over(run.hand_back)
    except TimeUp:
        db.session.rollback()
        _end(run, "timed_out", "%s took too long", run.kind)
        _unless_over(partial(run.fail, f"The job took longer than {KINDS[run.kind].timeout_seconds} s."))
    finally:
        db.session.remove()


def _end(
    run: Run, outcome: str, words: str, *arguments: object, level: int = logging.WARNING, exc_info: bool = False
) -> None:
    """Write the last line of an attempt, and count it."""
    seconds = clock.monotonic() - run.began_at
    fields = {"outcome": outcome, "duration_ms": round(seconds * 1000, 1)}
    log.log(level, f"{words} [%.3f s]", *arguments, seconds, exc_info=exc_info, extra=fields)
    tally.count(current_settings(), kind=run.kind, outcome=outcome, seconds=seconds)


def _unless_over(record: Callable[[], None]) -> None:
    """Record how a run was interrupted, unless that came just after its end."""
    with suppress(LeaseLost):
        record()


def _call(run: Run) -> None:
    try:
        result = _work(run) if run.kind in EMAILS else repeated(_work)(run)
        if not run.is_finished:
            with run.completing(**(result or {})):
                pass
        _end(run, "succeeded", "%s succeeded", run.kind, level=logging.INFO)
    except LeaseLost:
        raise
    except JobFailed as error:
        _end(run, "failed", "%s failed for good: %s", run.kind, error.message)
        if not run.is_finished:
            run.fail(error.message, permanently=True)
    except DomainError as error:
        _end(run, _failure(run), "%s failed: %s", run.kind, error.message)
        run.fail(error.message)
    except Exception as error:  # noqa: BLE001 - it is logged with its traceback
        if is_away(error) and run.max_attempts < KINDS[run.kind].attempts + MOST_HANDED_BACK:
            _hand_back_when_possible(run, error)
            return
        _end(run, _failure(run), "%s failed", run.kind, level=logging.ERROR, exc_info=True)
        # The log has the rest; a user must not read of hosts, paths or SQL.
        run.fail(f"The job failed unexpectedly ({type(error).__name__}).")


def _hand_back_when_possible(run: Run, error: Exception) -> None:
    """Return the job at no cost of an attempt as soon as the database answers again: that it did not is not its fault.

    Meanwhile nothing could be done here anyway. Raises SQLAlchemyError if it takes too long; then its lease ends.
    """
    outage_log.tell(log, error)
    _end(run, "handed_back", "%s is handed back, because the database does not answer", run.kind)
    until = clock.monotonic() + AWAY_SECONDS
    while True:
        db.session.remove()
        try:
            _unless_over(run.hand_back)
            return
        except SQLAlchemyError as again:
            if not is_away(again) or clock.monotonic() > until:
                raise
            outage_log.tell(log, again)
        time.sleep(AWAY_PAUSE)


def _work(run: Run) -> dict[str, Any] | None:
    """Do the work of an attempt; again as a whole if it lost to another transaction, unless a message may be out."""
    function = resolve(KINDS[run.kind].function)
    run.begin()
    run.authorise()
    return function(run, **run.payload)


def _failure(run: Run) -> str:
    """Return what a failed attempt means for its job."""
    return "retrying" if run.attempt < run.max_attempts else "failed"


def resolve(name: str) -> Callable[..., dict[str, Any] | None]:
    """Return the function that a dotted name means."""
    module, _, attribute = name.rpartition(".")
    function: Callable[..., dict[str, Any] | None] = getattr(import_module(module), attribute)
    return function


def raise_stopping(signum: int, frame: FrameType | None) -> None:
    """Handle HAND_BACK."""
    signal.signal(HAND_BACK, signal.SIG_IGN)  # A second one must not interrupt the hand-back.
    raise Stopping


def is_stopping() -> bool:
    """Return whether this process was told to hand back what it does."""
    return signal.getsignal(HAND_BACK) is signal.SIG_IGN
