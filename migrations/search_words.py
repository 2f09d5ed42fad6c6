"""Search index of PostgreSQL, as migration 0005 and the later one that repeats it mean it. Never changed.

A generated column would be the shorter way. But it cannot be added, nor changed,
without writing the whole table anew under a lock that keeps even readers out.
"""

from alembic import op

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
# Columns of the title, column of the body.
_TEXTS = {
    "tasks": (("title",), "description"),
    "posts": (("title",), "content"),
    "items": (("name", "sku"), "description"),
}


def document(table: str, row: str) -> str:
    """Return the expression for the vector of a row."""
    titles, body = _TEXTS[table]
    title = _words(" || ' ' || ".join(f"coalesce({row}.{column}, '')" for column in titles))
    text = _words(f"left(coalesce({row}.{body}, ''), {LONGEST_BODY})")
    # A host name, which no text has any more, takes one position, so that no phrase goes from title to body.
    return (
        f"setweight(to_tsvector('simple', {title}), 'A') || "
        f"setweight(ts_delete(to_tsvector('simple', 'gap.gap ' || {text}), 'gap.gap'), 'D')"
    )


def _words(text: str) -> str:
    separators = "".join(rf"\U{first:08x}-\U{last:08x}" for first, last in SEPARATORS)
    # Latin letters lose their accents, as they do in SQLite; in other scripts, marks make other letters.
    bare = rf"normalize(regexp_replace(normalize({text}, NFD), '(?<=[A-Za-z])[\u0300-\u036f]+', '', 'g'), NFC)"
    return f"regexp_replace({bare}, '[{separators}]+', ' ', 'g')"


def keep(table: str) -> None:
    """Make the database fill the column of this table with each row that is written from now on."""
    titles, body = _TEXTS[table]
    op.execute(
        f"CREATE OR REPLACE FUNCTION {table}_search_vector() RETURNS trigger LANGUAGE plpgsql AS $$"
        f" BEGIN NEW.search_vector := {document(table, 'NEW')}; RETURN NEW; END $$"
    )
    op.execute(f"DROP TRIGGER IF EXISTS {table}_search ON {table}")
    op.execute(
        f"CREATE TRIGGER {table}_search BEFORE INSERT OR UPDATE OF {', '.join((*titles, body))} ON {table}"
        f" FOR EACH ROW EXECUTE FUNCTION {table}_search_vector()"
    )
