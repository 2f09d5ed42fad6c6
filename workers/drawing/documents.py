"""A report as a document of A4 pages, and as one picture."""

from collections.abc import Iterator
from typing import IO, Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from core.reports.figures import Figures, Heading
from workers.drawing.axes import say, written
from workers.drawing.bars import AGEING, PEOPLE, STATUS
from workers.drawing.chart import Chart
from workers.drawing.style import GREY, GRID, INK, MUTED, house_style
from workers.drawing.timelines import BURN_UP, THROUGHPUT
from workers.drawing.words import count, duration, fitted, wrapped

PRODUCER = "Tasklane"
A4 = (8.27, 11.69)
MARGIN = 0.75
PICTURE_WIDTH, PICTURE_MARGIN = 11.0, 0.6
PICTURE_DPI = 120
GAP = 0.38
NOTE_POINTS = 8.5
# From one line of text to the next, and how far the letters reach above the line, for each point of their size.
LINE, ASCENT = 1.32 / 72, 0.76 / 72
HEADER_INCHES = 1.2
TILES_INCHES = 0.98
# Beside a chart, for labels that are centred at its end.
RIGHT_INCHES = 0.12


def write_pdf(figures: Figures, stream: IO[bytes]) -> None:
    """Write the report as PDF. Equal figures give equal bytes."""
    with house_style(), PdfPages(stream, metadata=_metadata(figures)) as pdf:
        sheets = list(_pages(figures))
        for number, sheet in enumerate(sheets, 1):
            _footer(sheet, figures.heading, number, len(sheets))
            pdf.savefig(sheet.figure)


def write_png(figures: Figures, stream: IO[bytes]) -> None:
    """Write the report as one picture. Equal figures give equal bytes."""
    people = 1.7 + 0.25 * max(len(figures.people.top), 5)
    rows = (HEADER_INCHES, TILES_INCHES, 3.1 + GAP, 3.7 + GAP, 3.5 + GAP, people)
    with house_style():
        sheet = _Sheet(PICTURE_WIDTH, sum(rows) + 2 * PICTURE_MARGIN, margin=PICTURE_MARGIN)
        _header(sheet, figures.heading)
        _tiles(sheet, figures)
        top = sheet.y
        half = (sheet.inner - GAP) / 2
        sheet.chart(STATUS, figures, 3.1, width=half)
        sheet.y = top
        sheet.chart(AGEING, figures, 3.1, left=sheet.margin + half + GAP, width=half)
        sheet.chart(BURN_UP, figures, 3.7)
        sheet.chart(THROUGHPUT, figures, 3.5)
        sheet.chart(PEOPLE, figures, people)
        metadata = {name: str(value) for name, value in _metadata(figures).items() if name in ("Title", "Author")}
        sheet.figure.savefig(
            stream,
            format="png",
            dpi=PICTURE_DPI,
            metadata={**metadata, "Software": PRODUCER, "Description": _subject(figures)},
        )


def _metadata(figures: Figures) -> dict[str, Any]:
    return {
        "Title": figures.heading.title,
        "Author": PRODUCER,
        "Creator": PRODUCER,
        "Subject": _subject(figures),
        "Keywords": "tasks, report",
        "CreationDate": figures.heading.generated_at,
    }


def _subject(figures: Figures) -> str:
    return f"Tasks from {figures.heading.first} to {figures.heading.last}"


def _pages(figures: Figures) -> Iterator["_Sheet"]:
    sheet = _Sheet(*A4, margin=MARGIN)
    _header(sheet, figures.heading)
    _tiles(sheet, figures)
    sheet.chart(STATUS, figures, 3.5)
    sheet.chart(AGEING, figures, 3.8)
    yield sheet
    sheet = _Sheet(*A4, margin=MARGIN)
    sheet.chart(BURN_UP, figures, 4.8)
    sheet.chart(THROUGHPUT, figures, 4.6)
    yield sheet
    sheet = _Sheet(*A4, margin=MARGIN)
    sheet.chart(PEOPLE, figures, 2.0 + 0.45 * max(len(figures.people.top), 5))
    yield sheet


