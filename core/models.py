"""Every model, imported in one place so that metadata and migrations are complete."""

from core.auth.model import ApiKey, LoginSession, RefreshToken
from core.changes.model import ChangeMark
from core.files.model import FileChunk, StoredFile
from core.idempotency.model import KeptAnswer
from core.imports.model import ExternalId
from core.items.model import Item
from core.jobs.model import Job, ScheduledSlot
from core.mail.model import MailOptOut, TaskReminder
from core.posts.model import Post
from core.projects.model import Project, ProjectMember
from core.security.model import KnownAddress, LoginFailures, SecurityEvent
from core.tasks.model import Task
from core.users.model import User

__all__ = [
    "ApiKey",
    "ChangeMark",
    "ExternalId",
    "FileChunk",
    "Item",
    "Job",
    "KeptAnswer",
    "KnownAddress",
    "LoginFailures",
    "LoginSession",
    "MailOptOut",
    "Post",
    "Project",
    "ProjectMember",
    "RefreshToken",
    "ScheduledSlot",
    "SecurityEvent",
    "StoredFile",
    "Task",
    "TaskReminder",
    "User",
]
