"""Indexes of tasks that a list is told to use where planners cannot know what is best."""

from collections.abc import Mapping

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
# Tasks that nobody is assigned to. SQLite would collect them all and sort them.
_LACKING = {"assignee_id": "ix_tasks_unassigned_id"}


def lacking_in(filters: Filter) -> Mapping[str, str]:
    """Return the indexes of tasks that have no value to sort by, by the names of sorts, in a list of all tasks."""
    return {} if filters.ranges or any(value is not None for value in filters.values.values()) else _LACKING


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
