"""Meaning of a query: words, of which the last may be unfinished from its second letter on, and quoted phrases.

Nothing else in a query has a meaning. Operators of a search engine never reach
it, because whatever separates words is dropped here, and all of them are made
of such characters.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from core.platform.errors import Malformed
from core.search.folding import TOKEN, fold

QUERY_LENGTH = 500

_QUOTES = str.maketrans("“”„", '"""')


@dataclass(frozen=True, slots=True)
class Term:
    """Tokens of the index that follow each other. With `is_prefix`, the last one may go on."""

    words: tuple[str, ...]
    is_prefix: bool = False


def parse(text: str) -> list[Term]:
    """Return the terms that all must match; none if the text has nothing that is in the index.

    Raises Malformed for too long a text.
    """
    if len(text) > QUERY_LENGTH:
        raise Malformed("The query is too long.", details={"q": [f"Must be at most {QUERY_LENGTH} characters long."]})
    parts = fold(text.translate(_QUOTES)).split('"')
    terms: list[Term] = []
    for position, part in enumerate(parts):
        is_quoted = position % 2 == 1 and position < len(parts) - 1
        if not is_quoted:
            # Only the very last word of a query may be unfinished.
            is_last = not any(TOKEN.search(later) for later in parts[position + 1 :])
            terms += _loose(part, is_last=is_last)
        elif phrase := _phrase(part):
            terms.append(phrase)
    return list(dict.fromkeys(terms))


def _loose(part: str, *, is_last: bool) -> Iterator[Term]:
    """Yield a term for each word, symbol and run."""
    found = list(TOKEN.finditer(part))
    for token in found:
        run, _, word = token.groups()
        if run:
            yield _of_run(run)
        else:
            yield Term((token.group(),), is_prefix=is_last and token is found[-1] and bool(word) and _may_go_on(word))


def _of_run(run: str) -> Term:
    # The index has pairs of characters, the last one of a run alone.
    return Term(_pairs(run)) if len(run) > 1 else Term((run,), is_prefix=True)


def _pairs(run: str) -> tuple[str, ...]:
    return tuple(run[start : start + 2] for start in range(len(run) - 1))


def _phrase(part: str) -> Term | None:
    """Return the term for a quoted part."""
    words: list[str] = []
    is_prefix = False
    found = list(TOKEN.finditer(part))
    for token in found:
        run = token.group(1)
        if not run:
            words.append(token.group())
        elif token is not found[-1]:
            words += [*_pairs(run), run[-1]]
        else:
            # A phrase may end inside a longer run.
            last = _of_run(run)
            words += last.words
            is_prefix = last.is_prefix
    return Term(tuple(words), is_prefix) if words else None


def _may_go_on(word: str) -> bool:
    # Too many words begin with any one Latin letter.
    return len(word) > 1 or not word.isascii()
