"""Queries over what people want to get, and what they were reminded of."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from sqlalchemy import and_, delete, or_, select

from core.mail.model import MailKind, MailOptOut, TaskReminder
from core.platform.database.repository import Repository
from core.platform.database.statements import insert_new
from core.projects.model import Project
from core.tasks.model import CLOSED, PRESENT, Task
from core.users.model import User


class Reminder(NamedTuple):
    """User, task and due date of one reminder."""

    task_id: int
    user_id: int
    due_date: date


class MailRepository(Repository):
    """Preferences and reminders in the database."""

    def list_unwanted(self, user_id: int) -> set[str]:
        """Return the kinds of message that a user does not want."""
        return set(self.session.scalars(select(MailOptOut.kind).where(MailOptOut.user_id == user_id)))

    def opt_out(self, user_id: int, kinds: Collection[MailKind]) -> None:
        """Note that a user does not want these, whether or not they said so before."""
        if kinds:
            rows = [{"user_id": user_id, "kind": str(kind)} for kind in kinds]
            self.session.execute(insert_new(self.session, MailOptOut, rows))

    def opt_in(self, user_id: int, kinds: Collection[MailKind]) -> None:
        """Note that a user wants these again."""
        if kinds:
            self.session.execute(delete(MailOptOut).where(MailOptOut.user_id == user_id, MailOptOut.kind.in_(kinds)))

    def list_zones(self) -> list[str]:
        """Return the time zones that active people live in."""
        return list(self.session.scalars(select(User.time_zone).where(User.is_active).distinct()))

    def lock_unreminded(self, due: Mapping[date, Sequence[str]], limit: int) -> list[Reminder]:
        """Return reminders that have not been ordered: of open tasks with these due dates, to people in these zones.

        Their tasks and people are kept from vanishing until the transaction ends.
        A task that another transaction is changing at the moment is left for the next time, so
        that this waits for no lock and cannot take part in a deadlock.
        """
        reminded = (
            select(TaskReminder.task_id)
            .where(
                TaskReminder.task_id == Task.id,
                TaskReminder.user_id == User.id,
                TaskReminder.due_date == Task.due_date,
            )
            .exists()
        )
        unwanted = (
            select(MailOptOut.user_id)
            .where(MailOptOut.user_id == User.id, MailOptOut.kind == MailKind.TASK_REMINDER)
            .exists()
        )
        query = (
            select(Task.id, User.id, Task.due_date)
            .join(User, or_(User.id == Task.owner_id, User.id == Task.assignee_id))
            .where(
                # Redundant, but it lets the engine use the index of due dates.
                Task.due_date.between(min(due), max(due)),
                or_(*(and_(Task.due_date == day, User.time_zone.in_(zones)) for day, zones in due.items())),
                Task.status.not_in(CLOSED),
                PRESENT,
                # Members cannot close the tasks of an archived project.
                or_(Task.project_id.is_(None), Task.project_id.not_in(select(Project.id).where(Project.archived))),
                User.is_active,
                ~reminded,
                ~unwanted,
            )
            .order_by(Task.due_date, Task.id, User.id)
            .limit(limit)
        )
        rows: Sequence[Any] = self.session.execute(
            query.with_for_update(read=True, key_share=True, skip_locked=True, of=(Task, User))
        ).all()
        return [Reminder(*row) for row in rows]

    def take(self, reminders: Sequence[Reminder]) -> list[Reminder]:
        """Note that these are ordered; return those that no other process has ordered meanwhile."""
        if not reminders:
            return []
        # Everybody adds keys in the same order, because one waits for the other's at each.
        rows = [reminder._asdict() for reminder in sorted(reminders)]
        columns = (TaskReminder.task_id, TaskReminder.user_id, TaskReminder.due_date)
        statement = insert_new(self.session, TaskReminder, rows).returning(*columns)
        return [Reminder(*row) for row in self.session.execute(statement)]

    def forget_reminders(self, before: date) -> None:
        """Forget reminders of due dates that are long over."""
        self.session.execute(delete(TaskReminder).where(TaskReminder.due_date < before))
