"""Running jobs in the process of a test, the way a worker does."""

from uuid import UUID

from flask import Flask

from core.jobs.model import Job
from core.platform.database.base import db
from core.runs import lifecycle
from core.runs.lifecycle import Sending
from workers.runner import run_job


def run_jobs(app: Flask) -> list[Sending]:
    """Run every due job, and return what that was."""
    done: list[Sending] = []
    while True:
        with app.app_context():
            sendings = lifecycle.take_due(lease_seconds=30)
        if not sendings:
            return done
        for sending in sendings:
            run(app, sending.job_id, sending.attempt)
        done += sendings


def run(app: Flask, job_id: UUID, attempt: int = 0) -> Job:
    """Run one attempt of a job, and return the job as it is then."""
    with app.app_context():
        run_job(str(job_id), attempt)
    return find(app, job_id)


def find(app: Flask, job_id: UUID) -> Job:
    """Return a job as it is now."""
    with app.app_context():
        return db.session.get_one(Job, job_id)
