"""Queries over users."""

from collections.abc import Collection

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from core import texts
from core.db import find_locked
from core.users.model import User


class UserRepository:
    """Users in the database. Never commits and never authorises."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def add(self, user: User) -> User:
        self.session.add(user)
        self.session.flush()
        return user

    def find(self, user_id: int) -> User | None:
        return self.session.get(User, user_id)

    def find_for_update(self, user_id: int) -> User | None:
        return find_locked(self.session, User, user_id)

    def find_by_login(self, login: str) -> User | None:
        """Return the user with this username or e-mail address, whatever the case."""
        key = texts.login_name(login)
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

    def all(self) -> list[User]:
        return list(self.session.scalars(select(User).order_by(User.id)))
