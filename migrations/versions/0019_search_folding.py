"""The search folds letters and cuts texts alike on both engines, and finds what has no spaces around it.

What exists is indexed anew. SQLite does it at once: some minutes for a million
rows, in which others wait to write. PostgreSQL does it some rows at a time, while
others go on writing; a row that has not had its turn is found by its words as before.

Revision ID: 0019
Revises: 0018
"""

from alembic import op

from migrations import online, search_folding, search_words

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if not online.is_postgresql():
        search_folding.drop_in_sqlite()
        search_folding.create_in_sqlite()
        return
    search_folding.create_functions()
    for table, *_ in search_folding.TABLES:
        search_folding.keep(table)
    online.end_transaction()
    for table, *_ in search_folding.TABLES:
        document = search_folding.document(table, table)
        online.update_in_batches(table, f"search_vector = {document}", f"search_vector IS DISTINCT FROM {document}")


def downgrade() -> None:
    if not online.is_postgresql():
        search_folding.drop_in_sqlite()
        _create_former_in_sqlite()
        return
    for table, *_ in search_folding.TABLES:
        search_words.keep(table)
    search_folding.drop_functions()
    for table, *_ in search_folding.TABLES:
        op.execute(f"UPDATE {table} SET search_vector = {search_words.document(table, table)}")


def _create_former_in_sqlite() -> None:
    """Make what migration 0005 has made."""
    newer = "".join(
        chr(code) for first, last in search_words.SEPARATORS if first >= 0x2000 for code in range(first, last + 1)
    )
    op.execute(
        "CREATE VIRTUAL TABLE search_index USING fts5(title, body, content='',"
        f""" tokenize="unicode61 remove_diacritics 2 separators '{newer}'")"""
    )
    for table, number, titles, body in search_folding.TABLES:
        search_folding.keep_in_sqlite(table, number * search_folding.IDS_OF_A_KIND, titles, body)
