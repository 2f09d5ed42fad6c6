"""Charts of what happened over time: burn-up and throughput."""

from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke

from core.reports.figures import Figures, Point, Week
from workers.drawing.axes import LABEL_POINTS, count_along_y, legend, written
from workers.drawing.chart import Chart
from workers.drawing.style import BLUE, GREEN, INK, MUTED, OUTLINE
from workers.drawing.words import count, tasks

# More weeks than this are too narrow for outlines and markers.
MOST_OUTLINED = 60
MOST_DAYS = 10


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
    x: list[Any] = [point.day for point in points]
    scope = [point.scope for point in points]
    completed = [point.completed for point in points]
    every = max(len(points) // 10, 1)
    end: Any = figures.heading.last
    top = max(scope) * 1.08
    axes.fill_between(x, completed, scope, facecolor=BLUE, alpha=0.10, linewidth=0)
    axes.fill_between(x, 0, completed, facecolor=GREEN, alpha=0.18, linewidth=0)
    options: dict[str, Any] = {"linewidth": 1.8, "markersize": 4.5, "markevery": every, "clip_on": False}
    first, last = points[0], points[-1]
    created_label = f"Created: {count(last.scope)} (+{count(last.scope - first.scope)})"
    completed_label = f"Completed: {count(last.completed)} (+{count(last.completed - first.completed)})"
    lines: list[Artist] = [
        *axes.plot(x, scope, color=BLUE, marker="s", label=created_label, **options),
        *axes.plot(x, completed, color=GREEN, linestyle="--", marker="o", label=completed_label, **options),
    ]
    legend(axes, lines)
    if x[-1] < end:
        axes.axvline(x[-1], color=MUTED, linewidth=0.8, linestyle=":")
        where: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "va": "top"}
        axes.annotate("today", (x[-1], 1), (4, 0), color=MUTED, fontsize=LABEL_POINTS, **where)
    axes.set_xlim(x[0], end)
    count_along_y(axes, top)
    _scale_dates(axes, points)
    axes.set_xlabel(
        "Date, a point at the end of each week" if figures.is_weekly else "Date, a point at the end of each day"
    )
    axes.set_ylabel("Tasks, cumulative")


def _scale_dates(axes: Axes, points: tuple[Point, ...]) -> None:
    """Label the x-axis with dates, each day if these are few: the axis itself would go on to hours."""
    locator = AutoDateLocator(maxticks=10)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    if len(points) <= MOST_DAYS:
        axes.set_xticks([point.day for point in points])  # type: ignore[arg-type]


BURN_UP = Chart("Burn-up", _burn_up_missing, _burn_up_note, _draw_burn_up, has_legend=True)


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
    are_whole = [week.days == 7 for week in weeks]
    axes.bar(
        range(len(weeks)),
        [week.completed for week in weeks],
        width=0.64 if is_outlined else 0.8,
        color=[GREEN if is_whole else "white" for is_whole in are_whole],
        hatch=["" if is_whole else "/////" for is_whole in are_whole],
        edgecolor=INK,
        linewidth=[0.7 if is_outlined or not is_whole else 0 for is_whole in are_whole],
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
    if not all(are_whole):
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
