"""Full text search over tasks, posts and items, kept in step by the database; what exists is indexed.

SQLite gets one FTS5 table and triggers. Recreating one of the three tables, as
batch mode does, would lose its triggers. PostgreSQL gets columns that triggers
fill; for what exists this takes some minutes per million rows, while others go on
writing. It needs a UTF-8 database.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations import online, search_words

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# Table, number of its kind, columns of the title, column of the body.
TABLES = (
    ("tasks", 0, ("title",), "description"),
    ("posts", 1, ("title",), "content"),
    ("items", 2, ("name", "sku"), "description"),
)
IDS_OF_A_KIND = 2**60


def upgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        _upgrade_sqlite()
    else:
        _upgrade_postgresql()


def _upgrade_sqlite() -> None:
    # FTS5 knows the separators of the older scripts.
    newer = "".join(
        chr(code) for first, last in search_words.SEPARATORS if first >= 0x2000 for code in range(first, last + 1)
    )
    # Without content of its own, the text is not stored twice; then a row can only be
    # taken out by telling FTS5 what was put in.
    op.execute(
        "CREATE VIRTUAL TABLE search_index USING fts5(title, body, content='',"
        f""" tokenize="unicode61 remove_diacritics 2 separators '{newer}'")"""
    )
    for table, number, titles, body in TABLES:
        watched = (*titles, body)

        def values(row: str, titles: tuple[str, ...] = titles, body: str = body, number: int = number) -> str:
            title = " || ' ' || ".join(f"coalesce({row}.{column}, '')" for column in titles)
            return f"{row}.id + {number * IDS_OF_A_KIND}, {title}, coalesce({row}.{body}, '')"

        put = f"INSERT INTO search_index (rowid, title, body) VALUES ({values('new')});"
        take = f"INSERT INTO search_index (search_index, rowid, title, body) VALUES ('delete', {values('old')});"
        changed = " OR ".join(f"old.{column} IS NOT new.{column}" for column in watched)
        op.execute(f"CREATE TRIGGER {table}_search_insert AFTER INSERT ON {table} BEGIN {put} END")
        op.execute(f"CREATE TRIGGER {table}_search_delete AFTER DELETE ON {table} BEGIN {take} END")
        op.execute(
            f"CREATE TRIGGER {table}_search_update AFTER UPDATE OF {', '.join(watched)} ON {table}"
            f" WHEN {changed} BEGIN {take} {put} END"
        )
        op.execute(f"INSERT INTO search_index (rowid, title, body) SELECT {values(table)} FROM {table}")


def _upgrade_postgresql() -> None:
    for table, *_ in TABLES:
        online.add_column(table, sa.Column("search_vector", postgresql.TSVECTOR()))
        search_words.keep(table)
        online.end_transaction()
    for table, *_ in TABLES:
        # What is written meanwhile has it already.
        online.update_in_batches(
            table, f"search_vector = {search_words.document(table, table)}", "search_vector IS NULL"
        )
        # A list of pending entries would be read by every search until the next vacuum.
        options = {"postgresql_using": "gin", "postgresql_with": {"fastupdate": "off"}}
        online.create_index(f"ix_{table}_search_vector", table, [sa.column("search_vector")], **options)


def downgrade() -> None:
    is_sqlite = op.get_context().dialect.name == "sqlite"
    for table, *_ in TABLES:
        if is_sqlite:
            for event in ("insert", "delete", "update"):
                op.execute(f"DROP TRIGGER {table}_search_{event}")
        else:
            op.execute(f"DROP TRIGGER {table}_search ON {table}")
            op.execute(f"DROP FUNCTION {table}_search_vector()")
            op.execute(f"ALTER TABLE {table} DROP COLUMN search_vector")  # Its index goes with it.
    if is_sqlite:
        op.execute("DROP TABLE search_index")
