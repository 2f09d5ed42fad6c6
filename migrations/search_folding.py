"""Cutting of texts into indexed tokens by both databases, as the migration that brought it means it. Never changed.

The tables and what makes use of them are those of `core.search.folding` at that
time. The databases do it themselves, in plain SQL, so that whoever writes a row,
by whatever program, cannot forget it; neither the locale of a database nor the
version of its Unicode matters.
"""

import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Mapping
from functools import cache
from operator import itemgetter
from types import MappingProxyType

from alembic import op

Ranges = tuple[tuple[int, int], ...]

# fmt: off
# What stands between words. It names ranges, because what databases call a letter depends on their version.
SEPARATORS: Ranges = (
    (0x00, 0x23), (0x25, 0x2F), (0x3A, 0x40), (0x5B, 0x60), (0x7B, 0xA1), (0xA7, 0xA8), (0xAB, 0xAB), (0xAF, 0xAF),
    (0xB4, 0xB4), (0xB6, 0xB8), (0xBB, 0xBB), (0xBF, 0xBF), (0x37E, 0x37E), (0x387, 0x387), (0x55A, 0x55F),
    (0x589, 0x58A), (0x5BE, 0x5BE), (0x5C0, 0x5C0), (0x5C3, 0x5C3), (0x5C6, 0x5C6), (0x5F3, 0x5F4), (0x60C, 0x60D),
    (0x61B, 0x61B), (0x61E, 0x61F), (0x66A, 0x66D), (0x6D4, 0x6D4), (0x964, 0x965), (0xE4F, 0xE4F), (0xE5A, 0xE5B),
    (0xF0B, 0xF14), (0x104A, 0x104F), (0x1360, 0x1368), (0x17D4, 0x17D6), (0x17D8, 0x17DA), (0x2000, 0x206F),
    (0x2E00, 0x2E7F), (0x3000, 0x3004), (0x3008, 0x3020), (0x30A0, 0x30A0), (0x30FB, 0x30FB), (0xD800, 0xDFFF),
    (0xFE00, 0xFE1F), (0xFE30, 0xFE68), (0xFE6A, 0xFE6F), (0xFF01, 0xFF03), (0xFF05, 0xFF0F), (0xFF1A, 0xFF20),
    (0xFF3B, 0xFF40), (0xFF5B, 0xFF65), (0xFFE3, 0xFFE3), (0xFFF0, 0xFFFF), (0x1F3FB, 0x1F3FF), (0xE0000, 0xE007F),
)
# Symbols: currencies, arrows, mathematics, dingbats, emoji.
SIGNS: Ranges = (
    (0x24, 0x24), (0xA2, 0xA6), (0xA9, 0xA9), (0xAC, 0xAC), (0xAE, 0xAE), (0xB0, 0xB1), (0xD7, 0xD7), (0xF7, 0xF7),
    (0x58F, 0x58F), (0x60B, 0x60B), (0x9F2, 0x9F3), (0xAF1, 0xAF1), (0xBF9, 0xBF9), (0xE3F, 0xE3F), (0x17DB, 0x17DB),
    (0x20A0, 0x20CF), (0x2120, 0x2123), (0x2190, 0x245F), (0x2500, 0x2775), (0x2794, 0x2BFF), (0x3030, 0x3030),
    (0x303D, 0x303D), (0x3200, 0x33FF), (0xFDFC, 0xFDFC), (0xFE69, 0xFE69), (0xFF04, 0xFF04), (0xFFE0, 0xFFE2),
    (0xFFE4, 0xFFE6), (0xFFE8, 0xFFEE), (0x1D100, 0x1D1FF), (0x1F000, 0x1F2FF), (0x1F300, 0x1F3FA), (0x1F400, 0x1FAFF),
)
# Thai, Lao, Burmese, Khmer, Japanese, Chinese, Korean: no spaces between words, or parts of words that matter.
RUNS: Ranges = (
    (0xE01, 0xE3A), (0xE40, 0xE4E), (0xE81, 0xEBD), (0xEC0, 0xECD), (0xEDC, 0xEDF), (0x1000, 0x103F), (0x1050, 0x109F),
    (0x1780, 0x17D3), (0x17D7, 0x17D7), (0x17DC, 0x17DD), (0x2E80, 0x2FDF), (0x3005, 0x3007), (0x3021, 0x3029),
    (0x3031, 0x3035), (0x303B, 0x303C), (0x3041, 0x3096), (0x3099, 0x309F), (0x30A1, 0x30FA), (0x30FC, 0x30FF),
    (0x3105, 0x312F), (0x31A0, 0x31BF), (0x31F0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xA000, 0xA4CF),
    (0xAC00, 0xD7A3), (0xF900, 0xFAFF), (0xFF66, 0xFF9F), (0x1B000, 0x1B16F), (0x20000, 0x3FFFD),
)
# Marks that people do not type when looking for a word.
MARKS: Ranges = (
    (0xAD, 0xAD), (0x300, 0x36F), (0x483, 0x487), (0x591, 0x5BD), (0x5BF, 0x5BF), (0x5C1, 0x5C2), (0x5C4, 0x5C5),
    (0x5C7, 0x5C7), (0x610, 0x61A), (0x640, 0x640), (0x64B, 0x65F), (0x670, 0x670), (0x6D6, 0x6DC), (0x6DF, 0x6E4),
    (0x6E7, 0x6E8), (0x6EA, 0x6ED), (0x1AB0, 0x1AFF), (0x1DC0, 0x1DFF), (0x20D0, 0x20FF), (0xFE20, 0xFE2F),
)
# Variants of the same letters for other widths and places.
VARIANTS: Ranges = (
    (0xAA, 0xAA), (0xB2, 0xB3), (0xB9, 0xBA), (0x132, 0x133), (0x1C4, 0x1CC), (0x1F1, 0x1F3), (0x2070, 0x208E),
    (0xFB00, 0xFB06), (0xFE69, 0xFE69), (0xFF01, 0xFFEE),
)
# fmt: on
# Their characters are not taken apart.
HANGUL: Ranges = ((0xAC00, 0xD7A3),)
# Letters that are no plain ones with an accent, as Unicode sees it.
LETTERS = {
    "æ": "ae",
    "œ": "oe",
    "þ": "th",
    **dict(zip("øłŀĿđðħŧ\u0131ĸŋŉƒɨʉƶ", "olllddhtiknnfiuz", strict=True)),
}
# Letters of their own, which are written like others with a mark.
KEPT = {"\u0438\u0306": "й", "\u0456\u0308": "ї", "\u0443\u0306": "ў", "\u0433\u0301": "ѓ", "\u043a\u0301": "ќ"}
PAIRS = {**KEPT, **{pair.upper(): letter for pair, letter in KEPT.items()}}


