"""Replaying the history gives the rows that are there, and kept sums are theirs, after any work in any order."""

import contextlib
from datetime import date, datetime, timedelta
from decimal import Decimal
from io import BytesIO
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
from flask import Flask
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import select, update

from core.exchange.columns import Kind
from core.exchange.imports.order import Match, OnError, Order
from core.exchange.imports.parsers import Format
from core.exchange.imports.work import Import
from core.items import service as items
from core.operations.cleanup import clean_up
from core.platform import clock
from core.platform.access import Actor, Role
from core.platform.config.current import current_settings
from core.platform.database.base import db
from core.platform.database.session import transaction
from core.platform.errors import DomainError, JobFailed
from core.platform.fields.types import Ref
from core.platform.preconditions import ANY_STATE
from core.projects import service as projects
from core.projects.model import ProjectRole
from core.removal import service as removal
from core.stats.days import Days
from core.stats.repository import StatsRepository
from core.tasks import bulk, handover, processing
from core.tasks import service as tasks
from core.tasks.bulk import BulkOp, Operation
from core.tasks.fields import FIELDS, TaskStatus
from core.tasks.model import PRESENT, TRASHED, Task, TaskChange
from core.tasks.recording import as_written
from core.users.model import User
from tests.support.database import empty
from tests.support.values import values_of

TITLES = st.sampled_from(["a", "b", " c ", "ä" * 150])
GIVEN: dict[str, st.SearchStrategy[Any]] = {
    "title": TITLES,
    "description": st.sampled_from(["", "long " * 50, "\U0001f331"]),
    "due_date": st.dates(date(2026, 1, 1), date(2026, 1, 3)),
}
# Everything that people may set; what is referred to has to exist, and is below.
SET = [field for field in FIELDS if field.is_writable and not isinstance(field.type, Ref)]
VALUES = st.fixed_dictionaries(
    {},
    optional={
        field.name: (st.none() if field.nullable else st.nothing()) | GIVEN.get(field.name, values_of(field))
        for field in SET
    },
)
PICK = st.integers(0, 5)
# The moments and the version are in the entries themselves.
TOLD = sorted({column.name for column in Task.__table__.columns} - {"id", "version", "created_at", "updated_at"})


