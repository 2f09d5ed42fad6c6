"""The search: what matches, in which order, how it is shown, and that the index is always in step."""

import contextlib
import itertools
import sqlite3
import unicodedata
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, insert, text, update
from sqlalchemy.engine import Connection

from core.items.model import Item
from core.platform import clock
from core.platform.access import Actor, Role
from core.platform.database.base import db
from core.platform.database.session import transaction
from core.platform.errors import Forbidden, Malformed
from core.posts.model import Post
from core.projects.model import Project
from core.search import fts5, index, service
from core.search.fts5 import quoted
from core.search.index import HitKind
from core.search.repository import MOST_RANKED, ts_query
from core.search.snippets import snippet
from core.search.terms import QUERY_LENGTH, Term, fold, parse
from core.tasks.model import Task
from tests.support.people import Person
from tests.support.search_words import HOSTILE
from tests.support.tasks import analyze


@pytest.fixture
def context(app: Flask) -> Iterator[None]:
    with app.app_context():
        yield


@pytest.fixture
def write(context: None, ada: Person) -> Callable[..., int]:
    """Return a function that stores a task of Ada's and returns its id."""

    def store(title: str, description: str | None = None, **values: Any) -> int:
        with transaction() as session:
            task = Task(title=title, description=description, **{"owner_id": ada.user_id, **values})
            session.add(task)
        return task.id

    return store


def found(person: Person, words: str, **options: Any) -> list[Any]:
    page = service.search(person.actor, text=words, **options)
    assert page.total is not None
    assert page.total >= len(page.items)
    return list(page.items)


def titles(person: Person, words: str, **options: Any) -> list[str]:
    return [hit.title for hit in found(person, words, **options)]


# What matches.


def test_a_query_is_read_as_words_phrases_and_a_beginning() -> None:
    assert parse('one "two three" fo') == [Term(("one",)), Term(("two", "three")), Term(("fo",), is_prefix=True)]
    assert parse('"one two"') == [Term(("one", "two"))]
    assert parse('one "two"') == [Term(("one",)), Term(("two",))]
    assert parse('"one two') == [Term(("one",)), Term(("two",), is_prefix=True)]
    assert parse("“one two” !") == [Term(("one", "two"))]
    assert parse('one "!"') == [Term(("one",), is_prefix=True)]
    assert parse("aa aa aa") == [Term(("aa",)), Term(("aa",), is_prefix=True)]
    assert parse("É") == [Term(("e",))]
    assert parse("!?") == []
    assert parse("東") == [Term(("東",), is_prefix=True)]
    assert parse("東京都 5€") == [Term(("東京", "京都")), Term(("5",)), Term(("€",))]
    assert parse('"in 東京 now" "in 東京"') == [Term(("in", "東京", "京", "now")), Term(("in", "東京"))]
    assert parse('"in 東"') == [Term(("in", "東"), is_prefix=True)]


def test_a_query_that_is_too_long_is_refused_and_named() -> None:
    assert parse("a" * QUERY_LENGTH)
    with pytest.raises(Malformed) as refusal:
        parse("a" * (QUERY_LENGTH + 1))
    assert list(refusal.value.details or {}) == ["q"]


def test_no_operator_of_an_engine_survives() -> None:
    terms = parse("title:a* NEAR(b) -c ^d 'e' \\f & \"g:*\"")
    assert [quoted(term) for term in terms] == [f'"{word}"' for word in ("title", "a", "near", *"bcdefg")]
    assert ts_query(terms) == "('title') & ('a') & ('near') & ('b') & ('c') & ('d') & ('e') & ('f') & ('g')"


