"""Every model, imported in one place so that metadata and migrations are complete."""

from core.auth.model import LoginSession, RefreshToken
from core.jobs.model import Job
from core.tasks.model import Task
from core.users.model import User

__all__ = ["Job", "LoginSession", "RefreshToken", "Task", "User"]
