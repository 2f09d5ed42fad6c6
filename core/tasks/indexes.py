"""Indexes of tasks that a list is told to use where planners cannot know what is best."""

from core.platform.database.filters import Filter
from core.platform.database.keysets import Guide

# By what is sorted first.
_COUNTING = ("created_at", "updated_at", "completed_at", "due_date", "status")
_BY_SORT = {name: f"ix_tasks_{name}_id_deleted_at" for name in _COUNTING} | {"title": "ix_tasks_title_id"}
_BY_RANGE = ("completed_at", "updated_at", "due_date")
# Of the tasks that are to be done.
OPEN_BY_DUE_DATE = "ix_tasks_open_due_date_id"
# Filters that few tasks meet, by indexes that planners see at once.
_NARROW = ("owner_id", "assignee_id", "project_id", "item_id")


def guide_through(filters: Filter) -> Guide | None:
    """Return by which indexes to look for what these filters leave of all tasks."""
    if any(filters.get(name) is not None for name in _NARROW):
        return None
    for name in _BY_RANGE:
        if name in filters.ranges:
            return Guide(_BY_SORT[name], _BY_SORT)
    if filters.get("overdue"):
        return Guide(OPEN_BY_DUE_DATE, _BY_SORT)
    return Guide(_BY_SORT["status"], _BY_SORT) if filters.get("status") else None
