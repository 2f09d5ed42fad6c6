"""Callers, and the permissions that open an operation to them.

A `Permission` opens a door (may this caller use this operation?); the policy of
a domain then decides about the single thing (may they change this task?).
"""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    USER = "user"
    ADMIN = "admin"


class Permission(StrEnum):
    """Right that an endpoint can ask for. PUBLIC asks for none."""

    PUBLIC = "public"
    SESSION_REFRESH = "session:refresh"
    CREDENTIALS_MANAGE = "credentials:manage"
    ACCOUNT_READ = "account:read"
    ACCOUNT_WRITE = "account:write"
    TASKS_READ = "tasks:read"
    TASKS_WRITE = "tasks:write"
    PROJECTS_READ = "projects:read"
    PROJECTS_WRITE = "projects:write"
    JOBS_READ = "jobs:read"
    JOBS_WRITE = "jobs:write"
    POSTS_READ = "posts:read"
    POSTS_WRITE = "posts:write"
    ITEMS_READ = "items:read"
    ITEMS_WRITE = "items:write"
    USERS_READ = "users:read"
    USERS_WRITE = "users:write"
    USERS_ADMIN = "users:admin"
    UPSTREAMS_USE = "upstreams:use"
    SEARCH_READ = "search:read"
    SECURITY_READ = "security:read"


class Via(StrEnum):
    """Way by which a caller acts."""

    API = "api"
    JOB = "job"
    IMPORT = "import"
    COMMAND = "command"


@dataclass(frozen=True, slots=True)
class Author:
    """Author of a change as history shows it; None for a change that no account made."""

    user_id: int | None
    via: Via


_ADMIN = frozenset(Permission)
_USER = _ADMIN - {Permission.USERS_ADMIN}
GRANTS: dict[Role, frozenset[Permission]] = {Role.USER: _USER, Role.ADMIN: _ADMIN}

# What an API key may be given. Whoever finds a key must not be able to turn it
# into a password, a session or another key.
SCOPES = tuple(
    permission
    for permission in Permission
    if permission not in (Permission.PUBLIC, Permission.SESSION_REFRESH, Permission.CREDENTIALS_MANAGE)
)


@dataclass(frozen=True, slots=True)
class Actor:
    """The verified caller of a service.

    `scopes` is what an API key is limited to; None is no limit. `key_id` is the
    number of that key, or None without one.
    """

    user_id: int
    role: Role
    session_id: str | None = None
    scopes: frozenset[Permission] | None = None
    key_id: int | None = None
    via: Via = Via.API

    @property
    def author(self) -> Author:
        """Return how the actor is written down in a history."""
        return Author(self.user_id or None, self.via)

    @property
    def is_admin(self) -> bool:
        return self.role is Role.ADMIN

    def has(self, permission: Permission) -> bool:
        """Return whether the caller's role grants the permission and their key, if they use one, includes it."""
        return permission in GRANTS[self.role] and (self.scopes is None or permission in self.scopes)


# The operator, who may run commands on the server. It is no account.
OPERATOR = Actor(user_id=0, role=Role.ADMIN, via=Via.COMMAND)
