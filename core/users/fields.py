"""The fields of an account, each said once. See `core.platform.fields.declaration` for what can be said.

Its password is none: it is never shown, and changed by ways of its own.
"""

from core.platform.access import Role
from core.platform.fields.declaration import Absent, AnyOf, Exact, Field, Fields, Writer
from core.platform.fields.types import Choice, Email, Flag, Id, Line, Moment, Word, Zone
from core.platform.text.checks import USERNAME

FIELDS = Fields(
    Field("id", Id(), column=2),
    Field(
        "username",
        Word(USERNAME, 3, 80, "Must be 3 to 80 letters, digits, '_', '.' or '-'."),
        writer=Writer.EDITOR,
        required=True,
        unique=str.lower,
        sortable=True,
        searched=True,
        column=3,
        example="ada",
    ),
    Field(
        "email",
        Email(120),
        writer=Writer.EDITOR,
        required=True,
        unique=str.lower,
        searched=True,
        private=True,
        column=4,
        example="ada@example.com",
    ),
    Field(
        "name",
        Line(80, shortest=2),
        writer=Writer.EDITOR,
        nullable=True,
        sortable=True,
        searched=True,
        column=5,
        example="Ada Lovelace",
    ),
    Field(
        "role",
        Choice(Role),
        writer=Writer.ADMIN,
        absent=Absent.STAYS,
        filter=AnyOf("Only these, comma-separated or repeated; for administrators."),
        private=True,
        column=6,
        hint="For administrators to set.",
        example="user",
    ),
    Field(
        "is_active",
        Flag(),
        writer=Writer.ADMIN,
        absent=Absent.STAYS,
        filter=Exact("Whether the account is active; for administrators."),
        private=True,
        column=7,
        hint="For administrators to set.",
        example=True,
    ),
    Field(
        "time_zone",
        Zone(64),
        writer=Writer.EDITOR,
        default="UTC",
        absent=Absent.STAYS,
        listed=False,
        hint="In which days begin and end for this person: a name of the IANA database.",
        example="Europe/Berlin",
    ),
    Field("created_at", Moment(), sortable=True, column=8),
    Field("updated_at", Moment(), listed=False, private=True, column=9),
)
