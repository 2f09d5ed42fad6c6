"""Full text search over tasks, posts and items, kept in step by the database; what exists is indexed.

SQLite gets one FTS5 table and triggers. Recreating one of the three tables, as
batch mode does, would lose its triggers. PostgreSQL gets generated columns; it
rewrites the three tables for them, which takes a minute or so per million rows,
and needs an UTF-8 database.

Revision ID: 0005
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0003"
branch_labels = None
depends_on = None

# Table, number of its kind, columns of the title, column of the body.
TABLES = (
    ("tasks", 0, ("title",), "description"),
    ("posts", 1, ("title",), "content"),
    ("items", 2, ("name", "sku"), "description"),
)
IDS_OF_A_KIND = 2**60

# PostgreSQL's parser would keep host names, paths and the like in one piece and drop tags.
SEPARATORS = (
    r"\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00a9\u00ab-\u00b1\u00b4\u00b6-\u00b8\u00bb\u00bf\u00d7\u00f7"
    r"\u2000-\u206f\u20a0-\u20cf\u2190-\u245f\u2500-\u2775\u2794-\u2bff\u2e00-\u2e7f"
    r"\u3000-\u3004\u3008-\u3020\u3030\u303d\ufe00-\ufe1f\ufe30-\ufe6f"
    r"\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65\ufff0-\uffff"
    r"\U0001f000-\U0001f0ff\U0001f1e6-\U0001f1ff\U0001f300-\U0001faff\U000e0000-\U000e007f"
)
# A vector holds at most 1 MiB. Only what a worker appends to can grow this long.
LONGEST_BODY = 100_000


def upgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        _upgrade_sqlite()
    else:
        _upgrade_postgresql()


def _upgrade_sqlite() -> None:
    # Without content of its own, the text is not stored twice; then a row can only be
    # taken out by telling FTS5 what was put in.
    op.execute(
        "CREATE VIRTUAL TABLE search_index"
        " USING fts5(title, body, content='', tokenize='unicode61 remove_diacritics 2')"
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
    def words(text: str) -> str:
        # Latin letters lose their accents, as they do in SQLite; in other scripts, marks make other letters.
        bare = rf"normalize(regexp_replace(normalize({text}, NFD), '(?<=[A-Za-z])[\u0300-\u036f]+', '', 'g'), NFC)"
        return f"regexp_replace({bare}, '[{SEPARATORS}]+', ' ', 'g')"

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
