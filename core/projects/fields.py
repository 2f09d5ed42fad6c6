"""The fields of a project, each said once. See `core.platform.fields.declaration` for what can be said."""

import re

from core.platform.fields.declaration import Exact, Field, Fields, Writer
from core.platform.fields.types import Flag, Id, Line, Moment, Text, Whole, Word
from core.platform.text.checks import MAX_ID

FIELDS = Fields(
    Field("id", Id()),
    Field(
        "key",
        Word(re.compile(r"[A-Z]{2,10}"), 2, 10, "Must be 2 to 10 capital letters A to Z."),
        writer=Writer.EDITOR,
        required=True,
        unique=str,
        sortable=True,
        description="2 to 10 capital letters, unique.",
        example="OPS",
    ),
    Field("name", Line(120), writer=Writer.EDITOR, required=True, sortable=True, example="Operations"),
    Field("description", Text(10_000), writer=Writer.EDITOR, nullable=True, example="Everything that runs."),
    Field(
        "archived",
        Flag(),
        writer=Writer.EDITOR,
        filter=Exact("Only archived projects, or only the others."),
        hint="The tasks of an archived project, and the posts about them, can only be read.",
        example=False,
    ),
    Field("version", Whole(1, MAX_ID), description="Grows with every change.", example=1),
    Field("created_at", Moment(), sortable=True),
    Field("updated_at", Moment(), sortable=True),
)
