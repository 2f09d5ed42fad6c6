"""Counting what belongs to one person, in SQL."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, func, or_, select

from core.platform.database.repository import Repository
from core.posts import policy as posts
from core.posts.model import Post
from core.tasks.fields import TaskStatus
from core.tasks.model import CLOSED, PRESENT, Task


class ProfileRepository(Repository):
    """Sums over one person's tasks and posts."""

    def task_counts(self, user_id: int, *, today: date, week: datetime, month: datetime) -> Row[Any]:
        """Return one row about the tasks that the user owns or is assigned to, each counted once."""
        is_own = Task.owner_id == user_id
        is_assigned = Task.assignee_id == user_id
        is_open = Task.status.not_in(CLOSED)
        counts: list[ColumnElement[Any]] = [
            *(func.count().filter(is_own, Task.status == status).label(f"owned_{status}") for status in TaskStatus),
            func.count().filter(is_assigned, is_open).label("assigned_open"),
            func.count().filter(is_open, Task.due_date < today).label("overdue"),
            func.count().filter(Task.completed_at >= week).label("completed_7_days"),
            func.count().filter(Task.completed_at >= month).label("completed_30_days"),
            func.max(Task.updated_at).label("last_change"),
        ]
        query = select(*counts).where(PRESENT, or_(is_own, is_assigned))
        return self.session.execute(query).one()

    def post_counts(self, user_id: int) -> Row[int, datetime]:
        """Return how many posts the user has written, and when one was last changed."""
        query = select(func.count().label("posts"), func.max(Post.updated_at).label("last_change"))
        return self.session.execute(query.where(Post.user_id == user_id, posts.PRESENT)).one()