class Work(RuleBasedStateMachine):
    """Three people with projects and items, who do everything that one can do to tasks."""

    app: Flask

    @initialize()
    def begin(self) -> None:
        empty(self.app)
        self.context = self.app.app_context()
        self.context.push()
        self.counter = 0
        with transaction() as session:
            people = [
                User(username=name, email=f"{name}@example.com", password_hash="x", role=role)
                for name, role in (("root", Role.ADMIN), ("ada", Role.USER), ("bob", Role.USER))
            ]
            session.add_all(people)
        self.actors = [Actor(user.id, user.role) for user in people]
        self.items = [items.create(self.actors[1], name="x", price=Decimal(1)).id for _ in range(2)]  # type: ignore[arg-type]
        self.projects = [projects.create(self.actors[1], key=key, name="x").id for key in ("AA", "BB")]
        for project_id in self.projects:
            projects.set_member(
                self.actors[1], ANY_STATE, project_id=project_id, user_id=people[2].id, role=ProjectRole.EDITOR
            )

    def teardown(self) -> None:
        if hasattr(self, "context"):
            db.session.remove()
            self.context.pop()

    def actor(self, pick: int) -> Actor:
        return self.actors[pick % len(self.actors)]

    def task(self, pick: int) -> int:
        numbers = db.session.scalars(select(Task.id).order_by(Task.id)).all()
        db.session.commit()
        return numbers[pick % len(numbers)] if numbers else 1

    def references(self, pick: int) -> dict[str, Any]:
        """Some reference, also to what is gone."""
        return [
            {},
            {"assignee_id": self.actor(pick).user_id},
            {"assignee_id": None, "project_id": None},
            {"project_id": self.projects[0]},
            {"project_id": self.projects[1], "item_id": self.items[0]},
            {"item_id": self.items[1]},
        ][pick]

    @rule(who=PICK, title=TITLES, values=VALUES, reference=PICK)
    def create(self, who: int, title: str, values: dict[str, Any], reference: int) -> None:
        with contextlib.suppress(DomainError):
            tasks.create(self.actor(who), **{**values, "title": title, **self.references(reference)})

    @rule(who=PICK, task=PICK, values=VALUES, reference=PICK)
    def change(self, who: int, task: int, values: dict[str, Any], reference: int) -> None:
        with contextlib.suppress(DomainError):
            tasks.change(self.actor(who), ANY_STATE, task_id=self.task(task), **values, **self.references(reference))

    @rule(who=PICK, task=PICK, title=TITLES, status=st.sampled_from(list(TaskStatus)))
    def replace(self, who: int, task: int, title: str, status: TaskStatus) -> None:
        with contextlib.suppress(DomainError):
            tasks.change(
                self.actor(who),
                ANY_STATE,
                task_id=self.task(task),
                **(tasks.CLEARED | {"title": title, "status": status}),
            )

    @rule(who=PICK, task=PICK)
    def delete(self, who: int, task: int) -> None:
        with contextlib.suppress(DomainError):
            tasks.delete(self.actor(who), ANY_STATE, task_id=self.task(task))

    @rule(who=PICK, task=PICK)
    def restore(self, who: int, task: int) -> None:
        with contextlib.suppress(DomainError):
            tasks.restore(self.actor(who), ANY_STATE, task_id=self.task(task))

    @rule(
        who=PICK,
        chosen=st.lists(st.tuples(st.sampled_from(list(BulkOp)), PICK, VALUES), max_size=4),
        atomic=st.booleans(),
    )
    def bulk(self, who: int, chosen: list[tuple[BulkOp, int, dict[str, Any]]], atomic: bool) -> None:
        operations = [
            Operation(op, values={"title": "new", **values})
            if op is BulkOp.CREATE
            else Operation(op, self.task(task), values=values)
            for op, task, values in chosen
        ]
        with contextlib.suppress(DomainError):
            bulk.run(self.actor(who), operations=operations, atomic=atomic)

    @rule(giver=PICK, receiver=PICK, task=st.none() | PICK)
    def transfer(self, giver: int, receiver: int, task: int | None) -> None:
        with contextlib.suppress(DomainError):
            handover.transfer(
                self.actors[0],
                from_user_id=self.actor(giver).user_id,
                to_user_id=self.actor(receiver).user_id,
                task_ids=None if task is None else [self.task(task)],
            )

    @rule(who=PICK, task=PICK)
    def process(self, who: int, task: int) -> None:
        with contextlib.suppress(JobFailed), transaction() as session:
            processing.finish(session, self.actor(who), task_id=self.task(task))

    @rule(who=PICK, task=PICK, values=VALUES)
    def import_rows(self, who: int, task: int, values: dict[str, Any]) -> None:
        row = {"id": self.task(task), "title": "imported", **values}
        for match, rows in ((Match.ID, [row]), (Match.EXTERNAL_ID, [{"title": "new"}, {"title": "newer"}])):
            file = orjson.dumps(rows)
            order = Order(kind=Kind.TASKS, format=Format.JSON, dry_run=False, on_error=OnError.SKIP, match=match)
            with Import(self.actor(who), BytesIO(file), order, size=len(file), report=lambda percent: None) as work:
                work.examine()
                with transaction() as session:
                    work.store(session)

    @rule(pick=st.integers(0, 1), kind=st.sampled_from(["item", "project"]), alone=st.booleans())
    def delete_what_tasks_refer_to(self, pick: int, kind: str, alone: bool) -> None:
        column, number = (Task.item_id, self.items[pick]) if kind == "item" else (Task.project_id, self.projects[pick])
        referring = db.session.scalars(select(Task.id).where(column == number, PRESENT)).all() if alone else []
        for task_id in referring:
            tasks.delete(self.actors[0], ANY_STATE, task_id=task_id)
        with contextlib.suppress(DomainError):
            if kind == "item":
                removal.delete_item(self.actors[0], ANY_STATE, item_id=self.items[pick])
                self.items[pick] = items.create(self.actors[0], name="x", price=Decimal(1)).id
            else:
                removal.delete_project(self.actors[0], ANY_STATE, project_id=self.projects[pick])
                self.counter += 1
                key = "C" + "".join(chr(65 + int(digit)) for digit in str(self.counter))
                self.projects[pick] = projects.create(self.actors[1], key=key, name="x").id

    @rule(receiver=st.none() | st.integers(0, 1))
    def leave(self, receiver: int | None) -> None:
        with contextlib.suppress(DomainError):
            to = None if receiver is None else self.actors[receiver].user_id
            removal.delete_user(self.actors[0], ANY_STATE, user_id=self.actors[2].user_id, transfer_to=to)
            self.counter += 1
            name = f"bob{self.counter}"
            user = User(username=name, email=f"{name}@example.com", password_hash="x", role=Role.USER)
            with transaction() as session:
                session.add(user)
            self.actors[2] = Actor(user.id, user.role)

    @rule(days=st.sampled_from([29, 31]))
    def wait(self, days: int) -> None:
        """Let what is in the trash grow old, as far as rows and history can tell."""
        deleted_at = clock.now() - timedelta(days=days)
        with transaction() as session:
            trashed = session.scalars(select(Task.id).where(TRASHED)).all()
            session.execute(
                update(Task).where(TRASHED).values(deleted_at=deleted_at, updated_at=Task.updated_at),
                execution_options={"synchronize_session": False},
            )
            for change in session.scalars(select(TaskChange).where(TaskChange.task_id.in_(trashed))):
                if change.changes.get("deleted_at", [None, None])[1] is not None:
                    change.changes = {**change.changes, "deleted_at": [None, as_written(deleted_at)]}
                elif "deleted_at" in change.changes:
                    change.changes = {**change.changes, "deleted_at": [as_written(deleted_at), None]}
        clean_up(current_settings(), lambda: None)

    @invariant()
    def the_sums_are_those_of_the_tasks(self) -> None:
        if not hasattr(self, "context"):
            return
        stats, today = StatsRepository(db.session()), clock.now().date()
        days = Days(today - timedelta(days=40), today, ZoneInfo("Asia/Kathmandu"))
        assert days.are_of_quarters
        assert stats.sums_of_all(today=today) == stats.sums(PRESENT, today=today, by_owner=True)
        created, completed = stats.per_day_of_all(days)
        assert {day: count for day, count in created.items() if count} == stats.per_day(Task.created_at, days, PRESENT)
        counted = stats.per_day(Task.completed_at, days, PRESENT)
        assert {day: count for day, count in completed.items() if count} == counted
        db.session.commit()

    @invariant()
    def the_history_leads_to_what_is_there(self) -> None:
        if not hasattr(self, "context"):
            return
        replayed: dict[int, dict[str, Any]] = {}
        versions: dict[int, int] = {}
        moments: dict[int, datetime] = {}
        for change in db.session.scalars(select(TaskChange).order_by(TaskChange.id)):
            state = replayed.setdefault(change.task_id, dict.fromkeys(TOLD))
            for name, (old, new) in change.changes.items():
                assert state[name] == old
                assert old != new
                state[name] = new
            assert change.version == versions.get(change.task_id, 0) + 1
            versions[change.task_id], moments[change.task_id] = change.version, change.at
        present = db.session.scalars(select(Task).execution_options(populate_existing=True)).all()
        assert {task.id: {name: as_written(getattr(task, name)) for name in TOLD} for task in present} == replayed
        assert {task.id: task.version for task in present} == versions
        assert {task.id: task.updated_at for task in present} == moments
        db.session.commit()


@pytest.mark.filterwarnings("ignore:.*hypothesis")
def test_the_history_leads_to_what_is_there_and_the_sums_are_right(app: Flask, engine_name: str) -> None:
    class Here(Work):
        pass

    Here.app = app
    run_state_machine_as_test(
        Here,
        settings=settings(
            # Which work leads where is a matter of services; that PostgreSQL stores it alike takes fewer examples.
            max_examples=40 if engine_name == "sqlite" else 10,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
