"""Charts of what happened over time: burn-up and throughput."""

from collections.abc import Callable
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke

from core.reports.figures import Figures, Point, Week
from workers.drawing.axes import LABEL_POINTS, MONTHS, count_along_y, legend, written
from workers.drawing.chart import Chart
from workers.drawing.style import BLUE, GREEN, INK, MUTED, OUTLINE
from workers.drawing.words import count, tasks

BURN_UP_LABELS_INCHES = 1.45
# More weeks than this are too narrow for outlines and markers.
MOST_OUTLINED = 60
_MONTH_STEPS = (1, 2, 3, 4, 6, 12)
_DAY_STEPS = (1, 2, 7, 14)


# --- burn-up ------------------------------------------------------------------


def _burn_up_missing(figures: Figures) -> str | None:
    return None if figures.burn_up[-1].scope else "No tasks up to the end of this range"


def _burn_up_note(figures: Figures) -> str:
    last = figures.burn_up[-1]
    return (
        f"All tasks but cancelled ones, also those from before the range."
        f" {tasks(last.scope - last.completed)} left to do at the end of {written(last.day)}."
    )


def _draw_burn_up(axes: Axes, figures: Figures) -> None:
    points = figures.burn_up
    start = figures.heading.first - timedelta(days=1)
    x = [(point.day - start).days for point in points]
    scope = [point.scope for point in points]
    completed = [point.completed for point in points]
    every = max(len(points) // 10, 1)
    end = (figures.heading.last - start).days
    top = max(scope) * 1.08
    axes.fill_between(x, completed, scope, facecolor=BLUE, alpha=0.10, linewidth=0)
    axes.fill_between(x, 0, completed, facecolor=GREEN, alpha=0.18, linewidth=0)
    axes.plot(x, scope, color=BLUE, linewidth=1.8, marker="s", markersize=4.5, markevery=every, clip_on=False)
    axes.plot(
        x, completed, color=GREEN, linewidth=1.8, linestyle="--", marker="o", markersize=4.5, markevery=every,
        clip_on=False,
    )  # fmt: skip
    if x[-1] < end:
        axes.axvline(x[-1], color=MUTED, linewidth=0.8, linestyle=":")
        where: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "va": "top"}
        axes.annotate("today", (x[-1], 1), (4, 0), color=MUTED, fontsize=LABEL_POINTS, **where)
    axes.set_xlim(0, end)
    count_along_y(axes, top)
    _label_lines(axes, points, top)
    ticks = _month_ticks(figures) if figures.is_weekly else _day_ticks(figures)
    axes.set_xticks([(day - start).days for day, _ in ticks], [label for _, label in ticks])
    axes.set_xlabel(
        "Date, a point at the end of each week" if figures.is_weekly else "Date, a point at the end of each day"
    )
    axes.set_ylabel("Tasks, cumulative")


def _label_lines(axes: Axes, points: tuple[Point, ...], top: float) -> None:
    """Name both lines at their right ends, and how much they have grown, without one covering the other."""
    figure = axes.get_figure(root=True)
    assert figure is not None  # noqa: S101 - axes without a figure cannot be drawn
    height = axes.get_position().height * figure.get_figheight()
    apart = 0.36 / height
    first, last = points[0], points[-1]
    completed = min(max(last.completed / top, apart / 2), 1 - 1.5 * apart)
    scope = max(last.scope / top, completed + apart)
    for at, name, colour, value, grown in (
        (scope, "Created", BLUE, last.scope, last.scope - first.scope),
        (completed, "Completed", GREEN, last.completed, last.completed - first.completed),
    ):
        sign = "\N{BLACK SQUARE}" if name == "Created" else "\N{BLACK CIRCLE}"
        words = f"{name}\n{count(value)} (+{count(grown)})"
        for text, offset, ink in ((sign, 9, colour), (words, 22, INK)):
            axes.annotate(
                text,
                (1, at),
                (offset, 0),
                xycoords="axes fraction",
                textcoords="offset points",
                color=ink,
                fontsize=LABEL_POINTS,
                linespacing=1.2,
                va="center",
            )


