"""Folding of texts for comparison, the same on both engines: letters without case and accents, cut into tokens.

- Words are letters and digits. Accents of Latin and Greek, vowel signs of Arabic and Hebrew and the
  like are left out; letters such as ł, ø and ß are written with plain ones; й and ї stay what they are.
- Scripts that do not put spaces between words become pairs of characters that overlap, so that
  everything inside a run of them can be found: 東京都 is 東京 京都 都.
- Symbols, such as emoji and signs of currencies, are tokens of their own.

The databases do the same when something is written: the migration that brought it has a copy of these
tables, because what is indexed must not change with the code. So a change here needs a migration that
indexes everything again; a test compares the three for every character. Whatever is taken from
Python's Unicode is limited to what version 3.2 knew, since that never changes.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from operator import itemgetter

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


def _class(ranges: Ranges) -> str:
    """Return the inside of a character class."""
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in ranges)


_BOUNDS = {name: _class(ranges) for name, ranges in (("sep", SEPARATORS), ("sign", SIGNS), ("run", RUNS))}
# A run, a symbol, or a word.
TOKEN = re.compile("([{run}]+)|([{sign}])|([^{sep}{sign}{run}]+)".format(**_BOUNDS))


def _within(code: int, ranges: Ranges) -> bool:
    # The ranges are in order, and this is asked of every character.
    place = bisect_right(ranges, code, key=itemgetter(0))
    return place > 0 and code <= ranges[place - 1][1]


@cache
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


class _Table(dict[int, str]):
    """The folding of each character, as `str.translate` asks for it."""

    def __missing__(self, code: int) -> str:
        return self.setdefault(code, _folded(chr(code)))


_TABLE = _Table()


def fold(text: str) -> str:
    """Return the text without case, accents and variants of letters; nothing is cut."""
    if text.isascii():
        return text.lower()
    for pair, letter in PAIRS.items():
        if pair in text:
            text = text.replace(pair, letter)
    return text.translate(_TABLE)


@dataclass(frozen=True, slots=True)
class Token:
    """A token and where it stands; `first_end` is the end of the first character of a pair."""

    text: str
    start: int
    end: int
    first_end: int
    is_run: bool = False


def tokens(text: str) -> Iterator[Token]:
    """Yield the tokens of a text in their order, as the index has them, with their places in it."""
    for found in TOKEN.finditer(text):
        run = found.group(1)
        start, end = found.span()
        if run is None:
            if folded := fold(found.group()):
                yield Token(folded, start, end, end)
            continue
        # A character may stand for two, such as a kana with its mark.
        units = [(unit, place) for place, char in enumerate(run, start) for unit in fold(char)]
        for (unit, place), (following, next_place) in zip(units, [*units[1:], ("", end - 1)], strict=True):
            yield Token(unit + following, place, next_place + 1, place + 1, is_run=True)
