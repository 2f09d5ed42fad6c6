"""The fields of a task, each said once. See `core.platform.fields.declaration` for what can be said."""

from enum import StrEnum

from core.platform.fields.declaration import Absent, AnyOf, Exact, Field, Fields, InRange, Writer
from core.platform.fields.types import Choice, Day, Id, Line, Moment, Ref, Text, Whole
from core.platform.text.checks import MAX_ID


class TaskStatus(StrEnum):
    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


FIELDS = Fields(
    Field("id", Id(), in_history=False, column=2),
    Field(
        "title",
        Line(150),
        writer=Writer.EDITOR,
        required=True,
        sortable=True,
        searched=True,
        column=3,
        example="Renew the TLS certificate",
    ),
    Field(
        "description",
        Text(10_000, grows=True),
        writer=Writer.ASSIGNEE,
        nullable=True,
        searched=True,
        column=4,
        example="It ends on the 30th.",
    ),
    Field(
        "status",
        Choice(TaskStatus),
        writer=Writer.ASSIGNEE,
        default=TaskStatus.PENDING,
        absent=Absent.REFUSED,
        sortable=True,
        filter=AnyOf(),
        column=5,
        example="pending",
    ),
    Field(
        "due_date",
        Day(),
        writer=Writer.EDITOR,
        nullable=True,
        sortable=True,
        filter=InRange("Due"),
        column=6,
        example="2026-12-01",
    ),
    Field(
        "owner_id", Ref("users"), sortable=True, filter=Exact("Only tasks of this user; `me` is the caller."), column=7
    ),
    Field(
        "assignee_id",
        Ref("users"),
        writer=Writer.EDITOR,
        nullable=True,
        sortable=True,
        filter=Exact("Only tasks assigned to this user; `me` is the caller."),
        column=8,
        hint="An active user.",
    ),
    Field(
        "project_id",
        Ref("projects"),
        writer=Writer.EDITOR,
        nullable=True,
        filter=Exact("Only tasks of this project."),
        column=9,
        description="Null for a personal task.",
        hint="A project in which the caller may create tasks.",
    ),
    Field(
        "item_id",
        Ref("items"),
        writer=Writer.EDITOR,
        nullable=True,
        filter=Exact("Only tasks about this item."),
        column=10,
        hint="The item that the task is about.",
    ),
    Field("version", Whole(1, MAX_ID), in_history=False, column=11, description="Grows with every change.", example=1),
    Field("created_at", Moment(), in_history=False, sortable=True, filter=InRange("Created"), column=12),
    Field("updated_at", Moment(), in_history=False, sortable=True, filter=InRange("Changed"), column=13),
    Field("completed_at", Moment(), nullable=True, sortable=True, filter=InRange("Completed"), column=14),
    Field(
        "deleted_at",
        Moment(),
        nullable=True,
        sortable=True,
        description="Null unless the task is in the trash.",
        example=None,
    ),
)