MATCHES = [
    ("Water the plants", "plants", True),
    ("Water the plants", "PLANTS", True),
    ("Water the plants", "plan", True),
    ("Water the plants", "lants", False),
    ("Water the plants", "wat plants", False),
    ("Water the plants", "plants wat", True),
    ("Water the plants", "plants the water", True),
    ("Water the plants", "plants tree", False),
    ("Water the plants", '"the plants"', True),
    ("Water the plants", '"water plants"', False),
    ("Water the plants", '"plants the"', False),
    ("Water the plants", '"water the plan"', False),
    ("Water the plants", '"water the" plan', True),
    ("Water the plants", '"WATER the" plants', True),
    ("Deploy api-v1.2/users to host.example.com", "api v1 2 users host example", True),
    ("Deploy api-v1.2/users to host.example.com", "api-v1.2/users", True),
    ("Deploy api-v1.2/users to host.example.com", "example.com", True),
    ("Deploy api-v1.2/users to host.example.com", "users", True),
    ("Fix <script>alert(1)</script>", "alert", True),
    ("Fix <script>alert(1)</script>", "<script>", True),
    ("Mail ada@example.com about -5 and 3.14", "ada example 5 14", True),
    ("snake_case and camelCase", "case", True),
    ("snake_case and camelCase", "camelcase", True),
    ("Crème brûlée", "creme brulee", True),
    ("Creme brulee", "crème brûlée", True),
    ("Creme bru\u0302le\u0301e", "BRÛLÉE", True),
    ("Äpfel", "äpfel", True),
    ("Äpfel", "apfel", True),
    ("Мой дом", "мой", True),
    ("Мой дом", "мои", False),
    ("ПРИВЕТ", "привет", True),
    ("हिन्दी में", "हिन्दी", True),
    ("東京タワー", "東京", True),
    ("한국어", "한국", True),
    ("Launch🚀now", "launch now", True),
    ("Launch🤖now🫠", "now launch", True),
    ("Launch🤖", "🤖", True),
    ("\u2067כלב, חתול\u2069", "כלב חתול", True),
    ("كلمة، أخرى؟", '"كلمة أخرى"', True),
    ("एक। दो।", '"एक दो"', True),
    ("Launch🚀now", "launch🚀now", True),
    ("“Quoted” — dashed…", "quoted dashed", True),
    ("C++ and C#", "c", True),
    ("R2D2 1e5 0x1F 5abc", "r2d2 1e5 0x1f 5ab", True),
    ("don't", "don't", True),
    ("AND OR NOT", "and or not", True),
    ("NEAR the shore", "near(", True),
    ("AT&T", "at&t", True),
    ("the who", "the", True),
]


@pytest.mark.parametrize(("title", "words", "expected"), MATCHES)
def test_what_matches_is_the_same_in_title_and_text_on_both_engines(
    ada: Person, write: Callable[..., int], title: str, words: str, expected: bool
) -> None:
    write(title)
    write("Second", title)
    assert len(titles(ada, words)) == (2 if expected else 0)
    marked = [hit.snippet for hit in found(ada, words)]
    assert all("<mark>" in extract for extract in marked), marked


def test_words_may_be_spread_over_title_and_text_but_a_phrase_may_not(ada: Person, write: Callable[..., int]) -> None:
    write("Renew the", "certificate soon")
    assert titles(ada, "certificate renew") == ["Renew the"]
    assert titles(ada, '"the certificate"') == []


def test_posts_and_items_are_found_by_all_their_texts(context: None, ada: Person) -> None:
    with transaction() as session:
        session.add(Post(title="Weekly zebra", content="All is calm", user_id=ada.user_id))
        session.add(
            Item(name="Zebra crossing", price=Decimal(1), sku="ZX-81", description="A quokka", created_by=ada.user_id)
        )
    assert {hit.type for hit in found(ada, "zebra")} == {HitKind.POST, HitKind.ITEM}
    assert [(hit.type, hit.title) for hit in found(ada, "calm")] == [(HitKind.POST, "Weekly zebra")]
    assert [(hit.type, hit.snippet) for hit in found(ada, "quokka")] == [(HitKind.ITEM, "A <mark>quokka</mark>")]
    by_sku = found(ada, "zx-81")
    assert [(hit.type, hit.snippet) for hit in by_sku] == [(HitKind.ITEM, "<mark>ZX</mark>-<mark>81</mark>")]
    assert found(ada, "zebra", kinds=[HitKind.POST, HitKind.POST])[0].type == HitKind.POST
    assert found(ada, "zebra", kinds=[HitKind.TASK]) == []


