"""Queries over posts."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, func, select

from core.platform.database.prepared import insert_row
from core.platform.database.repository import Repository
from core.platform.database.statements import find_locked
from core.posts.model import Post
from core.posts.policy import PRESENT
from core.users.model import User

# What readers see of whoever wrote a post. Without a join, what is counted is posts alone.
_NAME = select(func.coalesce(User.name, User.username)).where(User.id == Post.user_id)
_AUTHOR = _NAME.correlate(Post).scalar_subquery().label("author")


class PostRepository(Repository):
    """Posts in the database, one by one without those in the trash."""

    def insert(self, row: Mapping[str, Any]) -> int:
        """Insert a post; return its number."""
        return insert_row(self.session, Post, row)

    def find_shown(self, post_id: int, *extra: ColumnElement[Any]) -> Row[Any] | None:
        """Return a post as readers see it, with its author's name, and more columns if asked."""
        return self.session.execute(self.select(Post.id == post_id, PRESENT).add_columns(*extra)).one_or_none()

    def find_for_update(self, post_id: int) -> Post | None:
        return find_locked(self.session, Post, post_id, PRESENT)

    def select(self, *conditions: ColumnElement[bool]) -> Select[Any]:
        """Return a query for posts as readers see them, as plain rows."""
        return select(*Post.__table__.columns, _AUTHOR).where(*conditions)
