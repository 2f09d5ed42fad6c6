"""The search index of SQLite with numbers of its entries that are closer together, because FTS5 lost some.

Of two common words it did not find the newest texts, where more than some 10,000 have both. All texts are indexed
anew: less than a minute for a million rows, in which others wait to write.

Revision ID: 0024
Revises: 0023
"""

from alembic import op

from migrations import online, search_folding

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _make(2**40)


def downgrade() -> None:
    _make(search_folding.IDS_OF_A_KIND)


def _make(ids_of_a_kind: int) -> None:
    if online.is_postgresql():
        return
    op.execute("DROP TABLE search_index_terms")
    search_folding.drop_in_sqlite()
    search_folding.create_in_sqlite(ids_of_a_kind=ids_of_a_kind)
    op.execute("CREATE VIRTUAL TABLE search_index_terms USING fts5vocab('search_index', 'instance')")
