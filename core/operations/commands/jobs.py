"""Looking at jobs, and intervening."""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import click

from core.jobs.kinds import KINDS
from core.jobs.model import OPEN_STATES, Job, JobState
from core.operations.commands.common import in_app, refusals
from core.operations.commands.process import Failure
from core.platform import clock
from core.platform.access import OPERATOR
from core.platform.database.base import db
from core.platform.preconditions import ANY_STATE
from core.runs import service

LOOK_SECONDS = 0.5


@click.group()
def jobs() -> None:
    """Look at background jobs, cancel them, have them tried again."""


@jobs.command("list")
@click.option("--state", multiple=True, type=click.Choice([state.value for state in JobState]), help="Only these.")
@click.option("--kind", multiple=True, type=click.Choice(sorted(KINDS)), help="Only these.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="At most so many.")
@click.option("--follow", is_flag=True, help="Show the open ones and their progress until Ctrl-C.")
@in_app
def list_jobs(state: tuple[str, ...], kind: tuple[str, ...], limit: int, follow: bool) -> None:
    """List jobs, newest first."""
    states = [JobState(name) for name in state] or None
    if follow:
        _follow_all(states or list(OPEN_STATES), list(kind), limit)
        return
    _print(service.newest(state=states, kind=list(kind), limit=limit))


@jobs.command()
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="At most so many.")
@in_app
def dead(limit: int) -> None:
    """List jobs that have failed for good, newest first, and why."""
    rows = service.newest(state=[JobState.FAILED], kind=[], limit=limit)
    for job in rows:
        click.echo(f"{job.id}  {job.kind:<22} {_moment(job.finished_at)}  {job.error}")
    if not rows:
        click.echo("No job has failed.")


@jobs.command()
@click.argument("job_id", type=click.UUID)
@click.option("--follow", is_flag=True, help="Show the progress until the job is over.")
@in_app
def show(job_id: UUID, follow: bool) -> None:
    """Show all that is known of a job."""
    with refusals():
        followed = service.follow(OPERATOR, job_id=job_id)
        if follow and followed.is_open:
            _follow_one(job_id)
            followed = service.follow(OPERATOR, job_id=job_id)
    job = followed.job
    for name, value in _facts(followed):
        click.echo(f"{name:<12} {value}")
    if follow and job.state is not JobState.SUCCEEDED:
        raise Failure(f"The job has {'failed' if job.state is JobState.FAILED else 'been cancelled'}.")


@jobs.command()
@click.argument("job_ids", type=click.UUID, nargs=-1, required=True)
@in_app
def retry(job_ids: tuple[UUID, ...]) -> None:
    """Retry failed or cancelled jobs."""
    for job_id in job_ids:
        with refusals():
            service.retry(OPERATOR, job_id=job_id)
        click.echo(f"{job_id} is queued.")


@jobs.command()
@click.argument("job_ids", type=click.UUID, nargs=-1, required=True)
@in_app
def cancel(job_ids: tuple[UUID, ...]) -> None:
    """Cancel jobs that wait or run."""
    for job_id in job_ids:
        with refusals():
            service.cancel(OPERATOR, ANY_STATE, job_id=job_id)
        click.echo(f"{job_id} is cancelled.")


def _facts(followed: service.Followed) -> Iterator[tuple[str, Any]]:
    job = followed.job
    yield "id", job.id
    yield "kind", job.kind
    yield "state", job.state
    yield "progress", f"{job.progress} %"
    yield "attempts", f"{job.attempts} of {job.max_attempts}"
    yield "owner", "the service" if job.owner_id is None else job.owner_id
    yield "payload", json.dumps(job.payload, ensure_ascii=False)
    for name in ("created_at", "started_at", "finished_at"):
        yield name, _moment(getattr(job, name))
    if followed.position is not None:
        yield "position", followed.position
    if followed.expected_at is not None:
        yield "expected_at", _moment(followed.expected_at)
    if job.error:
        yield "error", job.error
    if job.result:
        yield "result", json.dumps(job.result, ensure_ascii=False)


def _moment(value: datetime | None) -> str:
    return "-" if value is None else value.strftime("%Y-%m-%d %H:%M:%S")


def _print(rows: Sequence[Job]) -> None:
    for job in rows:
        click.echo(_line(job))
    if not rows:
        click.echo("There is no such job.")


def _line(job: Job) -> str:
    return (
        f"{job.id}  {job.kind:<22} {job.state:<9} {_bar(job.progress)} {job.progress:>3} %"
        f"  {job.attempts}/{job.max_attempts}  {_moment(job.created_at)}"
    )


def _bar(progress: int, width: int = 10) -> str:
    done = progress * width // 100
    return f"[{'#' * done}{'.' * (width - done)}]"


def _follow_all(states: list[JobState], kinds: list[str], limit: int) -> None:
    while True:
        rows = service.newest(state=states, kind=kinds, limit=limit)
        db.session.remove()
        if sys.stdout.isatty():
            click.clear()
        click.echo(f"{clock.now():%H:%M:%S}  {len(rows)} jobs")
        for job in rows:
            click.echo(_line(job))
        time.sleep(LOOK_SECONDS * 2)


def _follow_one(job_id: UUID) -> None:
    with click.progressbar(length=100, label="Progress", file=sys.stderr) as bar:
        shown = 0
        while True:
            job = service.get(OPERATOR, job_id=job_id)
            progress = max(job.progress, shown)
            bar.update(progress - shown)
            shown = progress
            if job.state not in OPEN_STATES:
                return
            db.session.remove()
            time.sleep(LOOK_SECONDS)
