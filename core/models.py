"""Every model, imported in one place so that metadata and migrations are complete."""

from core.audit.model import KnownAddress, LoginFailures, SecurityEvent
from core.auth.model import ApiKey, LoginSession, RefreshToken
from core.exchange.imports.model import ExternalId
from core.files.model import FileChunk, StoredFile
from core.idempotency.model import StoredAnswer
from core.items.model import Item
from core.jobs.model import Job, ScheduledSlot
from core.mail.model import MailOptOut, TaskReminder
from core.platform.cache.marks.model import ChangeMark
from core.posts.model import Post
from core.projects.model import Project, ProjectMember
from core.stats.model import OwnerSums, QuarterSums
from core.tasks.model import Task, TaskChange
from core.users.model import User

__all__ = [
    "ApiKey",
    "ChangeMark",
    "ExternalId",
    "FileChunk",
    "Item",
    "Job",
    "KnownAddress",
    "LoginFailures",
    "LoginSession",
    "MailOptOut",
    "OwnerSums",
    "Post",
    "Project",
    "ProjectMember",
    "QuarterSums",
    "RefreshToken",
    "ScheduledSlot",
    "SecurityEvent",
    "StoredAnswer",
    "StoredFile",
    "Task",
    "TaskChange",
    "TaskReminder",
    "User",
]
