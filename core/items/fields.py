"""The fields of an item, each said once. See `core.platform.fields.declaration` for what can be said."""

from core.platform.fields.declaration import Exact, Field, Fields, InRange, Writer
from core.platform.fields.types import Amount, Id, Line, Moment, Ref, Text, Whole
from core.platform.text.checks import MAX_ID

FIELDS = Fields(
    Field("id", Id(), column=2),
    Field(
        "name",
        Line(120),
        writer=Writer.EDITOR,
        required=True,
        sortable=True,
        searched=True,
        column=3,
        example="Label printer",
    ),
    Field(
        "price",
        Amount(),
        writer=Writer.EDITOR,
        required=True,
        sortable=True,
        filter=InRange("Price"),
        column=4,
        description="An exact amount with at most two decimal places.",
    ),
    Field(
        "description",
        Text(10_000),
        writer=Writer.EDITOR,
        nullable=True,
        searched=True,
        column=5,
        example="On the second floor.",
    ),
    Field(
        "sku",
        Line(64),
        writer=Writer.EDITOR,
        nullable=True,
        unique=str,
        sortable=True,
        filter=Exact("Only the item with exactly this SKU."),
        searched=True,
        column=6,
        description="Unique.",
        example="PRT/0042",
    ),
    Field("created_by", Ref("users"), filter=Exact("Only items of this user; `me` is the caller."), column=7),
    Field("version", Whole(1, MAX_ID), column=8, description="Grows with every change.", example=1),
    Field("created_at", Moment(), sortable=True, filter=InRange("Created"), column=9),
    Field("updated_at", Moment(), column=10),
)
