"""Search vectors of PostgreSQL are kept by triggers also where they were generated columns, so that they can change.

What is in them stays, and no table is written anew.

Revision ID: 0017
Revises: 0016
"""

from alembic import op

from migrations import online, search_words

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

TABLES = ("tasks", "posts", "items")


def upgrade() -> None:
    if not online.is_postgresql():
        return
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} ALTER COLUMN search_vector DROP EXPRESSION IF EXISTS")
        search_words.keep(table)
        online.end_transaction()


def downgrade() -> None:
    """Leave it: the code before works with both."""
