"""White space and what cannot be seen: one notion, in the patterns of the document and in the rules behind them."""

import re
import unicodedata

import pytest

from api.http.input.fields import NOT_BLANK, STORABLE, TRIMMED
from core.platform.errors import Invalid
from core.platform.text import checks

# ECMA 262: WhiteSpace and LineTerminator. Python's own notion differs in U+001C to U+001F, U+0085 and U+FEFF.
ECMA = {"\t", "\v", "\f", "\ufeff", "\n", "\r", "\u2028", "\u2029"} | {
    chr(code) for code in range(0x10000) if unicodedata.category(chr(code)) == "Zs"
}
UNSEEN = [
    *"\x01\x1b\x1f\x7f\x85\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b\u180e\u180f\u200b\u200c\u200d\u200e\u200f",
    *"\u202a\u202e\u2060\u2064\u2066\u206f\u2800\u3164\ufe00\ufe0f\ufeff\uffa0\ufff9\ufffb",
]
# No pattern without a flag can name these.
UNSEEN_BEYOND = ["\U0001bca0", "\U0001d173", "\U000e0001", "\U000e0020", "\U000e007f", "\U000e0100"]
SEEN = [
    *"aZ09.-_!ß漢ا𝄞😀€´\u0301\u0605\u2423\u25a1\ufffc\ufffd\ue000",
    "e\u0301",
    "👨\u200d👩",
    "\u200bA",
    "A\u200b",
    "\x1fA",
]


def line(value: str) -> str:
    return checks.line("title", value, longest=150)


def test_white_space_is_that_of_the_document() -> None:
    assert set(checks.WHITE_SPACE) == ECMA


@pytest.mark.parametrize("text", [*sorted(ECMA), *UNSEEN, *UNSEEN_BEYOND, "", "\u200b \u200b", "\t\u3164\n"], ids=ascii)
def test_what_cannot_be_seen_is_blank(text: str) -> None:
    for rule in (line, lambda value: checks.body("content", value, longest=150)):
        with pytest.raises(Invalid) as refusal:
            rule(text)
        assert refusal.value.details is not None
        assert list(refusal.value.details.values()) == [[checks.BLANK]]
    if text not in UNSEEN_BEYOND:
        assert not re.search(TRIMMED, text)
        assert not re.search(NOT_BLANK, text)


@pytest.mark.parametrize("text", SEEN, ids=ascii)
def test_what_can_be_seen_is_kept_as_it_is(text: str) -> None:
    assert line(text) == text
    assert re.search(TRIMMED, text)
    assert re.search(NOT_BLANK, text)


@pytest.mark.parametrize("space", sorted(ECMA), ids=ascii)
def test_the_pattern_allows_nothing_that_would_be_trimmed(space: str) -> None:
    for text in (space + "A", "A" + space, space + "A" + space):
        assert line(text) == "A"
        assert not re.search(TRIMMED, text)
        assert re.search(NOT_BLANK, text)
    assert line("A" + space + "B") == "A" + space + "B"
    assert re.search(TRIMMED, "A" + space + "B")


def test_of_each_character_the_pattern_and_the_rule_say_the_same() -> None:
    """Every text that a client makes of the pattern is accepted, in the length that it was sent with."""
    for code in [*range(1, 0xD800), *range(0xE000, 0x10000)]:
        for text in (chr(code), chr(code) + "A", "A" + chr(code)):
            allowed = re.search(TRIMMED, text) is not None
            assert allowed == (not checks.is_blank(text) and checks.strip(text) == text), ascii(text)


def test_nul_is_allowed_by_no_pattern() -> None:
    for pattern in (STORABLE, NOT_BLANK, TRIMMED):
        for text in ("\0", "A\0", "\0A", "A\0A"):
            assert not re.search(pattern, text), pattern
        assert re.search(pattern, "A")
