"""Who asks, and what they may ask for at all.

A `Permission` opens a door (may this caller use this operation?); the policy of
a domain then decides about the single thing (may they change this task?).
"""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    USER = "user"
    ADMIN = "admin"


class Permission(StrEnum):
    """Everything that an endpoint can ask for. PUBLIC asks for nothing."""

    PUBLIC = "public"
    SESSION_REFRESH = "session:refresh"
    ACCOUNT_READ = "account:read"
    ACCOUNT_WRITE = "account:write"
    TASKS_READ = "tasks:read"
    TASKS_WRITE = "tasks:write"
    JOBS_READ = "jobs:read"
    SEARCH_READ = "search:read"


_USER = frozenset(Permission)
GRANTS: dict[Role, frozenset[Permission]] = {Role.USER: _USER, Role.ADMIN: _USER}


@dataclass(frozen=True, slots=True)
class Actor:
    """The verified caller of a service."""

    user_id: int
    role: Role
    session_id: str | None = None

    @property
    def is_admin(self) -> bool:
        return self.role is Role.ADMIN

    def has(self, permission: Permission) -> bool:
        """Return whether the caller's role grants the permission."""
        return permission in GRANTS[self.role]