class _Sheet:
    """A figure that is filled from top to bottom. All measures are in inches, y from the upper edge."""

    def __init__(self, width: float, height: float, *, margin: float) -> None:
        self.figure = Figure(figsize=(width, height), facecolor="white")
        self.width, self.height, self.margin = width, height, margin
        self.y = margin

    @property
    def inner(self) -> float:
        """The width between the margins."""
        return self.width - 2 * self.margin

    def text(self, x: float, y: float, text: str, *, points: float, bold: bool = False, **options: Any) -> None:
        """Write lines of text, the first with its upper edge at this height."""
        weight = "bold" if bold else "normal"
        for number, line in enumerate(text.split("\n")):
            # By their base lines: what their letters are must not move lines that stand side by side.
            base = y + points * (ASCENT + LINE * number)
            self.figure.text(x / self.width, 1 - base / self.height, line, fontsize=points, weight=weight, **options)

    def rule(self, y: float, *, colour: str = GRID) -> None:
        """Draw a line from margin to margin."""
        x = (self.margin / self.width, 1 - self.margin / self.width)
        self.figure.add_artist(Line2D(x, (1 - y / self.height,) * 2, color=colour, linewidth=0.8))

    def chart(
        self, chart: Chart, figures: Figures, height: float, *, left: float | None = None, width: float | None = None
    ) -> None:
        """Draw a chart with its heading and its note at the present height, and go on below it."""
        left, width = left or self.margin, width or self.inner
        self.text(left, self.y, chart.title, points=12.5, bold=True)
        below = 0.55  # The labels of the x-axis.
        if sentence := chart.missing(figures):
            say(self._axes(left, self.y + 0.35, width, height - 0.35 - below), sentence)
        else:
            note = wrapped(chart.note(figures), points=NOTE_POINTS, inches=width)
            self.text(left, self.y + 0.28, note, points=NOTE_POINTS, color=MUTED)
            above = 0.42 + NOTE_POINTS * LINE * (note.count("\n") + 1) + (0.26 if chart.has_legend else 0)
            inner = width - chart.left - RIGHT_INCHES
            axes = self._axes(left + chart.left, self.y + above, inner, height - above - below)
            chart.draw(axes, figures)
            # At the margin, however wide the labels of the axis are.
            axes.yaxis.set_label_coords((0.08 - chart.left) / inner, 0.5)
        self.y += height + GAP

    def _axes(self, left: float, top: float, width: float, height: float) -> Axes:
        bottom = self.height - top - height
        rect = (left / self.width, bottom / self.height, width / self.width, height / self.height)
        return self.figure.add_axes(rect)


def _header(sheet: _Sheet, heading: Heading) -> None:
    title = fitted(heading.title, points=20, inches=sheet.inner, bold=True)
    sheet.text(sheet.margin, sheet.y, title, points=20, bold=True, color=INK)
    days = written(heading.first)
    if heading.last != heading.first:
        days += f" \N{EN DASH} {written(heading.last)}"
    lines = (
        f"{days}   \N{MIDDLE DOT}   {heading.project or 'All projects'}",
        f"What {heading.reader} can see   \N{MIDDLE DOT}   made on {_moment(heading)} by {PRODUCER}",
    )
    for number, line in enumerate(lines):
        shown = fitted(line, points=10, inches=sheet.inner)
        sheet.text(sheet.margin, sheet.y + 0.42 + 0.2 * number, shown, points=10, color=MUTED)
    sheet.y += HEADER_INCHES
    sheet.rule(sheet.y - 0.2, colour=GREY)


def _moment(heading: Heading) -> str:
    moment = heading.generated_at.astimezone(heading.zone)
    return f"{written(moment.date())} at {moment:%H:%M} ({heading.zone.key})"


def _tiles(sheet: _Sheet, figures: Figures) -> None:
    headline = figures.headline
    tiles = (
        (count(headline.created), "created"),
        (count(headline.completed), "completed"),
        (duration(headline.median_seconds), "median time\nto completion"),
        (duration(headline.mean_seconds), "mean time\nto completion"),
        (count(headline.open_now), "open now"),
        (count(headline.overdue_now), "overdue now"),
    )
    width = sheet.inner / len(tiles)
    for number, (value, label) in enumerate(tiles):
        left = sheet.margin + number * width
        sheet.text(left, sheet.y, value, points=15, bold=True)
        sheet.text(left, sheet.y + 0.28, label, points=8.5, color=MUTED)
    sheet.y += TILES_INCHES
    sheet.rule(sheet.y - 0.3)


def _footer(sheet: _Sheet, heading: Heading, number: int, pages: int) -> None:
    y = sheet.height - 0.5
    sheet.rule(y - 0.1)
    words = f"{heading.title}   \N{MIDDLE DOT}   {heading.first} \N{EN DASH} {heading.last}"
    words = fitted(words, points=8, inches=sheet.inner - 1)
    sheet.text(sheet.margin, y, words, points=8, color=MUTED)
    sheet.text(sheet.width - sheet.margin, y, f"Page {number} of {pages}", points=8, color=MUTED, ha="right")