def _within(code: int, ranges: Ranges) -> bool:
    # Migrating asks this a hundred thousand times; the ranges are in order.
    place = bisect_right(ranges, code, key=itemgetter(0))
    return place > 0 and code <= ranges[place - 1][1]


def _folded(char: str) -> str:
    """Return what stands for a character."""
    code = ord(char)
    if char.lower() in KEPT.values():
        return char.lower()
    if _within(code, SEPARATORS) or _within(code, HANGUL):
        return char
    is_variant = _within(code, VARIANTS)
    if not is_variant and _within(code, SIGNS):
        return char
    folded = "".join(map(_plain, unicodedata.ucd_3_2_0.normalize("NFKD" if is_variant else "NFD", char)))
    # Some letters that are none in the usual sense would turn into what stands between words.
    return folded if all(_kind(part) == _kind(char) for part in folded) else char


def _kind(char: str) -> int:
    return next((number for number, ranges in enumerate((SEPARATORS, SIGNS, RUNS)) if _within(ord(char), ranges)), 3)


def _plain(part: str) -> str:
    old = unicodedata.ucd_3_2_0
    if _within(ord(part), MARKS):
        return ""
    if part in LETTERS:
        return LETTERS[part]
    if old.category(part) == "Nd":
        return str(old.decimal(part))
    small = part.casefold() if old.category(part) != "Cn" or part == "ẞ" else part
    return "".join(LETTERS.get(letter, letter) for letter in small)