def test_hostile_text_is_text(ada: Person, write: Callable[..., int]) -> None:
    write("Water the plants", "-plants NEAR water title AND OR NOT x s mark 1 drop table tasks ABCD body 2")
    for words, newest in itertools.product(HOSTILE, (False, True)):
        with contextlib.suppress(Malformed):
            page = service.search(ada.actor, text=words, newest=newest)
            assert page.total in (0, 1), words
            assert (page.total == 1) == bool(page.items), words


@pytest.mark.parametrize("words", ["", " ", "!?", '""', "…", "\u200b", "\u0301", "، ؟", "。"])
def test_text_with_nothing_that_could_be_found_is_refused(ada: Person, context: None, words: str) -> None:
    with pytest.raises(Malformed) as refusal:
        service.search(ada.actor, text=words)
    assert refusal.value.details == {
        "q": ["Must have a letter, a digit or a symbol; punctuation cannot be looked for."]
    }


# The order.


def test_a_title_beats_any_text(ada: Person, write: Callable[..., int]) -> None:
    write("Short", "deploy " * 50)
    write("Deploy it", "word " * 1500)
    write("Another", "deploy")
    assert titles(ada, "deploy")[0] == "Deploy it"
    assert set(titles(ada, "deploy")) == {"Deploy it", "Short", "Another"}


def test_more_words_in_the_title_are_better(ada: Person, write: Callable[..., int]) -> None:
    write("Deploy", "release release release")
    write("Deploy the release")
    write("Other", "deploy release deploy release")
    assert titles(ada, "deploy release") == ["Deploy the release", "Deploy", "Other"]


def test_a_title_beats_a_text_across_types_too(context: None, ada: Person, write: Callable[..., int]) -> None:
    write("Something", "about the zebra")
    for number in range(5):
        write(f"Filler {number}", "zebra")
    with transaction() as session:
        session.add(Post(title="Zebra", content="news", user_id=ada.user_id))
        session.add(Item(name="Stripes", price=Decimal(1), description="of a zebra", created_by=ada.user_id))
    hits = found(ada, "zebra")
    assert hits[0].type is HitKind.POST
    assert hits[0].score == 1
    assert all(0 < hit.score < 0.6 for hit in hits[1:])
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_equals_come_newest_first(ada: Person, write: Callable[..., int]) -> None:
    ids = [write("Same title", "same text") for _ in range(5)]
    assert [hit.id for hit in found(ada, "same")] == ids[::-1]


