"""The charts of a report. Each says in words what it shows, and draws into axes that it is given.

No chart tells things apart by colour alone: there are hatches, markers and
labels as well. Without tasks a chart says so instead of drawing nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, MaxNLocator

from core.reports.figures import Figures, Point, Week
from workers.drawing.style import AGES, BLUE, GREEN, GREY, INK, MUTED, ORANGE, OUTLINE, STATUSES
from workers.drawing.words import can_spell, count, fitted, share, tasks

LABEL_POINTS = 8.5
PERSON_INCHES = 2.0
BURN_UP_LABELS_INCHES = 1.45
# More weeks than this are too narrow for outlines and markers.
MOST_OUTLINED = 60
_MONTH_STEPS = (1, 2, 3, 4, 6, 12)
_DAY_STEPS = (1, 2, 7, 14)


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart with its words. Margins are in inches, for what stands beside the axes.

    Where `missing` returns a sentence there is nothing to draw, and it is shown instead.
    """

    title: str
    missing: Callable[[Figures], str | None]
    note: Callable[[Figures], str]
    draw: Callable[[Axes, Figures], None]
    left: float = 0.78
    right: float = 0.12
    has_legend: bool = False


def written(day: date) -> str:
    """Return a day as reports write it, such as 5 Nov 2026."""
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


# Not strftime: its names follow the locale of the machine.
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


# --- status split -------------------------------------------------------------


def _status_missing(figures: Figures) -> str | None:
    return None if figures.in_range else "No tasks in this range"


def _status_note(figures: Figures) -> str:
    heading = figures.heading
    return (
        f"{tasks(figures.in_range)} created by {written(heading.last)} and neither completed nor cancelled"
        f" before {written(heading.first)}, by their status on {written(heading.today)}."
    )


def _draw_status(axes: Axes, figures: Figures) -> None:
    largest = max(figures.by_status.values())
    for row, (status, (_, colour, hatch)) in enumerate(STATUSES.items()):
        number = figures.by_status[status]
        if number:
            axes.barh(row, number, height=0.62, color=colour, hatch=hatch, **OUTLINE)
        label = f"{count(number)}  ({share(number, figures.in_range)})"
        _label_bar(axes, number, row, label)
    axes.set_yticks(range(len(STATUSES)), [name for name, _, _ in STATUSES.values()])
    axes.set_ylim(len(STATUSES) - 0.5, -0.5)
    axes.set_ylabel("Status")
    _count_along_x(axes, largest, room=1.38)


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
    _count_along_y(axes, top)
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
    return _with_years(chosen, lambda day: f"{day.day} {_MONTHS[day.month - 1]}")


