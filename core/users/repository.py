"""Queries over users."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, null, or_, select

from core.platform.access import Role
from core.platform.database.repository import Repository
from core.platform.database.statements import find_locked
from core.platform.text import checks
from core.users.fields import FIELDS
from core.users.model import User

# What everybody may know of a colleague, and what only some may.
_SHOWN = [field for field in FIELDS if field.listed or field.column]
_PUBLIC = [getattr(User, field.name) for field in _SHOWN if not field.private]
_PRIVATE = [getattr(User, field.name) for field in _SHOWN if field.private]


class UserRepository(Repository):
    """Users in the database."""

    def find(self, user_id: int) -> User | None:
        return self.session.get(User, user_id)

    def find_now(self, user_id: int) -> User | None:
        """Return the user as they are now, whatever the session has read of them before."""
        return self.session.get(User, user_id, populate_existing=True)

    def find_for_update(self, user_id: int) -> User | None:
        return find_locked(self.session, User, user_id)

    def lock_with_admins(self, *user_ids: int, to_delete: bool = False) -> dict[int, User]:
        """Return these users and all active administrators by id, as they are now, locked where the engine locks rows.

        One statement in one order, so that changes which could together remove
        the last administrator queue up, and do not deadlock.
        """
        is_admin = and_(User.role == Role.ADMIN, User.is_active)
        query = select(User).where(or_(User.id.in_(user_ids), is_admin)).order_by(User.id)
        query = query.with_for_update(key_share=not to_delete)
        rows = self.session.scalars(query, execution_options={"populate_existing": True})
        return {user.id: user for user in rows}

    def select(self, *conditions: ColumnElement[bool], with_details: bool) -> Select[*tuple[Any, ...]]:
        """Return a query for plain rows; without details these are null and never leave the database."""
        details = _PRIVATE if with_details else [null().label(column.key) for column in _PRIVATE]
        return select(*_PUBLIC, *details).where(*conditions)

    def find_by_login(self, login: str) -> User | None:
        """Return the user with this username or e-mail address, whatever the case."""
        key = checks.login_name(login)
        # A username cannot contain '@', so the two can never mean different people.
        column = User.email if "@" in key else User.username
        return self.session.scalar(select(User).where(func.lower(column) == key))

    def find_taken(self, *, username: str, email: str) -> list[User]:
        """Return the users who already have this username or this address."""
        return list(
            self.session.scalars(
                select(User).where(
                    or_(func.lower(User.username) == username.lower(), func.lower(User.email) == email.lower())
                )
            )
        )

    def list_active_ids(self, user_ids: Collection[int]) -> set[int]:
        """Return those of the numbers that belong to active users."""
        if not user_ids:
            return set()
        return set(self.session.scalars(select(User.id).where(User.id.in_(user_ids), User.is_active)))

    def list_owners(self, usernames: Collection[str]) -> dict[str, int]:
        """Return who has which of these usernames, all in lower case."""
        if not usernames:
            return {}
        name = func.lower(User.username)
        return {row[0]: row[1] for row in self.session.execute(select(name, User.id).where(name.in_(usernames)))}

    def list_active_admins(self) -> list[User]:
        return list(self.session.scalars(select(User).where(User.role == Role.ADMIN, User.is_active).order_by(User.id)))

    def all(self) -> list[User]:
        return list(self.session.scalars(select(User).order_by(User.id)))
