"""Items get change marks, so that answers about them can be cached too.

Revision ID: 0011
Revises: 0013
"""

import secrets

from alembic import op

# Databases know it by this name, although it is number 13 of the order.
revision = "0011"
down_revision = "0013"
branch_labels = None
depends_on = None

EVENTS = ("INSERT", "UPDATE", "DELETE")

# As 0006 has it for the other tables.
NOTE_ROW = """
CREATE TRIGGER items_note_{name} AFTER {event} ON items BEGIN
    INSERT INTO change_marks (topic, shard, mark) VALUES ('items', '', lower(hex(randomblob(16))))
        ON CONFLICT (topic, shard) DO UPDATE SET mark = excluded.mark;
END
"""


def upgrade() -> None:
    # No answer that was cached before, under no mark at all, may pass for one about these items.
    op.execute(f"INSERT INTO change_marks (topic, shard, mark) VALUES ('items', '', '{secrets.token_hex(16)}')")
    if op.get_context().dialect.name == "sqlite":
        for event in EVENTS:
            op.execute(NOTE_ROW.format(name=event.lower(), event=event))
        return
    op.execute(
        "CREATE TRIGGER items_note_change AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON items"
        " FOR EACH STATEMENT EXECUTE FUNCTION note_change('items')"
    )


def downgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        for event in EVENTS:
            op.execute(f"DROP TRIGGER items_note_{event.lower()}")
    else:
        op.execute("DROP TRIGGER items_note_change ON items")
    op.execute("DELETE FROM change_marks WHERE topic = 'items'")