IDS_OF_A_KIND = 2**60
# A vector of PostgreSQL holds at most 1 MiB. Only what a worker appends to can grow this long.
LONGEST_TEXT = 50_000
# Table, number of its kind, columns of the title, column of the body.
TABLES = (
    ("tasks", 0, ("title",), "description"),
    ("posts", 1, ("title",), "content"),
    ("items", 2, ("name", "sku"), "description"),
)


# Where letters are that do not stand for themselves.
_FOLDED = ((0x80, 0x30FF), (0xF900, 0xFFFF), (0x10400, 0x104FF), (0x1D7CE, 0x1D7FF), (0x2F800, 0x2FA1F))


@cache
def _foldings() -> Mapping[str, str]:
    """Return what stands for each character beyond ASCII that does not stand for itself."""
    known = (chr(code) for first, last in _FOLDED for code in range(first, last + 1))
    return MappingProxyType({char: folded for char in known if (folded := _folded(char)) != char})


def _title(row: str, columns: tuple[str, ...]) -> str:
    return " || ' ' || ".join(f"coalesce({row}.{column}, '')" for column in columns)


# --- SQLite -----------------------------------------------------------------------------

# Characters are looked at one by one. Long texts are taken in pieces, because finding the
# n-th character of a text means to walk there.
_PIECE = 256
# Words with nothing between them but spaces; all else is said by what is put in.
_TOKENIZER = "ascii tokenchars ''$''"


def create_in_sqlite(*, ids_of_a_kind: int = IDS_OF_A_KIND) -> None:
    """Make the index of SQLite anew, with all that exists in it, and keep it in step by triggers."""
    op.execute("CREATE TABLE search_index_numbers (n INTEGER PRIMARY KEY)")
    op.execute(
        "INSERT INTO search_index_numbers WITH RECURSIVE counted(n) AS"
        " (SELECT 0 UNION ALL SELECT n + 1 FROM counted WHERE n < 1023) SELECT n FROM counted"
    )
    op.execute("CREATE TABLE search_index_folds (char TEXT PRIMARY KEY, folded TEXT NOT NULL) WITHOUT ROWID")
    values = ", ".join(f"('{char}', '{folded}')" for char, folded in _foldings().items())
    op.execute(f"INSERT INTO search_index_folds (char, folded) VALUES {values}")
    # Without content of its own, the text is not stored twice; then a row can only be
    # taken out by telling FTS5 what was put in.
    op.execute(f"CREATE VIRTUAL TABLE search_index USING fts5(title, body, content='', tokenize='{_TOKENIZER}')")
    for table, number, titles, body in TABLES:
        keep_in_sqlite(table, number * ids_of_a_kind, titles, body, _sqlite_words)


def keep_in_sqlite(
    table: str, first: int, titles: tuple[str, ...], body: str, words: Callable[[str], str] = str
) -> None:
    """Put a table into the index and keep it in step; `words` returns the expression for what is indexed of a text."""
    watched = (*titles, body)

    def values_of(row: str) -> str:
        title, text = words(_title(row, titles)), words(f"coalesce({row}.{body}, '')")
        return f"{row}.id + {first}, {title}, {text}"

    put = f"INSERT INTO search_index (rowid, title, body) VALUES ({values_of('new')});"
    take = f"INSERT INTO search_index (search_index, rowid, title, body) VALUES ('delete', {values_of('old')});"
    changed = " OR ".join(f"old.{column} IS NOT new.{column}" for column in watched)
    op.execute(f"CREATE TRIGGER {table}_search_insert AFTER INSERT ON {table} BEGIN {put} END")
    op.execute(f"CREATE TRIGGER {table}_search_delete AFTER DELETE ON {table} BEGIN {take} END")
    op.execute(
        f"CREATE TRIGGER {table}_search_update AFTER UPDATE OF {', '.join(watched)} ON {table}"
        f" WHEN {changed} BEGIN {take} {put} END"
    )
    op.execute(f"INSERT INTO search_index (rowid, title, body) SELECT {values_of(table)} FROM {table}")


def drop_in_sqlite() -> None:
    """Drop the index of SQLite and what keeps it in step."""
    for table, *_ in TABLES:
        for event in ("insert", "delete", "update"):
            op.execute(f"DROP TRIGGER {table}_search_{event}")
    for table in ("search_index", "search_index_folds", "search_index_numbers"):
        op.execute(f"DROP TABLE IF EXISTS {table}")


