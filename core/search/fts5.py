"""Query to FTS5 that costs the same among a million texts: common words are spelled out, and not weighed.

BM25 counts in how many texts a word is, anew for each search, and FTS5 puts together all places of all
words with a prefix before it gives the first. Both take long for words that are everywhere. So the
database counts the hits, up to a bound. Beyond it, a prefix becomes the words that there are with it,
and whether the title has them is all that is asked.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Integer, ScalarSelect, String, case, column, func, literal, select, table
from sqlalchemy.sql import literal_column
from sqlalchemy.sql.functions import coalesce

from core.search.index import FTS_TABLE, TERMS_TABLE, fts
from core.search.terms import Term

# So many hits are weighed.
MOST_WEIGHED = 10_000
# So many words are spelled out for a prefix; of more it is quicker to put together all places.
MOST_SPELLED = 50

_known = table(TERMS_TABLE, column("term", String))
_LAST = chr(0x10FFFF)


class Question:
    """Terms as FTS5 is asked for them. It is made once for a statement, which has its parts only once."""

    def __init__(self, terms: Sequence[Term]) -> None:
        *others, last = terms
        before = literal("".join(f"{quoted(term)} AND " for term in others), String)
        spelled = select(_spelled(last).label("last")).cte("spelled").prefix_with("MATERIALIZED")
        words = select(spelled.c.last).scalar_subquery()
        hits = select(literal(1).label("one")).select_from(fts).where(matches(before + words)).limit(MOST_WEIGHED + 1)
        found = select((func.count() > MOST_WEIGHED).label("is_common")).select_from(hits.subquery()).subquery()
        chosen = case((found.c.is_common, words), else_=literal(quoted(last), String))
        asked = select(found.c.is_common, chosen.label("last")).cte("asked").prefix_with("MATERIALIZED")
        self.is_common: ScalarSelect[bool] = select(asked.c.is_common).scalar_subquery()
        last_of_asked = select(asked.c.last).scalar_subquery()
        # All of them, and each.
        self.words = before + last_of_asked
        self.each = [*(literal(quoted(term), String) for term in others), last_of_asked]


def matches(words: Any) -> ColumnElement[bool]:
    """Return the condition on an entry of the index that a query finds it."""
    found: ColumnElement[bool] = literal_column(FTS_TABLE, String).op("MATCH", is_comparison=True)(words)
    return found


def quoted(term: Term) -> str:
    """Return a term in the language of FTS5: a string, in which nothing is an operator."""
    return f'"{" ".join(term.words)}"{" *" if term.is_prefix else ""}'


def _spelled(term: Term) -> ColumnElement[str]:
    """Return the expression for a term, in which the words with its prefix are spelled out if they are few."""
    plain = literal(quoted(term), String)
    if not term.is_prefix or len(term.words) > 1:
        return plain
    prefix = term.words[0]
    first = select(_known.c.term).where(_known.c.term >= prefix).limit(1).scalar_subquery()
    ours = select(first.label("term"), literal(1, Integer).label("number")).cte("ours", recursive=True)
    # Asked for what is behind a word, FTS5 would walk through all its places.
    following = select(_known.c.term).where(_known.c.term >= ours.c.term.concat("\x01")).limit(1).scalar_subquery()
    step = select(following, ours.c.number + 1).where(ours.c.term < prefix + _LAST, ours.c.number <= MOST_SPELLED)
    ours = ours.union_all(step)
    strings = func.group_concat(literal('"', String) + ours.c.term + '"', " OR ")
    few = case((func.count() <= MOST_SPELLED, literal("(", String) + strings + ")"))
    return coalesce(select(few).where(ours.c.term < prefix + _LAST).scalar_subquery(), plain)
