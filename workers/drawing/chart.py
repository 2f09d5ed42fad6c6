"""Charts of a report. Each says in words what it shows, and draws into axes that it is given.

No chart tells things apart by colour alone: there are hatches, markers and
labels as well. Without tasks a chart says so instead of drawing nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.axes import Axes

from core.reports.figures import Figures


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart with its words. `left` is in inches, for what stands beside the axes.

    Where `missing` returns a sentence there is nothing to draw, and it is shown instead.
    """

    title: str
    missing: Callable[[Figures], str | None]
    note: Callable[[Figures], str]
    draw: Callable[[Axes, Figures], None]
    left: float = 0.78
    has_legend: bool = False