def _month_ticks(figures: Figures) -> list[tuple[date, str]]:
    first, last = figures.heading.first, figures.heading.last
    months = (last.year - first.year) * 12 + last.month - first.month + 1
    step = next(step for step in _MONTH_STEPS if months <= 12 * step)
    starts = [
        date(first.year + number // 12, number % 12 + 1, 1)
        for number in range(first.month - 1, first.month - 1 + months)
    ]
    chosen = [day for day in starts if (day.month - 1) % step == 0 and first <= day <= last]
    return _with_years(chosen, lambda day: _MONTHS[day.month - 1])


def _with_years(days: list[date], label: Callable[[date], str]) -> list[tuple[date, str]]:
    """Return the days with their labels, and below it the year wherever a new one begins."""
    if not days:
        return []
    first = [(days[0], f"{label(days[0])}\n{days[0].year}")]
    return first + [
        (day, label(day) if day.year == before.year else f"{label(day)}\n{day.year}") for before, day in pairwise(days)
    ]


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
    _legend(axes, handles)
    axes.set_xlim(-0.7, max(len(weeks), 4) - 0.3)
    _count_along_y(axes, most * 1.1)
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


# --- per person ---------------------------------------------------------------


def _people_missing(figures: Figures) -> str | None:
    return None if figures.people.top else "Nobody has open tasks or completed any in this range"


def _people_note(figures: Figures) -> str:
    people = figures.people
    today = written(figures.heading.today)
    note = f"Whoever a task is assigned to, else its owner: completed in the range, and open on {today}."
    if people.others:
        who = "1 other person" if people.others == 1 else f"{count(people.others)} others"
        note += f" And {who}: {count(people.others_open)} open, {count(people.others_completed)} completed."
    return note


def _draw_people(axes: Axes, figures: Figures) -> None:
    people = figures.people.top
    for row, person in enumerate(people):
        if person.completed:
            axes.barh(row, person.completed, height=0.66, color=GREEN, **OUTLINE)
        if person.open_now:
            axes.barh(row, person.open_now, left=person.completed, height=0.66, color=ORANGE, hatch="////", **OUTLINE)
        label = f"{count(person.completed)} completed, {count(person.open_now)} open"
        _label_bar(axes, person.completed + person.open_now, row, label)
    names = [person.name if person.name and can_spell(person.name) else person.username for person in people]
    axes.set_yticks(
        range(len(people)), [fitted(name, points=LABEL_POINTS, inches=PERSON_INCHES - 0.35) for name in names]
    )
    # As if there were some more, so that one bar alone is no block.
    axes.set_ylim(max(len(people), 5) - 0.4, -0.6)
    axes.set_ylabel("Person")
    _legend(
        axes,
        [
            Patch(facecolor=GREEN, label="Completed in the range", **OUTLINE),
            Patch(facecolor=ORANGE, hatch="////", label="Open now", **OUTLINE),
        ],
    )
    _count_along_x(axes, max(person.completed + person.open_now for person in people), room=1.42)


# --- overdue ageing -----------------------------------------------------------


def _ageing_missing(figures: Figures) -> str | None:
    if figures.headline.overdue_now:
        return None
    return "Nothing is overdue" if figures.headline.open_now else "No open tasks, so nothing is overdue"


def _ageing_note(figures: Figures) -> str:
    return (
        f"{count(figures.headline.overdue_now)} of {tasks(figures.headline.open_now, 'open ')} had a due date"
        f" before {written(figures.heading.today)}, whenever created."
    )


def _draw_ageing(axes: Axes, figures: Figures) -> None:
    ageing = figures.ageing
    most = max(age.tasks for age in ageing)
    for number, (age, (colour, hatch)) in enumerate(zip(ageing, AGES, strict=True)):
        if age.tasks:
            axes.bar(number, age.tasks, width=0.62, color=colour, hatch=hatch, **OUTLINE)
        axes.annotate(
            count(age.tasks),
            (number, age.tasks),
            (0, 3),
            textcoords="offset points",
            ha="center",
            fontsize=LABEL_POINTS,
        )
    labels = [f"{age.least}\N{EN DASH}{age.most}" if age.most else f"over {age.least - 1}" for age in ageing]
    axes.set_xticks(range(len(ageing)), labels)
    axes.set_xlim(-0.6, len(ageing) - 0.4)
    axes.set_xlabel("Days past the due date")
    axes.set_ylabel("Open tasks")
    _count_along_y(axes, most * 1.16)


# --- what charts share ----------------------------------------------------------


def say(axes: Axes, sentence: str) -> None:
    """Show a sentence in an empty frame."""
    axes.grid(visible=False)
    axes.set(xticks=[], yticks=[], facecolor="#f5f7fa")
    for spine in axes.spines.values():
        spine.set(visible=True, color=GREY, linestyle=(0, (4, 4)))
    axes.text(0.5, 0.5, sentence, transform=axes.transAxes, ha="center", va="center", fontsize=10.5, color=MUTED)


def _label_bar(axes: Axes, end: float, row: float, label: str) -> None:
    axes.annotate(label, (end, row), (5, 0), textcoords="offset points", va="center", fontsize=LABEL_POINTS)


def _count_along_x(axes: Axes, largest: float, *, room: float) -> None:
    """Scale the x-axis for whole numbers from 0; bars need `room` for what is written behind them."""
    axes.set_xlim(0, max(largest, 1) * room)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("Tasks")


def _count_along_y(axes: Axes, top: float) -> None:
    axes.set_ylim(0, max(top, 1))
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))
    axes.grid(visible=False, axis="x")


def _legend(axes: Axes, handles: list[Artist]) -> None:
    """Name the parts in one row above the axes, where nothing can be covered."""
    axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1.02), ncols=len(handles), handlelength=1.8)


STATUS = Chart("Tasks by status", _status_missing, _status_note, _draw_status, left=1.0)
BURN_UP = Chart("Burn-up", _burn_up_missing, _burn_up_note, _draw_burn_up, right=BURN_UP_LABELS_INCHES)
THROUGHPUT = Chart("Throughput", _throughput_missing, _throughput_note, _draw_throughput, has_legend=True)
PEOPLE = Chart("Per person", _people_missing, _people_note, _draw_people, left=PERSON_INCHES, has_legend=True)
AGEING = Chart("Overdue tasks by age", _ageing_missing, _ageing_note, _draw_ageing)
