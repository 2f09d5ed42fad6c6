"""Demo accounts and example tasks; repeating it changes nothing."""

import secrets
from datetime import timedelta

from sqlalchemy import func, select

from core.auth import accounts
from core.platform import clock
from core.platform.access import Actor, Role, Via
from core.platform.database.base import db
from core.platform.database.session import transaction
from core.tasks import service as tasks
from core.tasks.fields import TaskStatus
from core.tasks.model import Task
from core.users.model import User
from core.users.repository import UserRepository

DEMO_USERS = (("admin", "Demo Administrator", Role.ADMIN), ("user", "Demo User", Role.USER))

EXAMPLES = (
    ("Renew the TLS certificate", "It ends this month.", TaskStatus.PENDING, 5),
    ("Order a second monitor", None, TaskStatus.IN_PROGRESS, 14),
    ("Write the post-mortem of Tuesday", "With a time line.", TaskStatus.PENDING, -2),
    ("Clean up old branches", None, TaskStatus.COMPLETED, None),
)


def create_demo_users() -> dict[str, str]:
    """Create the demo accounts that are missing; return their fresh passwords by username."""
    passwords = {}
    # One transaction, so that an interrupted start leaves no account whose password was never shown.
    with transaction() as session:
        for username, name, role in DEMO_USERS:
            if UserRepository(session).find_by_login(username) is None:
                passwords[username] = secrets.token_urlsafe(12)
                email = f"{username}@example.com"
                accounts.create(username=username, email=email, password=passwords[username], name=name, role=role)
    return passwords


def create_example_tasks() -> int:
    """Give the demo user some tasks unless there are any; return how many were created."""
    session = db.session()
    user = UserRepository(session).find_by_login("user")
    if user is None or session.scalar(select(func.count()).where(Task.owner_id == user.id)):
        return 0
    actor = Actor(user.id, user.role, via=Via.COMMAND)
    today = clock.now().date()
    for title, description, status, days in EXAMPLES:
        due = None if days is None else today + timedelta(days=days)
        tasks.create(actor, title=title, description=description, status=status, due_date=due)
    return len(EXAMPLES)


def is_empty() -> bool:
    """Return whether there is no account yet."""
    return db.session().scalar(select(User.id).limit(1)) is None
