"""The search in all scripts: what is found is the same on both engines, because all of them fold and cut alike."""

from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import text

from core.platform.database.base import db
from core.platform.database.session import transaction
from core.posts.model import Post
from core.search import folding, service
from core.search.folding import fold, tokens
from core.tasks.model import Task
from migrations import search_folding
from tests.support.people import Person

# A text, a query, and whether the one is found by the other.
PAIRS = [
    # Latin
    ("Łódź fabryczna", "lodz", True),
    ("Lodz fabryczna", "Łódź", True),
    ("Ørsted kraftværk", "orsted", True),
    ("Ørsted kraftværk", "kraftvaerk", True),
    ("Đà Nẵng beach", "da nang", True),
    ("Da Nang beach", "Đà Nẵng", True),
    ("Lange Straße", "STRASSE", True),
    ("Lange Strasse", "straße", True),
    ("LANGE STRAẞE", "strasse", True),
    ("İstanbul", "istanbul", True),
    ("ISPARTA", "ısparta", True),
    ("Þingvellir og Ísafjörður", "thingvellir isafjordur", True),
    ("Cœur de bœuf", "coeur boeuf", True),
    ("Žluťoučký kůň", "zlutoucky kun", True),
    ("Žluťoučký kůň", "kon", False),
    ("o\ufb03ce \ufb01le", "office file", True),
    ("Ｆｕｌｌ ｗｉｄｔｈ １２", "full width 12", True),
    ("m² and m³", "m2", True),
    # Greek
    ("ΟΔΟΣ ερμού", "οδος", True),
    ("οδός Ερμού", "ΟΔΟΣ ΕΡΜΟΥ", True),
    ("Ἀθῆναι", "αθηναι", True),
    ("οδός", "οδοι", False),
    # Cyrillic
    ("ПРИВЕТ мир", "привет", True),
    ("Чёрный ёж", "черный еж", True),
    ("Мой дом", "мои", False),
    ("Мо\u0438\u0306 дом", "мой", True),
    ("Київ", "КИЇВ", True),
    ("Київ", "киів", False),
    # Armenian, Georgian
    ("ՀԱՅԱՍՏԱՆ և", "հայաստան", True),
    ("საქართველო", "საქართ", True),
    # Hebrew
    ("שָׁלוֹם עולם", "שלום", True),
    ("שלום עולם", "עולם שלום", True),
    # Arabic
    ("كِتَابٌ جديد", "كتاب", True),
    ("كتـــاب", "كتاب", True),
    ("أحمد", "احمد", True),
    ("صفحة ١٢٣", "123", True),
    # Devanagari, Bengali, Tamil
    ("हिन्दी में लिखें", "हिन्दी", True),
    ("हिन्दी में लिखें", "न्दी", False),
    ("ज़मीन", "ज\u093cमीन", True),
    ("ফাইল আপলোড", "আপলোড", True),
    ("தமிழ் மொழி", "தமிழ்", True),
    # Thai, Lao, Khmer, Burmese: no spaces between words
    ("ฉันอยู่ที่กรุงเทพมหานคร", "กรุงเทพ", True),
    ("ฉันอยู่ที่กรุงเทพมหานคร", "เชียงใหม่", False),
    ("ຂ້ອຍຢູ່ວຽງຈັນ", "ວຽງຈັນ", True),
    ("ខ្ញុំរស់នៅភ្នំពេញ", "ភ្នំពេញ", True),
    ("ရန်ကုန်မြို့", "ကုန်", True),
    # Japanese and Chinese
    ("私は東京に住んでいます", "東京", True),
    ("私は東京に住んでいます", "住んで", True),
    ("私は東京に住んでいます", "京", True),
    ("私は東京に住んでいます", "京東", False),
    ("私は東京に住んでいます", "東に", False),
    ("東京都と京都府", "東京都府", False),
    ("ｶﾞｲﾄﾞﾌﾞｯｸ", "ガイドブック", True),
    ("か\u3099くせい", "がくせい", True),
    ("iPhoneを買う", "iphone 買", True),
    ("我们在北京开会。", "北京开会", True),
    ("我们在北京。开会", '"北京开"', False),
    ("我们在北京 开会", '"北京 开"', True),
    # Korean
    ("대한민국", "민국", True),
    ("한국어 문서", "한국", True),
    # Emoji, currencies, other symbols
    ("Launch🚀now", "🚀", True),
    ("Launch🚀now", "🤖", False),
    ("Launch🚀now", "launch now", True),
    ("Family 👩‍👩‍👧 👍🏽", "👍", True),
    ("Family 👩‍👩‍👧 👍🏽", "👩‍👩‍👧", True),
    ("Flag 🇩🇪", "🇩🇪", True),
    ("Costs 5€ or $7", "€", True),
    ("Costs 5€ or $7", "$7", True),
    ("Costs 5€ or $7", "£", False),
    ("₹500 and ฿20", "₹ ฿", True),
    ("a → b ≠ c", "→", True),
    # Codes and words with other signs between them
    ("Order ABC-123/7 today", "ABC-123/7", True),
    ("Order ABC-123/7 today", "123/7", True),
    ("Order ABC-123/7 today", '"abc 123 7"', True),
    ("Order ABC-123/7 today", '"123 abc"', False),
    ("A well-known co-operation", "well-known", True),
    ("Wasser\u00adkocher", "wasserkocher", True),
]


