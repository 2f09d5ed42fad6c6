"""The part of a text that shows why it was found, as safe HTML.

The words are found again here rather than by the database, so that both engines
mark alike, and so that marks are put between pieces that are escaped one by one:
nothing in a text can pass for a mark.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from core.search.folding import Token, tokens
from core.search.terms import Term

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
    found = list(tokens(text))
    by_first_word: dict[str, list[int]] = {}
    prefixes = []
    for number, term in enumerate(terms):
        if len(term.words) == 1 and term.is_prefix:
            prefixes.append(number)
        else:
            by_first_word.setdefault(term.words[0], []).append(number)
    matches: list[_Match] = []
    end = 0
    for position, token in enumerate(found):
        # Pairs of characters overlap, marks must not.
        if token.start < end:
            continue
        candidates = [*by_first_word.get(token.text, ()), *prefixes]
        ends = [(_end_of(terms[number], found, position), number) for number in candidates]
        end, number = max(ends, default=(0, -1))
        if end:
            matches.append(_Match(token.start, end, number))
            if len(matches) == MOST_MATCHES:
                break
    return matches


def _end_of(term: Term, found: Sequence[Token], position: int) -> int:
    """Return where the term ends that begins with the token at this position, 0 if it does not."""
    here = found[position : position + len(term.words)]
    words = [token.text for token in here]
    if term.is_prefix:
        last = term.words[-1]
        if words[:-1] != list(term.words[:-1]) or len(words) < len(term.words) or not words[-1].startswith(last):
            return 0
        return here[-1].first_end if here[-1].is_run and len(last) == 1 else here[-1].end
    return here[-1].end if words == list(term.words) else 0


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
