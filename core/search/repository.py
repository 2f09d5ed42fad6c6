"""Queries of the search: what differs between the engines is here and in `index`.

Both give the same rows. Their order may differ among hits whose words are in
the same places: SQLite computes BM25, in which rare words and short texts count
more; PostgreSQL computes ts_rank, in which frequent and close words count more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    CompoundSelect,
    Float,
    Row,
    Select,
    SelectBase,
    String,
    and_,
    case,
    cast,
    exists,
    func,
    literal,
    literal_column,
    or_,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.orm import Session
from sqlalchemy.sql.functions import coalesce

from core.platform.database.repository import Repository
from core.search.fts5 import Question, matches
from core.search.index import FTS_TABLE, IDS_OF_A_KIND, SOURCES, HitKind, IndexedTable, fts
from core.search.terms import Term

# So many hits of a kind are ranked, the newest ones: a word that is everywhere must not cost everything.
MOST_RANKED = 1_000
# Texts may be longer, but an extract comes from this much of them.
SHOWN_LENGTH = 20_000
# What a vector of PostgreSQL keeps of the places of a word (PostgreSQL manual, section 12.11).
MOST_PLACES, LAST_PLACE = 255, 16_383


@dataclass(frozen=True, slots=True)
class Scope:
    """Conditions on the rows of a kind, and the query for the numbers of those that may be found; None for all."""

    conditions: Sequence[ColumnElement[bool]]
    numbers: SelectBase | None = None

    def where(self, number: Any) -> list[ColumnElement[bool]]:
        """Return what must hold for a row of this number."""
        return [*([] if self.numbers is None else [number.in_(self.numbers)]), *self.conditions]


Scopes = Mapping[HitKind, Scope]


class SearchRepository(Repository):
    """The index in the database. Never authorises: the conditions of each kind do."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.is_sqlite = session.get_bind().dialect.name == "sqlite"

    def count(self, terms: Sequence[Term], scopes: Scopes) -> int:
        """Return the number of hits, at most MOST_RANKED of a kind."""
        ranked = self._ranked(terms, scopes).subquery()
        return self.session.scalar(select(func.count()).select_from(ranked)) or 0

    def hits(
        self, terms: Sequence[Term], scopes: Scopes, *, newest: bool, limit: int, offset: int
    ) -> Sequence[Row[Any]]:
        """Return a page of hits in one statement, each with its texts, the best rank and the number of all."""
        ranked = self._ranked(terms, scopes).subquery("ranked")

        def order(rows: Any) -> list[ColumnElement[Any]]:
            first = rows.c.created_at if newest else rows.c.rank
            return [first.desc(), rows.c.id.desc(), rows.c.kind]

        page = (
            select(ranked, func.max(ranked.c.rank).over().label("best"), func.count().over().label("total"))
            .order_by(*order(ranked))
            .limit(limit)
            .offset(offset)
            .subquery("page")
        )
        query: Select[Any] = select(page).order_by(*order(page))
        titles, bodies, codes = [], [], []
        for source in map(SOURCES.__getitem__, scopes):
            query = query.outerjoin(source.model, and_(page.c.kind == str(source.kind), source.id == page.c.id))
            titles.append((page.c.kind == str(source.kind), source.title))
            bodies.append((page.c.kind == str(source.kind), func.substr(source.body, 1, SHOWN_LENGTH)))
            if source.code is not None:
                codes.append((page.c.kind == str(source.kind), source.code))
        query = query.add_columns(
            case(*titles).label("title"),
            coalesce(case(*bodies), "").label("body"),
            coalesce(case(*codes), "").label("code") if codes else literal("").label("code"),
        )
        return self.session.execute(query).all()

    def _ranked(self, terms: Sequence[Term], scopes: Scopes) -> CompoundSelect[Any]:
        if self.is_sqlite:
            ranked = partial(self._ranked_by_sqlite, Question(terms))
        else:
            ranked = partial(self._ranked_by_postgresql, terms)
        return union_all(*(ranked(SOURCES[kind], scope) for kind, scope in scopes.items()))

    def _ranked_by_sqlite(self, question: Question, source: IndexedTable, scope: Scope) -> Any:
        # The first part is nearly 4.4 for each word that the title has, however long the rest is,
        # and the second is less than 2.2 for each: a title always wins.
        weighed = literal_column(f"-(2 * bm25({FTS_TABLE}, 1e6, 0) + bm25({FTS_TABLE}, 0, 1))", Float)
        number = fts.c.rowid - source.first_rowid
        newest = (
            select(source.id, source.created_at, case((~question.is_common, weighed)).label("rank"))
            .select_from(fts)
            .join(source.model, source.id == number)
            .where(
                matches(question.words),
                fts.c.rowid.between(source.first_rowid, source.first_rowid + IDS_OF_A_KIND - 1),
                # Asked of the number that the index has, so that the row of no other's task is read.
                *scope.where(number),
            )
            # FTS5 walks its index in this order and stops at the limit.
            .order_by(fts.c.rowid.desc())
            .limit(MOST_RANKED)
            .cte(f"newest_{source.kind}")
        )
        titles = self._titles_of_common(question, source, newest).subquery()
        # As above, the more words in the title the better.
        share = (coalesce(titles.c.words, 0) + 1.0) / (len(question.each) + 1)
        kind = literal(str(source.kind)).label("kind")
        ranked = select(kind, newest.c.id, newest.c.created_at, coalesce(newest.c.rank, share).label("rank"))
        return ranked.select_from(newest.outerjoin(titles, titles.c.id == newest.c.id))

    def _titles_of_common(self, question: Question, source: IndexedTable, newest: CTE) -> Select[Any]:
        """Return the query for how many of the words titles have, none if they are not common."""
        first = source.first_rowid
        oldest = select(func.min(newest.c.id) + first).scalar_subquery()
        found = union_all(
            *(
                select((fts.c.rowid - first).label("id"))
                .where(question.is_common, matches(literal("{title} : ", String) + words))
                .where(fts.c.rowid.between(oldest, first + IDS_OF_A_KIND - 1))
                for words in question.each
            )
        ).subquery()
        return select(found.c.id, func.count().label("words")).group_by(found.c.id)

    def _ranked_by_postgresql(self, terms: Sequence[Term], source: IndexedTable, scope: Scope) -> Any:
        # Written into the statement, the planner sees whether the words are rare, and takes the GIN
        # index or walks back from the newest row. A parameter would leave it guessing in a prepared
        # statement. The text cannot break out: words have neither quotes nor backslashes.
        words = _asked(ts_query(terms))
        newest = (
            select(source.id, source.created_at, source.vector.label("vector"))
            .where(*_matches(source, terms), *scope.where(source.id))
            .order_by(source.id.desc())
            .limit(literal(MOST_RANKED, literal_execute=True))
            .subquery()
        )
        rank = func.ts_rank(newest.c.vector, words, type_=Float)
        kind = literal(str(source.kind), String)
        return select(kind.label("kind"), newest.c.id, newest.c.created_at, rank.label("rank"))