def _sqlite_words(text: str) -> str:
    """Return the expression for the tokens of a text. FTS5 itself cuts what is plain ASCII."""
    text = f"substr({text}, 1, {LONGEST_TEXT})"
    clean = text
    for pair, letter in PAIRS.items():
        clean = f"replace({clean}, '{pair}', '{letter}')"
    one = (
        "CASE WHEN c < char(128) THEN replace(c, '$', ' $ ')"
        f" WHEN c GLOB '[{_glob(SEPARATORS)}]' THEN ' '"
        f" WHEN c GLOB '[{_glob(SIGNS)}]' THEN ' ' || coalesce(folded, c) || ' '"
        " ELSE coalesce(folded, c) END"
    )
    folded = _each("source.t", one, "LEFT JOIN search_index_folds ON c >= char(128) AND char = c")
    run = _glob(RUNS)
    pair = f"CASE WHEN c GLOB '[{run}]' THEN ' ' || c || CASE WHEN next GLOB '[{run}]' THEN next ELSE '' END || ' '"
    pairs = f"CASE WHEN cut.t GLOB '*[{run}]*' THEN {_each('cut.t', f'{pair} ELSE c END')} ELSE cut.t END"
    # A limit keeps SQLite from writing the inner expression wherever its result is used.
    slow = f"(SELECT {pairs} FROM (SELECT {folded} AS t FROM (SELECT {clean} AS t LIMIT 1) AS source LIMIT 1) AS cut)"
    return f"CASE WHEN {text} GLOB '*[^' || char(1) || '-#%-' || char(127) || ']*' THEN {slow} ELSE {text} END"


def _each(text: str, expression: str, join: str = "") -> str:
    """Return the expression that puts together what another one makes of each character `c` of a text."""
    pieces = (
        f"SELECT n AS k, substr({text}, n * {_PIECE} + 1, {_PIECE + 1}) AS piece FROM search_index_numbers"
        f" WHERE n <= length({text}) / {_PIECE} LIMIT -1"
    )
    characters = (
        "SELECT k, numbers.n AS n, substr(piece, numbers.n, 1) AS c, substr(piece, numbers.n + 1, 1) AS next"
        f" FROM ({pieces}) CROSS JOIN search_index_numbers AS numbers"
        f" WHERE numbers.n BETWEEN 1 AND min({_PIECE}, length(piece))"
    )
    # CROSS JOIN keeps the order, a sorter would take most of the time.
    made = f"SELECT {expression} AS p FROM ({characters}) {join}"
    return f"(SELECT coalesce(group_concat(p, ''), '') FROM ({made}))"


def _glob(ranges: Ranges) -> str:
    """Return the inside of a class of GLOB for characters beyond ASCII; half of a pair is none."""
    later = ((max(first, 0x80), last) for first, last in ranges if last >= 0x80 and not 0xD800 <= first <= 0xDFFF)
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in later)


# --- PostgreSQL -------------------------------------------------------------------------


def create_functions() -> None:
    """Make the functions of PostgreSQL that triggers use."""
    for statement in (_words_function(), _document_function()):
        op.execute(statement)


def drop_functions() -> None:
    """Drop the functions of PostgreSQL."""
    op.execute("DROP FUNCTION IF EXISTS search_document(text, text)")
    op.execute("DROP FUNCTION IF EXISTS search_words(text)")


def document(table: str, row: str) -> str:
    """Return the expression for the vector of a row."""
    titles, body = next((titles, body) for name, _, titles, body in TABLES if name == table)
    return f"search_document({_title(row, titles)}, coalesce({row}.{body}, ''))"


def keep(table: str) -> None:
    """Make PostgreSQL fill the column of this table with each row that is written from now on."""
    op.execute(
        f"CREATE OR REPLACE FUNCTION {table}_search_vector() RETURNS trigger LANGUAGE plpgsql AS $$"
        f" BEGIN NEW.search_vector := {document(table, 'NEW')}; RETURN NEW; END $$"
    )