@pytest.fixture
def written(app: Flask, ada: Person) -> Iterator[dict[str, int]]:
    """The number of the task for each text: every second has it as its description."""
    with app.app_context():
        with transaction() as session:
            texts = list(dict.fromkeys(text for text, *_ in PAIRS))
            tasks = [
                Task(owner_id=ada.user_id, title="x" if n % 2 else words, description=words if n % 2 else None)
                for n, words in enumerate(texts)
            ]
            session.add_all(tasks)
        yield {words: task.id for words, task in zip(texts, tasks, strict=True)}


def test_what_is_found_in_each_script_is_the_same_on_both_engines(ada: Person, written: dict[str, int]) -> None:
    wrong = []
    for words, query, expected in PAIRS:
        hits = {hit.id: hit for hit in service.search(ada.actor, text=query, size=100).items}
        found = written[words] in hits
        if found is not expected:
            wrong.append((words, query, "found" if found else "not found"))
        elif found and "<mark>" not in hits[written[words]].snippet:
            wrong.append((words, query, hits[written[words]].snippet))
    assert wrong == []
    assert len(PAIRS) >= 60


# So many pairs of characters that PostgreSQL has lost count of their places.
LONG = "".join(chr(0x4E00 + 7 * n % 15_000) for n in range(17_000))


@pytest.mark.parametrize(
    ("words", "query", "expected"),
    [
        (f"{LONG}。東京都庁", "東京都庁", True),
        (f"{LONG}。東京都庁", "東京庁", False),
        ("です。" * 300 + "東京です夏", "です夏", True),
        ("です。" * 300 + "東京です夏", "です東", False),
        ("the cat " * 300 + "the zebra", '"the zebra"', True),
        ("the cat " * 300 + "THE, Zébra", '"the zebra"', True),
        ("the cat " * 300 + "zebra", '"the zebra"', False),
        ("the cat " * 300 + "zebra の", '"zebra の"', True),
        ("the cat " * 300 + "the のは", '"the の"', True),
        ("the cat " * 300 + "zebra のは", '"the の"', False),
    ],
)
def test_what_follows_what_is_known_to_the_end_of_a_long_text(
    app: Flask, ada: Person, words: str, query: str, expected: bool
) -> None:
    with app.app_context():
        with transaction() as session:
            session.add(Post(title="x", content=words, user_id=ada.user_id))
        hits = service.search(ada.actor, text=query).items
    assert ["<mark>" in hit.snippet for hit in hits] == [True] * expected


def test_the_databases_fold_and_cut_each_character_as_the_queries_do(app: Flask) -> None:
    """Tokens of the index and of the query must not differ for any character."""
    edges = {
        code + step
        for ranges in (folding.SEPARATORS, folding.SIGNS, folding.RUNS, folding.MARKS)
        for first, last in ranges
        for code in (first, last)
        for step in (-1, 0, 1)
    }
    codes = sorted(set(range(1, 0x3400)) | set(range(0xF900, 0x10500)) | set(range(0x1F000, 0x1FB00)) | edges)
    chars = [chr(code) for code in codes if 0 < code < 0xD800 or 0xDFFF < code < 0x110000]
    texts = ["".join(f"a{char}b {char}{char} " for char in chars[at : at + 200]) for at in range(0, len(chars), 200)]
    with app.app_context():
        is_sqlite = db.engine.dialect.name == "sqlite"
        words = search_folding._sqlite_words(":text") if is_sqlite else "search_words(:text)"
        made = [db.session.scalar(text(f"SELECT {words}"), {"text": given}) for given in texts]
    for given, cut in zip(texts, made, strict=True):
        assert [part for part in _cut(cut) if part] == [token.text for token in tokens(fold(given))], given


_ONLY_SPACES = {code: " " for code in range(1, 0x80) if chr(code) not in "abcdefghijklmnopqrstuvwxyz0123456789$"}


def _cut(words: str) -> list[str]:
    """Cut as the tokenizers of both do: at what is ASCII and neither a letter, a digit nor a dollar."""
    return "".join(char.lower() if char.isascii() else char for char in words).translate(_ONLY_SPACES).split(" ")


@pytest.mark.slow
def test_what_the_migration_has_is_what_queries_use() -> None:
    for name in ("SEPARATORS", "SIGNS", "RUNS", "MARKS", "VARIANTS", "HANGUL", "LETTERS", "PAIRS"):
        assert getattr(search_folding, name) == getattr(folding, name), name
    chars = (chr(code) for code in range(0x80, 0x30000) if not 0xD800 <= code <= 0xDFFF)
    assert search_folding._foldings() == {char: fold(char) for char in chars if fold(char) != char}


@pytest.mark.slow
def test_folding_changes_no_kind_of_character() -> None:
    for code in range(0x80, 0x30000):
        char = chr(code)
        folded = fold(char)
        assert fold(folded) == folded
        assert all(folding._kind(part) == folding._kind(char) for part in folded), char


def test_a_tool_that_knows_nothing_of_us_keeps_the_index_too(app: Flask, ada: Person) -> None:
    task = ada.create_task(title="Before")
    with app.app_context(), db.engine.begin() as connection:
        raw = connection.connection.cursor()
        raw.execute(f"UPDATE tasks SET title = 'Straße in 東京都' WHERE id = {int(task['id'])}")
    for words, count in (("before", 0), ("STRASSE", 1), ("京都", 1)):
        assert len(ada.get("/search", query_string={"q": words}).get_json()["data"]) == count, words