def _asked(words: str) -> ColumnElement[Any]:
    return cast(literal(words, literal_execute=True), TSQUERY)


def _matches(source: IndexedTable, terms: Sequence[Term]) -> list[ColumnElement[bool]]:
    """Return the conditions of PostgreSQL on a row that has all terms."""
    has = source.vector.op("@@")
    exact: ColumnElement[bool] = has(_asked(ts_query(terms)))
    phrases = [term for term in terms if len(term.words) > 1]
    if not phrases:
        return [exact]
    # A vector knows at most 255 places of a word, and none behind the 16,383rd; then its text is asked.
    words = {word for term in phrases for word in term.words}
    place = func.unnest(source.vector).table_valued("lexeme", "positions", "weights")
    is_cut = and_(func.cardinality(place.c.positions) >= MOST_PLACES, place.c.lexeme.in_(words))
    is_far = literal(LAST_PLACE) == func.any(place.c.positions)
    is_unsure = exists(select(1).select_from(place).where(or_(is_cut, is_far)))
    # Pairs overlap, and a letter may be folded to two; no shorter text can have so many of any of the words.
    least = min(LAST_PLACE // 2, MOST_PLACES * min((len(word) + 1) // 2 for word in words))
    is_short = func.char_length(func.concat(*source.texts)) < least
    in_text = [or_(*(_has_phrase(text, term) for text in source.texts)) for term in phrases]
    # The order is said, because each of these costs more than the one before.
    judged = case((exact, True), (is_short, False), (is_unsure, and_(*in_text)), else_=False)
    return [has(_asked(ts_query([word for term in terms for word in _apart(term)]))), judged]


def _apart(term: Term) -> list[Term]:
    """Return the words of a term, wherever they are."""
    *others, last = term.words
    return [*(Term((word,)) for word in others), Term((last,), term.is_prefix)]


def _has_phrase(text: ColumnElement[Any], term: Term) -> ColumnElement[bool]:
    """Return whether a text has the words of a term behind each other, as the index cuts it."""
    words = func.regexp_replace(func.search_words(text), r"[\x01-#%-/:-@\[-`{-\x7f]+", " ", "g")
    spaced = func.regexp_replace(func.concat(" ", words, " "), " +", " ", "g")
    return spaced.contains(f" {' '.join(term.words)}{'' if term.is_prefix else ' '}", autoescape=True)


def ts_query(terms: Sequence[Term]) -> str:
    """Return the terms in the notation of a tsquery, whose words are looked for as they are."""
    return " & ".join(f"({' <-> '.join(map(_lexeme, term.words))}{':*' if term.is_prefix else ''})" for term in terms)


def _lexeme(word: str) -> str:
    # PostgreSQL refuses words of more than 2,046 bytes; a character has up to four.
    return f"'{word[:500]}'"