def _day_ticks(figures: Figures) -> list[tuple[date, str]]:
    first, last = figures.heading.first, figures.heading.last
    days = (last - first).days + 1
    step = next(step for step in _DAY_STEPS if days <= 10 * step or step == _DAY_STEPS[-1])
    chosen = [first + timedelta(days=number) for number in range(0, days, step)]
    return _with_years(chosen, lambda day: f"{day.day} {MONTHS[day.month - 1]}")


def _month_ticks(figures: Figures) -> list[tuple[date, str]]:
    first, last = figures.heading.first, figures.heading.last
    months = (last.year - first.year) * 12 + last.month - first.month + 1
    step = next(step for step in _MONTH_STEPS if months <= 12 * step)
    starts = [
        date(first.year + number // 12, number % 12 + 1, 1)
        for number in range(first.month - 1, first.month - 1 + months)
    ]
    chosen = [day for day in starts if (day.month - 1) % step == 0 and first <= day <= last]
    return _with_years(chosen, lambda day: MONTHS[day.month - 1])


def _with_years(days: list[date], label: Callable[[date], str]) -> list[tuple[date, str]]:
    """Return the days with their labels, and below it the year wherever a new one begins."""
    if not days:
        return []
    first = [(days[0], f"{label(days[0])}\n{days[0].year}")]
    return first + [
        (day, label(day) if day.year == before.year else f"{label(day)}\n{day.year}") for before, day in pairwise(days)
    ]


BURN_UP = Chart("Burn-up", _burn_up_missing, _burn_up_note, _draw_burn_up, right=BURN_UP_LABELS_INCHES)


# --- throughput ---------------------------------------------------------------


def _throughput_missing(figures: Figures) -> str | None:
    moved = any(week.created or week.completed for week in figures.weeks)
    return None if moved else "Nothing created or completed in this range"


def _throughput_note(figures: Figures) -> str:
    note = "Tasks created and completed in each ISO week, which begins on a Monday."
    if any(week.days < 7 for week in figures.weeks):
        note += " A hatched week is only partly in the range, or not over yet."
    return note


def _draw_throughput(axes: Axes, figures: Figures) -> None:
    weeks = figures.weeks
    most = max(max(week.created, week.completed) for week in weeks)
    is_outlined = len(weeks) <= MOST_OUTLINED
    for number, week in enumerate(weeks):
        is_whole = week.days == 7
        axes.bar(
            number,
            week.completed,
            width=0.64 if is_outlined else 0.8,
            color=GREEN if is_whole else "white",
            hatch="" if is_whole else "/////",
            **(OUTLINE if is_outlined or not is_whole else {}),
        )
    axes.plot(
        range(len(weeks)),
        [week.created for week in weeks],
        color=BLUE,
        linewidth=1.6,
        path_effects=[withStroke(linewidth=3.2, foreground="white")],
        marker="D" if is_outlined else "",
        markersize=4.5,
        markeredgecolor="white",
        markeredgewidth=0.6,
        label="Created",
        clip_on=False,
        zorder=3,
    )
    handles: list[Artist] = [Patch(facecolor=GREEN, label="Completed", **OUTLINE), *axes.get_legend_handles_labels()[0]]
    if any(week.days < 7 for week in weeks):
        handles.insert(1, Patch(facecolor="white", hatch="/////", label="Completed, part of a week", **OUTLINE))
    legend(axes, handles)
    axes.set_xlim(-0.7, max(len(weeks), 4) - 0.3)
    count_along_y(axes, most * 1.1)
    labels = _week_labels(weeks)
    axes.set_xticks(list(labels), list(labels.values()))
    axes.set_xlabel("ISO week")
    axes.set_ylabel("Tasks per week")


def _week_labels(weeks: tuple[Week, ...]) -> dict[int, str]:
    """Return labels by the number of the week, as many as there is room for."""
    step = next(step for step in (1, 2, 4, 8, 13) if len(weeks) <= 14 * step or step == 13)
    labels, year = {}, ""
    for number in range(0, len(weeks), step):
        own_year, _, name = weeks[number].label.partition("-")
        labels[number] = name if own_year == year else f"{name}\n{own_year}"
        year = own_year
    return labels


THROUGHPUT = Chart("Throughput", _throughput_missing, _throughput_note, _draw_throughput, has_legend=True)
