"""Axes, labels and legends, alike in all charts."""

from datetime import date

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from workers.drawing.style import GREY, MUTED
from workers.drawing.words import count

LABEL_POINTS = 8.5


def written(day: date) -> str:
    """Return a day as reports write it, such as 5 Nov 2026."""
    return f"{day.day} {day:%b %Y}"


def say(axes: Axes, sentence: str) -> None:
    """Show a sentence in an empty frame."""
    axes.grid(visible=False)
    axes.set(xticks=[], yticks=[], facecolor="#f5f7fa")
    for spine in axes.spines.values():
        spine.set(visible=True, color=GREY, linestyle=(0, (4, 4)))
    axes.text(0.5, 0.5, sentence, transform=axes.transAxes, ha="center", va="center", fontsize=10.5, color=MUTED)


def count_along_x(axes: Axes, largest: float, *, room: float) -> None:
    """Scale the x-axis for whole numbers from 0; bars need `room` for what is written behind them."""
    axes.set_xlim(0, max(largest, 1) * room)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("Tasks")


def count_along_y(axes: Axes, top: float) -> None:
    """Scale the y-axis for whole numbers from 0."""
    axes.set_ylim(0, max(top, 1))
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))
    axes.grid(visible=False, axis="x")


def legend(axes: Axes, handles: list[Artist]) -> None:
    """Name the parts in one row above the axes, where nothing can be covered."""
    axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1.02), ncols=len(handles), handlelength=1.8)
