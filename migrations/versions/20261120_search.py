"""Full text search over tasks, posts and items, kept in step by the database; what exists is indexed.

SQLite gets one FTS5 table and triggers. Recreating one of the three tables, as
batch mode does, would lose its triggers. PostgreSQL gets generated columns; it
rewrites the three tables for them, under a lock and for some minutes per million
rows, and needs a UTF-8 database.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

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

# What stands between words, from and to. Left to themselves, PostgreSQL would keep host names, paths
# and the like in one piece and drop tags, and SQLite would take newer emoji for letters.
# fmt: off
SEPARATORS = (
    (0x01, 0x2F), (0x3A, 0x40), (0x5B, 0x60), (0x7B, 0xA9), (0xAB, 0xB1), (0xB4, 0xB4), (0xB6, 0xB8), (0xBB, 0xBB),
    (0xBF, 0xBF), (0xD7, 0xD7), (0xF7, 0xF7), (0x37E, 0x37E), (0x387, 0x387), (0x55A, 0x55F), (0x589, 0x589),
    (0x58A, 0x58A), (0x5BE, 0x5BE), (0x5C0, 0x5C0), (0x5C3, 0x5C3), (0x5C6, 0x5C6), (0x5F3, 0x5F3), (0x5F4, 0x5F4),
    (0x60C, 0x60C), (0x60D, 0x60D), (0x61B, 0x61B), (0x61E, 0x61E), (0x61F, 0x61F), (0x66A, 0x66D), (0x6D4, 0x6D4),
    (0x964, 0x964), (0x965, 0x965), (0x104A, 0x104F), (0x1360, 0x1368), (0x2000, 0x206F), (0x20A0, 0x20CF),
    (0x2190, 0x245F), (0x2500, 0x2775), (0x2794, 0x2BFF), (0x2E00, 0x2E7F), (0x3000, 0x3004), (0x3008, 0x3020),
    (0x3030, 0x3030), (0x303D, 0x303D), (0xFE00, 0xFE1F), (0xFE30, 0xFE6F), (0xFF01, 0xFF0F), (0xFF1A, 0xFF20),
    (0xFF3B, 0xFF40), (0xFF5B, 0xFF65), (0xFFF0, 0xFFFF), (0x1F000, 0x1F0FF), (0x1F1E6, 0x1F1FF), (0x1F300, 0x1FAFF),
    (0xE0000, 0xE007F),
)
# fmt: on
# A vector holds at most 1 MiB. Only what a worker appends to can grow this long.
LONGEST_BODY = 100_000


def upgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        _upgrade_sqlite()
    else:
        _upgrade_postgresql()


def _upgrade_sqlite() -> None:
    # FTS5 knows the separators of the older scripts.
    newer = "".join(chr(code) for first, last in SEPARATORS if first >= 0x2000 for code in range(first, last + 1))
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
    separators = "".join(rf"\U{first:08x}-\U{last:08x}" for first, last in SEPARATORS)

    def words(text: str) -> str:
        # Latin letters lose their accents, as they do in SQLite; in other scripts, marks make other letters.
        bare = rf"normalize(regexp_replace(normalize({text}, NFD), '(?<=[A-Za-z])[\u0300-\u036f]+', '', 'g'), NFC)"
        return f"regexp_replace({bare}, '[{separators}]+', ' ', 'g')"

    for table, _, titles, body in TABLES:
        title = words(" || ' ' || ".join(f"coalesce({column}, '')" for column in titles))
        text = words(f"left(coalesce({body}, ''), {LONGEST_BODY})")
        # A host name, which no text has any more, takes one position, so that no phrase goes from title to body.
        document = (
            f"setweight(to_tsvector('simple', {title}), 'A') || "
            f"setweight(ts_delete(to_tsvector('simple', 'gap.gap ' || {text}), 'gap.gap'), 'D')"
        )
        op.execute(f"ALTER TABLE {table} ADD COLUMN search_vector tsvector GENERATED ALWAYS AS ({document}) STORED")
        # A list of pending entries would be read by every search until the next vacuum.
        options = {"postgresql_using": "gin", "postgresql_with": {"fastupdate": "off"}}
        op.create_index(f"ix_{table}_search_vector", table, [sa.column("search_vector")], **options)


def downgrade() -> None:
    is_sqlite = op.get_context().dialect.name == "sqlite"
    for table, *_ in TABLES:
        if is_sqlite:
            for event in ("insert", "delete", "update"):
                op.execute(f"DROP TRIGGER {table}_search_{event}")
        else:
            op.execute(f"ALTER TABLE {table} DROP COLUMN search_vector")  # Its index goes with it.
    if is_sqlite:
        op.execute("DROP TABLE search_index")
