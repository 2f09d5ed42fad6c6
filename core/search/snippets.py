"""The part of a text that shows why it was found, as safe HTML.

The words are found again here rather than by the database, so that both engines
mark alike, and so that marks are put between pieces that are escaped one by one:
nothing in a text can pass for a mark.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from core.search.terms import WORD, Term, fold

LENGTH = 200
LEAD = 40  # How much of it comes before the first mark.
MOST_MATCHES = 100


@dataclass(frozen=True, slots=True)
class _Match:
    start: int
    end: int
    term: int


def snippet(texts: Sequence[str], terms: Sequence[Term]) -> str:
    """Return an extract of the text with most of the terms, the first of equals; found words are in `<mark>`."""
    found = [(text, _matches(text, terms)) for text in texts if text]
    if not found:
        return ""
    text, matches = max(found, key=lambda pair: len({match.term for match in pair[1]}))
    return _marked(text, matches, *_window(text, matches))


def _matches(text: str, terms: Sequence[Term]) -> list[_Match]:
    """Return where the terms are, without overlaps, up to a number that is plenty for an extract."""
    spans = [(word.start(), word.end()) for word in WORD.finditer(text)]
    words = [fold(text[start:end]) for start, end in spans]
    by_first_word: dict[str, list[tuple[int, list[str]]]] = {}
    prefixes: list[tuple[int, str]] = []
    for number, term in enumerate(terms):
        folded = [fold(word) for word in term.words]
        if term.is_prefix:
            prefixes.append((number, folded[0]))
        else:
            by_first_word.setdefault(folded[0], []).append((number, folded))
    matches: list[_Match] = []
    position = 0
    while position < len(words) and len(matches) < MOST_MATCHES:
        here = [
            (len(wanted), number)
            for number, wanted in by_first_word.get(words[position], ())
            if words[position : position + len(wanted)] == wanted
        ]
        here += [(1, number) for number, prefix in prefixes if words[position].startswith(prefix)]
        length, number = max(here, default=(1, -1))
        if here:
            matches.append(_Match(spans[position][0], spans[position + length - 1][1], number))
        position += length
    return matches


def _window(text: str, matches: Sequence[_Match]) -> tuple[int, int]:
    """Return the bounds of the extract that shows the most different terms, cut between words if possible."""

    def terms_from(first: _Match) -> int:
        return len({match.term for match in matches if first.start <= match.start < first.start + LENGTH - LEAD})

    first = max(matches, key=terms_from).start if matches else 0
    start = max(0, first - LEAD)
    if start:
        space = text.find(" ", start, first)
        start = space + 1 if space >= 0 else start
    end = start + LENGTH
    if end < len(text):
        space = text.rfind(" ", first + 1, end)
        end = space if space >= 0 else end
    return start, min(end, len(text))


def _marked(text: str, matches: Sequence[_Match], start: int, end: int) -> str:
    pieces = ["…"] if start else []
    position = start
    for match in matches:
        opening, closing = max(match.start, start), min(match.end, end)
        if opening < closing:
            pieces += [escape(text[position:opening]), "<mark>", escape(text[opening:closing]), "</mark>"]
            position = closing
    pieces.append(escape(text[position:end]))
    if end < len(text):
        pieces.append("…")
    return " ".join("".join(pieces).split())
