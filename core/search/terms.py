"""What a query means: words, of which the last may be unfinished from its second letter on, and quoted phrases.

Nothing else in a query has a meaning. Operators of a search engine never reach
it, because whatever separates words is dropped here, and all of them are made
of such characters.
"""

import re
import unicodedata
from dataclasses import dataclass

from core.errors import Malformed

QUERY_LENGTH = 500

# The inside of a character class: what stands between words. It names ranges, because what the databases
# call a letter depends on their version and locale. Migration 0005 has the same ones for the engines.
_SEPARATORS = (
    r"\x00-\x2f\x3a-\x40\x5b-\x60\x7b-\xa9\xab-\xb1\xb4\xb6-\xb8\xbb\xbf\xd7\xf7"
    r"\u037e\u0387\u055a-\u055f\u0589\u058a\u05be\u05c0\u05c3\u05c6\u05f3\u05f4\u060c\u060d\u061b\u061e\u061f"
    r"\u066a-\u066d\u06d4\u0964\u0965\u104a-\u104f\u1360-\u1368"
    r"\u2000-\u206f\u20a0-\u20cf\u2190-\u245f\u2500-\u2775\u2794-\u2bff\u2e00-\u2e7f"
    r"\u3000-\u3004\u3008-\u3020\u3030\u303d\ud800-\udfff\ufe00-\ufe1f\ufe30-\ufe6f"
    r"\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65\ufff0-\uffff"
    r"\U0001f000-\U0001f0ff\U0001f1e6-\U0001f1ff\U0001f300-\U0001faff\U000e0000-\U000e007f"
)
WORD = re.compile(f"[^{_SEPARATORS}]+")
_QUOTES = str.maketrans("“”„", '"""')
_LATIN_ACCENTS = re.compile("(?<=[A-Za-z])[\u0300-\u036f]+")


@dataclass(frozen=True, slots=True)
class Term:
    """Words that follow each other. With `is_prefix`, the last one may go on."""

    words: tuple[str, ...]
    is_prefix: bool = False


def parse(text: str) -> list[Term]:
    """Return the terms that all must match; none if the text has no words. Raises Malformed for too long a text."""
    if len(text) > QUERY_LENGTH:
        raise Malformed("The query is too long.", details={"q": [f"Must be at most {QUERY_LENGTH} characters long."]})
    parts = text.translate(_QUOTES).split('"')
    terms: list[Term] = []
    for position, part in enumerate(parts):
        words = tuple(WORD.findall(part))
        is_quoted = position % 2 == 1 and position < len(parts) - 1
        if is_quoted and words:
            terms.append(Term(words))
        elif words:
            terms += [Term((word,)) for word in words[:-1]]
            # Only the very last word of a query may be unfinished.
            is_last = not any(WORD.search(later) for later in parts[position + 1 :])
            terms.append(Term(words[-1:], is_prefix=is_last and _may_go_on(words[-1])))
    return list(dict.fromkeys(terms))


def _may_go_on(word: str) -> bool:
    # Too many words begin with any one Latin letter; one character of Chinese says a lot.
    return len(word) > 1 or not fold(word).isascii()


def without_accents(word: str) -> str:
    """Return the word with its Latin letters bare; in other scripts, marks make other letters."""
    if word.isascii():
        return word
    return unicodedata.normalize("NFC", _LATIN_ACCENTS.sub("", unicodedata.normalize("NFD", word)))


def fold(word: str) -> str:
    """Return what the word is compared by."""
    return without_accents(word).lower()
