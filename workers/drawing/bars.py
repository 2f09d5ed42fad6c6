"""Charts of how things are now: tasks by status, per person, and overdue ones by age."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Patch

from core.reports.figures import Figures
from workers.drawing.axes import LABEL_POINTS, count_along_x, count_along_y, legend, written
from workers.drawing.chart import Chart
from workers.drawing.style import AGES, GREEN, ORANGE, OUTLINE, STATUSES
from workers.drawing.words import can_spell, count, fitted, share, tasks

PERSON_INCHES = 2.0


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
    numbers = [figures.by_status[status] for status in STATUSES]
    names, colours, hatches = zip(*STATUSES.values(), strict=True)
    bars = axes.barh(range(len(numbers)), numbers, height=0.62, color=colours, hatch=hatches, **OUTLINE)
    labels = [f"{count(number)}  ({share(number, figures.in_range)})" for number in numbers]
    axes.bar_label(bars, labels, padding=5, fontsize=LABEL_POINTS)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_ylabel("Status")
    count_along_x(axes, max(numbers), room=1.38)


STATUS = Chart("Tasks by status", _status_missing, _status_note, _draw_status, left=1.0)


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
    completed, open_now = [person.completed for person in people], [person.open_now for person in people]
    bars: dict[str, Any] = {"height": 0.66, **OUTLINE}
    axes.barh(range(len(people)), completed, color=GREEN, **bars)
    ends = axes.barh(range(len(people)), open_now, left=completed, color=ORANGE, hatch="////", **bars)
    labels = [f"{count(person.completed)} completed, {count(person.open_now)} open" for person in people]
    axes.bar_label(ends, labels, padding=5, fontsize=LABEL_POINTS)
    names = [person.name if person.name and can_spell(person.name) else person.username for person in people]
    axes.set_yticks(
        range(len(people)), [fitted(name, points=LABEL_POINTS, inches=PERSON_INCHES - 0.35) for name in names]
    )
    # As if there were some more, so that one bar alone is no block.
    axes.set_ylim(max(len(people), 5) - 0.4, -0.6)
    axes.set_ylabel("Person")
    legend(
        axes,
        [
            Patch(facecolor=GREEN, label="Completed in the range", **OUTLINE),
            Patch(facecolor=ORANGE, hatch="////", label="Open now", **OUTLINE),
        ],
    )
    count_along_x(axes, max(person.completed + person.open_now for person in people), room=1.42)


PEOPLE = Chart("Per person", _people_missing, _people_note, _draw_people, left=PERSON_INCHES, has_legend=True)


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
    numbers = [age.tasks for age in ageing]
    colours, hatches = zip(*AGES, strict=True)
    bars = axes.bar(range(len(numbers)), numbers, width=0.62, color=colours, hatch=hatches, **OUTLINE)
    axes.bar_label(bars, [count(number) for number in numbers], padding=3, fontsize=LABEL_POINTS)
    labels = [f"{age.least}\N{EN DASH}{age.most}" if age.most else f"over {age.least - 1}" for age in ageing]
    axes.set_xticks(range(len(ageing)), labels)
    axes.set_xlim(-0.6, len(ageing) - 0.4)
    axes.set_xlabel("Days past the due date")
    axes.set_ylabel("Open tasks")
    count_along_y(axes, max(numbers) * 1.16)


AGEING = Chart("Overdue tasks by age", _ageing_missing, _ageing_note, _draw_ageing)
