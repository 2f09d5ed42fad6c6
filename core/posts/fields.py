"""The fields of a post, each said once. See `core.platform.fields.declaration` for what can be said."""

from core.platform.fields.declaration import Exact, Field, Fields, InRange, Writer
from core.platform.fields.types import Id, Label, Line, Moment, Prose, Ref, Whole
from core.platform.text.checks import MAX_ID

FIELDS = Fields(
    Field("id", Id(), column=2),
    Field(
        "title",
        Line(200),
        writer=Writer.EDITOR,
        required=True,
        sortable=True,
        searched=True,
        column=3,
        example="The certificate is renewed",
    ),
    Field(
        "content",
        Prose(20_000),
        writer=Writer.EDITOR,
        required=True,
        searched=True,
        column=4,
        example="It now ends in March.",
    ),
    Field("user_id", Ref("users"), filter=Exact("Only posts of this user; `me` is the caller."), column=6),
    Field("author", Label(), column=7, description="The name of the user.", example="Ada Lovelace"),
    # What a post is about decides who sees it, so it cannot be moved under the eyes of its readers.
    Field(
        "task_id",
        Ref("tasks"),
        writer=Writer.CREATOR,
        nullable=True,
        filter=Exact("Only posts about this task."),
        column=5,
        hint="The task that it is about; stays as it is.",
    ),
    Field("version", Whole(1, MAX_ID), column=8, description="Grows with every change.", example=1),
    Field("created_at", Moment(), sortable=True, filter=InRange("Created"), column=9),
    Field("updated_at", Moment(), sortable=True, column=10),
)
