"""Processor cores: those that this process may use, and keeping it on one of them.

A process of Python does one thing at a time. On two cores its threads take turns across them, which
takes up to twice the processor time and at times ten; on one core they simply follow each other.
"""

import logging
import os
from collections.abc import Callable, Sequence

log = logging.getLogger("tasklane.cores")


def usable_cores() -> Sequence[int]:
    """Return the cores that this process may use, which in a container may be fewer than there are; none if unknown."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def number_of_cores() -> int:
    """Return how many cores this process may use."""
    return len(usable_cores()) or os.cpu_count() or 1


def cores_of(processes: int, *, is_wanted: bool) -> Callable[[int], Sequence[str]]:
    """Return a function from the place of a process to the options that keep it on a core of its own.

    There are none where there are fewer cores than processes. Which core is the first depends on
    the process that asks: several installations on a machine must not all choose the same.
    """
    cores = usable_cores()
    if not is_wanted or len(cores) < processes:
        return lambda place: ()
    first = os.getpid()
    return lambda place: ("--core", str(cores[(first + place) % len(cores)]))


def stay_on(core: int | None) -> None:
    """Keep this process, and the threads that it will start, on one core, unless that has been taken away."""
    if core is None:
        return
    try:
        os.sched_setaffinity(0, {core})
    except OSError as error:
        log.warning("This process cannot be kept on core %s: %s.", core, error.strerror)
