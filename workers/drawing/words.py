"""Text of any language in a given room: what no font here can draw, and what is too long."""

import unicodedata
from bisect import bisect_right
from functools import cache

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, fontManager, get_font

# Comes with matplotlib, so that a report looks alike everywhere.
FONT = "DejaVu Sans"
# Used for what that one lacks, above all Chinese, Japanese and Korean, where they are installed.
MORE_FONTS = (
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "WenQuanYi Micro Hei",
    "Droid Sans Fallback",
    "Noto Sans Devanagari",
    "Noto Sans Thai",
)

MISSING = "\N{WHITE SQUARE}"
ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
# Widths are measured on a fine grid, because small letters are rounded to whole dots.
_FINE_DPI = 720


@cache
def families() -> list[str]:
    """Return the fonts to draw with, each for what those before it lack."""
    installed = {entry.name for entry in fontManager.ttflist}
    return [FONT, *(name for name in MORE_FONTS if name in installed)]


@cache
def _characters() -> frozenset[int]:
    """Return the code points that can be drawn."""
    known: set[int] = set()
    for name in families():
        known |= get_font(fontManager.findfont(name)).get_charmap().keys()
    return frozenset(known)


def clean(text: str) -> str:
    """Return one line of text in which a white square stands for every character that no font has."""
    shown = []
    for character in " ".join(unicodedata.normalize("NFC", text).split()):
        if unicodedata.category(character) in ("Cc", "Cf", "Cs") or _is_selector(character):
            continue  # They change what is beside them, and would be a box of their own.
        shown.append(character if ord(character) in _characters() else MISSING)
    return "".join(shown)


def _is_selector(character: str) -> bool:
    return "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"


def can_spell(text: str) -> bool:
    """Return whether the text has letters or digits, and the fonts have all of them; emoji do not count."""
    letters = [character for character in unicodedata.normalize("NFC", text) if character.isalnum()]
    return bool(letters) and all(ord(letter) in _characters() for letter in letters)


@cache
def _canvas() -> FigureCanvasAgg:
    return FigureCanvasAgg(Figure(dpi=_FINE_DPI))


def width(text: str, *, points: float, bold: bool = False) -> float:
    """Return how wide a line of text is, in inches, and a little more: where it is drawn, dots are coarser."""
    font = FontProperties(family=families(), size=points, weight="bold" if bold else "normal")
    return float(_canvas().get_renderer().get_text_width_height_descent(text, font, ismath=False)[0]) / _FINE_DPI * 1.02


def fitted(text: str, *, points: float, inches: float, bold: bool = False) -> str:
    """Return the text, cleaned, and cut at its end if it is wider than so many inches."""
    text = clean(text)
    if width(text, points=points, bold=bold) <= inches:
        return text
    cuts = range(len(text) + 1)
    fits = bisect_right(cuts, inches, key=lambda cut: width(text[:cut].rstrip() + ELLIPSIS, points=points, bold=bold))
    return text[: max(fits - 1, 0)].rstrip() + ELLIPSIS


def wrapped(text: str, *, points: float, inches: float) -> str:
    """Return the text in as many lines as it takes to be no wider than so many inches."""
    lines = [""]
    for word in clean(text).split(" "):
        longer = f"{lines[-1]} {word}".lstrip()
        if lines[-1] and width(longer, points=points) > inches:
            lines.append(word)
        else:
            lines[-1] = longer
    return "\n".join(fitted(line, points=points, inches=inches) for line in lines)


def count(number: float) -> str:
    """Return a number of tasks for people: 1,234, and 1.2 M from a million on."""
    return f"{number:,.0f}" if number < 1_000_000 else f"{number / 1_000_000:,.1f} M"


def tasks(number: int, which: str = "") -> str:
    """Return how many tasks, in words."""
    return f"{count(number)} {which}task" if number == 1 else f"{count(number)} {which}tasks"


def share(part: int, whole: int) -> str:
    """Return a share in whole percent, never 0 % or 100 % of something that is not nothing or all."""
    percent = round(part * 100 / whole)
    if percent == 0 and part:
        return "<1 %"
    return ">99 %" if percent == 100 and part < whole else f"{percent} %"


_UNITS = ((86_400.0, "days"), (3_600.0, "hours"), (60.0, "min"), (1.0, "s"))


def duration(seconds: float | None) -> str:
    """Return a duration with its unit, such as 3.2 days; a dash if there is none."""
    if seconds is None:
        return "\N{EN DASH}"
    size, unit = next(((size, unit) for size, unit in _UNITS if seconds >= 2 * size), _UNITS[-1])
    value = seconds / size
    return f"{value:,.1f} {unit}" if value < 100 else f"{value:,.0f} {unit}"
