"""Style of reports: colours that no reader confuses, and the same result whatever the machine is set to."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl

from core.tasks.fields import TaskStatus
from workers.drawing.words import families

# Text has a contrast of at least 6:1 to white.
INK = "#1f2933"
MUTED = "#52606d"
GRID = "#d9e2ec"

# The palette of Okabe and Ito, which people with any kind of colour vision can tell apart. Its light
# colours have too little contrast to white, so every area gets an outline, and a hatch of its own.
BLUE = "#0072b2"
ORANGE = "#e69f00"
GREEN = "#009e73"
VERMILLION = "#d55e00"
SKY = "#56b4e9"
GREY = "#b0b7bf"

OUTLINE: dict[str, Any] = {"edgecolor": INK, "linewidth": 0.7}
STATUSES = {
    TaskStatus.PENDING: ("Pending", ORANGE, "////"),
    TaskStatus.IN_PROGRESS: ("In progress", SKY, "...."),
    TaskStatus.COMPLETED: ("Completed", GREEN, ""),
    TaskStatus.CANCELLED: ("Cancelled", GREY, "xxxx"),
}
# From a few days to many: darker, and denser.
AGES = (("#fbe3d0", ""), ("#f2b27f", "..."), ("#e3853f", "///"), (VERMILLION, "xxx"))

_SETTINGS: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.grid": True,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 8.5,
    "axes.linewidth": 0.7,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 9,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "hatch.linewidth": 0.5,
    "legend.borderaxespad": 0,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    # TrueType, so that text can be searched and copied.
    "pdf.fonttype": 42,
    "text.color": INK,
    # A dollar sign in a user's name begins no formula.
    "text.parse_math": False,
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
    "ytick.labelsize": 8.5,
}


@contextmanager
def house_style() -> Iterator[None]:
    """Draw as reports look, whatever a file `matplotlibrc` on this machine says."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS | {"font.family": families()})
        yield
