"""One user's work at a glance, cached by hand until something in it changes."""

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from sqlalchemy.orm import Session

from core.platform.access import Actor
from core.platform.cache.answers import cache
from core.platform.cache.marks.model import Topic
from core.platform.database.base import db
from core.platform.errors import Forbidden
from core.platform.text import zones
from core.profiles import policy
from core.profiles.repository import ProfileRepository
from core.tasks.fields import TaskStatus
from core.users import service as users
from core.users.repository import UserRepository

TOPICS = (Topic.USERS, Topic.TASKS, Topic.POSTS)


def get(actor: Actor, *, user_id: int, zone: ZoneInfo = zones.UTC_ZONE) -> bytes:
    """Return the profile of a user, as JSON. Raises NotFound, or Forbidden for another's."""
    if not policy.may_read(actor, user_id):
        users.require_user(UserRepository(db.session()).find(user_id))
        raise Forbidden("Only this user and administrators may see the profile.")
    # One entry for each user, which the next replaces; the stamp tells from which data,
    # in which zone and on which day it was made.
    return cache.memoized(
        f"profile:{user_id}",
        *TOPICS,
        make=lambda session: orjson.dumps(_compute(session, user_id, zone), option=orjson.OPT_UTC_Z),
        condition=f"{zone.key} {zones.today(zone)}",
    )


def _compute(session: Session, user_id: int, zone: ZoneInfo) -> dict[str, Any]:
    user = users.require_user(UserRepository(session).find(user_id))
    today = zones.today(zone)
    week, month = (zones.first_moment(today - timedelta(days=days - 1), zone) for days in (7, 30))
    profiles = ProfileRepository(session)
    tasks = profiles.task_counts(user_id, today=today, week=week, month=month)
    posts = profiles.post_counts(user_id)
    changes = [moment for moment in (tasks.last_change, posts.last_change) if moment is not None]
    return {
        "user_id": user.id,
        "username": user.username,
        "name": user.name,
        "member_since": user.created_at,
        "tasks_owned": {status.value: getattr(tasks, f"owned_{status}") for status in TaskStatus},
        "assigned_open": tasks.assigned_open,
        "overdue": tasks.overdue,
        "completed_last_7_days": tasks.completed_7_days,
        "completed_last_30_days": tasks.completed_30_days,
        "posts": posts.posts,
        "last_activity_at": max(changes, default=None),
    }
