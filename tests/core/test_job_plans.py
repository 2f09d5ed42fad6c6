"""Looking for open jobs costs as much as is open, and not as much as there ever was."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, insert
from sqlalchemy.engine import Connection

from core.jobs.kinds import KINDS
from core.jobs.model import Job, JobState
from core.jobs.repository import JobRepository
from core.platform import clock
from core.platform.database.base import db
from tests.support.tasks import analyze

SMALL_INDEXES = ("ix_jobs_due_at", "uq_jobs_dedupe_key")


def job(state: JobState) -> dict[str, Any]:
    return {"kind": "email", "payload": {}, "state": state, "max_attempts": 1}


@pytest.mark.parametrize(
    "ask",
    [
        lambda jobs: jobs.any_due(clock.now(), frozenset(KINDS)),
        lambda jobs: jobs.any_due(clock.now(), None),
        lambda jobs: jobs.next_due(frozenset(KINDS)),
        lambda jobs: jobs.due_by_turns(clock.now(), frozenset(KINDS), 50),
        lambda jobs: jobs.count_open(ordered_before=clock.now(), due_before=clock.now()),
        lambda jobs: jobs.summarise_open(),
    ],
    ids=["any_due of kinds", "any_due", "next_due", "due_by_turns", "count_open", "summarise_open"],
)
def test_open_jobs_are_found_by_the_small_indexes(app: Flask, ask: Callable[[JobRepository], Any]) -> None:
    asked: list[tuple[str, Any]] = []

    def note(connection: Connection, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        asked.append((statement, parameters))

    with app.app_context():
        session = db.session()
        is_sqlite = db.engine.dialect.name == "sqlite"
        # Filled, analysed and asked in one transaction, so that nobody changes in between what the planner knows.
        session.execute(insert(Job), [job(state) for state in [JobState.QUEUED] * 5 + [JobState.SUCCEEDED] * 3_000])
        analyze(session)
        event.listen(db.engine, "before_cursor_execute", note)
        try:
            ask(JobRepository(session))
        finally:
            event.remove(db.engine, "before_cursor_execute", note)
        statement, parameters = asked[-1]
        explain = "EXPLAIN QUERY PLAN " if is_sqlite else "EXPLAIN "
        plan = str(session.connection().exec_driver_sql(explain + statement, parameters).all())
        session.rollback()
    assert any(index in plan for index in SMALL_INDEXES), plan