def test_common_words_find_what_rare_ones_do_and_more_of_them_in_the_title_are_better(
    ada: Person, write: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite spells prefixes of common words out, and does not weigh their places."""
    write("Deploy", "release release release, reloaded")
    write("Deploy the release", "releases of 東京都")
    write("Other", "deploy release deploy relish")
    queries = ["rel", "release ", "deploy rel", '"deploy the rel"', "rel deploy ", "relx", "東京", "東", "京都"]
    rare = [sorted(titles(ada, query)) for query in queries]
    monkeypatch.setattr(fts5, "MOST_WEIGHED", 0)
    for most in (50, 2):
        monkeypatch.setattr(fts5, "MOST_SPELLED", most)
        assert [sorted(titles(ada, query)) for query in queries] == rare
        assert titles(ada, "deploy release")[:2] == ["Deploy the release", "Deploy"]
        assert found(ada, "deploy rel")[0].score == 1


def test_fts5_finds_the_newest_of_many_that_have_two_words_beside_those_of_other_kinds() -> None:
    number = 60_000
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE VIRTUAL TABLE found USING fts5(text, content='')")
        rows = [*range(number), *range(index.IDS_OF_A_KIND, index.IDS_OF_A_KIND + 6_000)]
        database.executemany("INSERT INTO found (rowid, text) VALUES (?, 'two words')", ((row,) for row in rows))
        database.execute("INSERT INTO found (found) VALUES ('optimize')")
        newest_first = "SELECT rowid FROM found WHERE found MATCH 'two AND words' AND rowid < ? ORDER BY rowid DESC"
        assert [row for (row,) in database.execute(newest_first, (number,))] == rows[:number][::-1]


def test_newest_first_does_not_care_for_the_score(ada: Person, write: Callable[..., int]) -> None:
    write("Deploy deploy")
    write("Other", "deploy")
    assert titles(ada, "deploy", newest=True) == ["Other", "Deploy deploy"]
    assert titles(ada, "deploy") == ["Deploy deploy", "Other"]


def test_pages_follow_each_other_without_gaps(ada: Person, write: Callable[..., int]) -> None:
    for number in range(7):
        write(f"Deploy {number}", "deploy " * number)
    whole = titles(ada, "deploy")
    pages = [service.search(ada.actor, text="deploy", number=number, size=3) for number in (1, 2, 3, 4)]
    assert [hit.title for page in pages for hit in page.items] == whole
    assert [(page.total, page.pages, len(page.items)) for page in pages] == [(7, 3, 3), (7, 3, 3), (7, 3, 1), (7, 3, 0)]


def test_a_word_that_is_everywhere_ranks_and_counts_the_newest_only(context: None, ada: Person) -> None:
    many(ada, MOST_RANKED + 50)
    page = service.search(ada.actor, text="common", size=100, newest=True)
    assert page.total == MOST_RANKED
    assert page.items[0].title == f"Common {MOST_RANKED + 49}"


# What is shown.


@pytest.mark.parametrize(
    ("texts", "words", "expected"),
    [
        (["Water the plants"], "plants", "Water the <mark>plants</mark>"),
        (["Water the plants"], "plan", "Water the <mark>plants</mark>"),
        (["a b a b"], '"a b"', "<mark>a b</mark> <mark>a b</mark>"),
        (["a x b, a b"], '"a b"', "a x b, <mark>a b</mark>"),
        (["Crème BRÛLÉE"], "creme brulee", "<mark>Crème</mark> <mark>BRÛLÉE</mark>"),
        (["<b>bold('x')</b>"], "bold", "&lt;b&gt;<mark>bold</mark>(&#x27;x&#x27;)&lt;/b&gt;"),
        (["a <script src=x>"], "script", "a &lt;<mark>script</mark> src=x&gt;"),
        (["<mark>x</mark> y"], "y", "&lt;mark&gt;x&lt;/mark&gt; <mark>y</mark>"),
        (['a "b" & c'], "b", "a &quot;<mark>b</mark>&quot; &amp; c"),
        (["&lt;b&gt; amp"], "amp", "&amp;lt;b&amp;gt; <mark>amp</mark>"),
        (["\ue000x\ue001 \x02y\x03 z"], "z", "\ue000x\ue001 \x02y\x03 <mark>z</mark>"),
        (["a\n\n\tb"], "b", "a <mark>b</mark>"),
        (["the body", "The title"], "title", "The <mark>title</mark>"),
        (["the body", "The title"], "the", "<mark>the</mark> body"),
        (["one", "one two"], "one two", "<mark>one</mark> <mark>two</mark>"),
        (["Die Straße ist"], "STRASSE", "Die <mark>Straße</mark> ist"),
        (["İstanbul’da kış"], "kis istanbul", "<mark>İstanbul</mark>’da <mark>kış</mark>"),
        (["ﬁne ﬂow"], "flow", "ﬁne <mark>ﬂow</mark>"),
        (["Cafe\u0301s, café"], "cafés", "<mark>Cafe\u0301s</mark>, café"),
        (["私は東京に住んでいます"], "東京", "私は<mark>東京</mark>に住んでいます"),
        (["東東東 東"], "東東", "<mark>東東</mark>東 東"),
        (["京都と東京"], "京", "<mark>京</mark>都と東<mark>京</mark>"),
        (["ｶﾞｲﾄﾞとガイド"], "ガイド", "<mark>ｶﾞｲﾄﾞ</mark>と<mark>ガイド</mark>"),
        (["for 5€ & 🚀🚀"], "€ 🚀", "for 5<mark>€</mark> &amp; <mark>🚀</mark><mark>🚀</mark>"),
        (["ОДИН Ёж"], "еж", "ОДИН <mark>Ёж</mark>"),
        (["nothing <b>"], "else", "nothing &lt;b&gt;"),
        (["", "Title"], "else", "Title"),
        ([""], "else", ""),
        ([], "else", ""),
    ],
)  # fmt: skip
def test_an_extract_marks_what_was_found_and_escapes_the_rest(texts: list[str], words: str, expected: str) -> None:
    assert snippet(texts, parse(words)) == expected


def test_a_long_text_is_cut_between_words_around_the_best_place() -> None:
    long = "needle " + "filler " * 100 + "needle in a haystack " + "filler " * 100
    extract = snippet([long], parse("haystack needle"))
    assert "<mark>needle</mark> in a <mark>haystack</mark>" in extract
    assert extract.startswith("…filler ")
    assert extract.endswith(" filler…")
    assert len(extract) < 260


def test_a_text_without_spaces_is_cut_all_the_same() -> None:
    assert len(snippet(["x" * 5000], parse("x"))) < 260
    assert len(snippet(["<" * 5000 + "x" + ">" * 5000], parse("x"))) < 1200
    assert len(snippet(["a" + "." * 5000 + "b"], parse('"a b"'))) < 260


@given(st.lists(st.text(), min_size=1, max_size=3), st.text(max_size=QUERY_LENGTH))
def test_an_extract_is_always_safe(texts: list[str], words: str) -> None:
    extract = snippet(texts, parse(words))
    rest = extract.replace("<mark>", "").replace("</mark>", "")
    assert not set("<>\"'") & set(rest)
    assert extract.count("<mark>") == extract.count("</mark>")


@given(st.text())
def test_folding_twice_is_folding_once(word: str) -> None:
    assert fold(fold(word)) == fold(word)


# The index.


def test_the_index_follows_every_change(ada: Person, write: Callable[..., int]) -> None:
    number = write("Before", "early")
    with transaction() as session:
        task = session.get_one(Task, number)
        task.title = "After"
        task.status = "completed"
    assert (titles(ada, "before"), titles(ada, "after"), titles(ada, "early")) == ([], ["After"], ["After"])
    with transaction() as session:
        session.execute(update(Task).values(description="late"))
    assert (titles(ada, "early"), titles(ada, "late")) == ([], ["After"])
    with transaction() as session:
        session.get_one(Task, number).description = None
    assert (titles(ada, "late"), titles(ada, "after")) == ([], ["After"])
    with transaction() as session:
        session.delete(session.get_one(Task, number))
    assert titles(ada, "after") == []
    check_index()


def test_the_index_forgets_what_is_rolled_back(ada: Person, write: Callable[..., int]) -> None:
    write("Before")

    def fail() -> None:
        with transaction() as session:
            session.execute(update(Task).values(title="After"))
            session.add(Task(title="New", owner_id=ada.user_id))
            session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert (titles(ada, "before"), titles(ada, "after"), titles(ada, "new")) == (["Before"], [], [])
    check_index()


def test_a_post_leaves_the_index_with_its_task(ada: Person, write: Callable[..., int]) -> None:
    number = write("Task")
    with transaction() as session:
        session.add(Post(title="Zebra", content="x", user_id=ada.user_id, task_id=number))
    assert titles(ada, "zebra") == ["Zebra"]
    with transaction() as session:
        session.delete(session.get_one(Task, number))
    assert titles(ada, "zebra") == []
    check_index()


def test_items_follow_their_sku(context: None, ada: Person) -> None:
    with transaction() as session:
        item = Item(name="Thing", price=Decimal(1), created_by=ada.user_id)
        session.add(item)
    for sku in ("AAA", "BBB", None):
        with transaction() as session:
            session.get_one(Item, item.id).sku = sku
        assert titles(ada, "aaa") == (["Thing"] if sku == "AAA" else [])
        assert titles(ada, "bbb") == (["Thing"] if sku == "BBB" else [])
    check_index()


def test_very_long_texts_can_be_stored(ada: Person, write: Callable[..., int]) -> None:
    write("Long", "zebra " + "".join(f"{number:x} " for number in range(300_000)))
    write("Wide", "x" * 300_000)
    write("Strange", "zebra " + " ".join(chr(0x20000 + number) for number in range(40_000)))
    assert set(titles(ada, "zebra")) == {"Long", "Strange"}


def check_index() -> None:
    """Fail unless SQLite's index holds each row once; PostgreSQL's column is of the row itself."""
    if db.engine.dialect.name != "sqlite":
        return
    session = db.session()
    session.execute(text("INSERT INTO search_index (search_index) VALUES ('integrity-check')"))
    rowids = set(session.execute(text("SELECT rowid FROM search_index")).scalars())
    rows = {
        source.first_rowid + number
        for source in index.SOURCES.values()
        for number in session.scalars(text(f"SELECT id FROM {source.model.__tablename__}"))
    }
    session.rollback()
    assert rowids == rows


# Who finds what.


def test_a_stranger_finds_no_task_and_no_post_about_it_and_no_count(
    ada: Person, bob: Person, admin: Person, write: Callable[..., int]
) -> None:
    number = write("Secret zebra")
    with transaction() as session:
        session.add(Post(title="About the zebra", content="hidden", user_id=ada.user_id, task_id=number))
        session.add(Post(title="Open zebra", content="for all", user_id=ada.user_id))
        session.add(Item(name="Zebra", price=Decimal(1), created_by=ada.user_id))
    everything = {"Secret zebra", "About the zebra", "Open zebra", "Zebra"}
    assert set(titles(ada, "zebra")) == everything
    assert set(titles(admin, "zebra")) == everything
    page = service.search(bob.actor, text="zebra")
    assert {hit.title for hit in page.items} == {"Open zebra", "Zebra"}
    assert page.total == 2
    assert service.search(bob.actor, text="zebra", number=9).total == 2
    with transaction() as session:
        session.get_one(Task, number).assignee_id = bob.user_id
    assert set(titles(bob, "zebra")) == everything


def test_a_stranger_finds_their_own_below_any_number_of_others(context: None, ada: Person, bob: Person) -> None:
    with transaction() as session:
        session.add(Task(title="Common, and mine", owner_id=bob.user_id))
    many(ada, MOST_RANKED + 50)
    assert titles(bob, "common") == ["Common, and mine"]


def test_a_project_narrows_tasks_and_their_posts(
    admin: Person, ada: Person, write: Callable[..., int], context: None
) -> None:
    with transaction() as session:
        session.add_all([Project(id=1, key="AB", name="x"), Project(id=2, key="CD", name="y")])
    inside = write("Zebra inside", project_id=1)
    outside = write("Zebra outside", project_id=2)
    write("Zebra alone")
    with transaction() as session:
        for number, title in ((inside, "Zebra post inside"), (outside, "Zebra post outside"), (None, "Zebra post")):
            session.add(Post(title=title, content="x", user_id=ada.user_id, task_id=number))
        session.add(Item(name="Zebra item", price=Decimal(1), created_by=ada.user_id))
    assert set(titles(admin, "zebra", project_id=1)) == {"Zebra inside", "Zebra post inside"}
    assert titles(admin, "zebra", project_id=1, kinds=[HitKind.ITEM]) == []
    with pytest.raises(Malformed):
        titles(admin, "zebra", project_id=3)
    with pytest.raises(Forbidden):
        titles(Person(admin.app, user_id=admin.user_id + 1000), "zebra", project_id=1)


# What it costs.


def many(person: Person, number: int) -> None:
    """Store tasks with a word that all have, and one that a single one has."""
    now = clock.now()
    row = {"status": "pending", "owner_id": person.user_id, "version": 1, "created_at": now, "updated_at": now}
    rows = [{**row, "title": f"Common {i}", "description": "filler " * 20} for i in range(number)]
    rows[number // 2]["description"] = "needle"
    with transaction() as session:
        session.execute(insert(Task), rows)


def test_a_rare_word_is_looked_up_in_the_index(context: None, ada: Person, bob: Person) -> None:
    # SQLite decides by its rules, PostgreSQL by how much there is.
    many(ada, 3000 if db.engine.dialect.name == "postgresql" else 30)
    if db.engine.dialect.name == "postgresql":
        with transaction() as session:
            analyze(session)
    for role, newest in itertools.product(Role, (False, True)):
        # Whoever sees almost all tasks may as well look at all of them.
        check_plan(Actor(bob.user_id, role), newest=newest)


def check_plan(actor: Actor, *, newest: bool) -> None:
    seen: list[tuple[str, Any]] = []

    def note(connection: Connection, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        seen.append((statement, parameters))

    event.listen(db.engine, "before_cursor_execute", note)
    service.search(actor, text="needle", newest=newest)
    event.remove(db.engine, "before_cursor_execute", note)
    statement, parameters = next(pair for pair in seen if pair[0].startswith(("SELECT", "WITH")))
    explain = "EXPLAIN QUERY PLAN " if db.engine.dialect.name == "sqlite" else "EXPLAIN "
    with db.engine.connect() as connection:
        rows = connection.exec_driver_sql(explain + statement, parameters).all()
    plan = "\n".join(str(row[-1]) for row in rows)
    if db.engine.dialect.name == "sqlite":
        assert "SCAN search_index VIRTUAL TABLE INDEX" in plan
        assert "SEARCH tasks USING INTEGER PRIMARY KEY" in plan
        assert "SCAN tasks" not in plan
        assert "USE TEMP B-TREE FOR ORDER BY" not in plan.split("SCAN search_index")[1].split("CO-ROUTINE")[0]
    else:
        # It begins with the little that a member sees, and with the word where all is seen.
        is_by_word = "Bitmap Index Scan on ix_tasks_search_vector" in plan
        assert is_by_word or actor.role is not Role.ADMIN
        assert "Seq Scan on tasks" not in plan


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(words=st.text(max_size=QUERY_LENGTH))
def test_any_text_can_be_looked_for(context: None, ada: Person, words: str) -> None:
    with contextlib.suppress(Malformed):
        assert service.search(ada.actor, text=words).total == 0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(st.text(st.characters(exclude_categories=("Cs", "Cn"), exclude_characters="\x00"), min_size=1, max_size=60))
def test_any_text_can_be_stored_and_finds_itself(context: None, ada: Person, description: str) -> None:
    with transaction() as session:
        task = Task(title="x", description=description, owner_id=ada.user_id)
        session.add(task)
    if any(unicodedata.category(character)[0] == "L" for character in description):
        quoted = description.replace('"', " ").translate(str.maketrans("“”„", "   "))
        assert task.id in [hit.id for hit in found(ada, quoted)], ascii(description)
    with transaction() as session:
        session.delete(session.get_one(Task, task.id))
