"""Change marks: triggers show readers in every process that tables have changed.

The data that exists stays as it is and counts as unchanged until the next write.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TABLES = ("tasks", "users", "posts", "projects", "project_members")
EVENTS = ("INSERT", "UPDATE", "DELETE")

# Whoever changes a table takes a mark that no other transaction holds, or adds one. So a
# writer never waits for another's mark, and marks cannot take part in a deadlock;
# there are never more of them than transactions that wrote at the same time.
# Once is enough for a transaction, since others see all of it or nothing; the
# first question spares a long one from piling up versions of its mark.
NOTE_CHANGE = """
CREATE FUNCTION note_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    free varchar;
    -- The same in all savepoints of a transaction.
    writer CONSTANT varchar := pg_current_xact_id();
BEGIN
    IF EXISTS (SELECT FROM change_marks WHERE topic = TG_ARGV[0] AND split_part(mark, '.', 1) = writer) THEN
        RETURN NULL;
    END IF;
    SELECT shard INTO free FROM change_marks WHERE topic = TG_ARGV[0]
        ORDER BY shard LIMIT 1 FOR UPDATE SKIP LOCKED;
    IF FOUND THEN
        UPDATE change_marks SET mark = writer || '.' || gen_random_uuid() WHERE topic = TG_ARGV[0] AND shard = free;
    ELSE
        INSERT INTO change_marks (topic, shard, mark)
            VALUES (TG_ARGV[0], gen_random_uuid(), writer || '.' || gen_random_uuid());
    END IF;
    RETURN NULL;
END $$
"""

# SQLite has one writer at a time, so one mark; and triggers for each row only.
NOTE_ROW = """
CREATE TRIGGER {table}_note_{name} AFTER {event} ON {table} BEGIN
    INSERT INTO change_marks (topic, shard, mark) VALUES ('{table}', '', lower(hex(randomblob(16))))
        ON CONFLICT (topic, shard) DO UPDATE SET mark = excluded.mark;
END
"""


def upgrade() -> None:
    op.create_table(
        "change_marks",
        sa.Column("topic", sa.String(40), nullable=False),
        sa.Column("shard", sa.String(36), nullable=False),
        sa.Column("mark", sa.String(60), nullable=False),
        sa.PrimaryKeyConstraint("topic", "shard"),
    )
    if op.get_context().dialect.name == "sqlite":
        for table in TABLES:
            for event in EVENTS:
                op.execute(NOTE_ROW.format(table=table, name=event.lower(), event=event))
        return
    op.execute(NOTE_CHANGE)
    for table in TABLES:
        op.execute(
            f"CREATE TRIGGER {table}_note_change AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table}"
            f" FOR EACH STATEMENT EXECUTE FUNCTION note_change('{table}')"
        )


def downgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        for table in TABLES:
            for event in EVENTS:
                op.execute(f"DROP TRIGGER {table}_note_{event.lower()}")
    else:
        for table in TABLES:
            op.execute(f"DROP TRIGGER {table}_note_change ON {table}")
        op.execute("DROP FUNCTION note_change()")
    op.drop_table("change_marks")