def _words_function() -> str:
    steps = [f"t := replace(t, '{pair}', '{letter}');" for pair, letter in PAIRS.items()]
    steps.append(f"t := regexp_replace(t, '[{_regex(MARKS)}]+', '', 'g');")
    # Texts rarely have letters of more than one script, so each script has steps of its own.
    blocks: dict[int, dict[str, str]] = {}
    for char, folded in _foldings().items():
        if folded:
            blocks.setdefault(_block(char), {})[char] = folded
    steps += map(_fold_step, blocks.values())
    run = _regex(RUNS)
    steps += [
        f"t := regexp_replace(t, '[{_regex(SEPARATORS)}]+', ' ', 'g');",
        f"t := regexp_replace(t, '([{_regex(SIGNS)}])', ' \\1 ', 'g');",
        f"IF t ~ '[{run}]' THEN t := (SELECT string_agg(CASE WHEN part[1] ~ '^[{run}]' THEN ' ' || (",
        "SELECT string_agg(c || coalesce(following, ''), ' ' ORDER BY n) FROM (SELECT c, n, lead(c) OVER (ORDER BY n)",
        "AS following FROM unnest(string_to_array(part[1], NULL)) WITH ORDINALITY AS unit(c, n)) AS pairs) || ' '",
        f"ELSE part[1] END, '' ORDER BY place) FROM regexp_matches(t, '[{run}]+|[^{run}]+', 'g')",
        "WITH ORDINALITY AS piece(part, place)); END IF;",
    ]
    # The locale of the database might lower other letters too, or I to a letter without a dot.
    begin = f"""DECLARE t text := lower(left(source, {LONGEST_TEXT}) COLLATE "C"); BEGIN"""
    plain = r"IF t !~ '[^\x01-#%-\x7f]' THEN RETURN t; END IF;"
    body = "\n".join([begin, plain, *steps, "RETURN t; END"])
    declared = "LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE"
    return f"CREATE OR REPLACE FUNCTION search_words(source text) RETURNS text {declared} AS $${body}$$"


def _document_function() -> str:
    def lexemes(text: str, weight: str, after: str) -> str:
        # Words are cut where PostgreSQL would refuse them.
        lexeme = f"'''' || left(part[1], 500) || ''':' || least({after} + place, 16383) || '{weight}'"
        words = rf"regexp_matches(search_words({text}), '[^\x01-#%-/:-@[-`{{-\x7f]+', 'g')"
        return f"SELECT string_agg({lexeme}, ' '), count(*) FROM {words} WITH ORDINALITY AS token(part, place)"

    # One position stays free, so that no phrase goes from the title to the body.
    body = (
        "DECLARE one text; two text; size bigint; rest bigint; BEGIN"
        f" {lexemes('title', 'A', '0')} INTO one, size; {lexemes('body', '', 'size + 1')} INTO two, rest;"
        " RETURN concat_ws(' ', one, two)::tsvector; END"
    )
    declared = "LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE"
    return (
        f"CREATE OR REPLACE FUNCTION search_document(title text, body text) RETURNS tsvector {declared} AS $${body}$$"
    )


def _fold_step(folds: dict[str, str]) -> str:
    """Return the statement that folds the letters of one script, if there are any."""
    single = {char: folded for char, folded in folds.items() if len(folded) == 1}
    step = f"translate(t, '{''.join(single)}', '{''.join(single.values())}')" if single else "t"
    for char, folded in folds.items():
        if len(folded) > 1:
            step = f"replace({step}, '{char}', '{folded}')"
    return f"IF t ~ '[{min(folds)}-{max(folds)}]' THEN t := {step}; END IF;"


# Where scripts begin, more or less.
_SCRIPTS = (0x80, 0x180, 0x370, 0x400, 0x530, 0x600, 0x900, 0xA00, 0xB00, 0xC00, 0xD00, 0x1000, 0x1E00, 0x1F00)
_SCRIPTS += (0x2000, 0x3000, 0x3100, 0xF900, 0xFB00, 0xFF00, 0x10000, 0x20000)


def _block(char: str) -> int:
    return max(start for start in _SCRIPTS if start <= ord(char))


def _regex(ranges: Ranges) -> str:
    """Return the inside of a class of a regular expression."""
    later = ((max(first, 1), last) for first, last in ranges if not 0xD800 <= first <= 0xDFFF)
    return "".join(rf"\U{first:08x}-\U{last:08x}" for first, last in later)
