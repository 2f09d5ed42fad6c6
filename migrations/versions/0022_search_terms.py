"""The words of SQLite's search index as a table, so that a prefix of common words can be spelled out.

It has no content of its own: FTS5 reads it in the index.

Revision ID: 0022
Revises: 0021
"""

from alembic import op

from migrations import online

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if not online.is_postgresql():
        op.execute("CREATE VIRTUAL TABLE search_index_terms USING fts5vocab('search_index', 'instance')")


def downgrade() -> None:
    if not online.is_postgresql():
        op.execute("DROP TABLE search_index_terms")
