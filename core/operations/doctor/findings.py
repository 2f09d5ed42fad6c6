"""Findings of the doctor, and what several examinations ask."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from core.platform import clock

# Clocks that differ by more seconds than this end tokens and leases too early or too late.
CLOCK_WARNING, CLOCK_FAILURE = 2.0, 30.0


class Verdict(StrEnum):
    """Verdict of one check."""

    OK = "ok"
    # It works, and one day that may not be enough.
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """Finding about one part, and the advice that goes with it."""

    part: str
    verdict: Verdict
    text: str
    advice: str = ""


def found(part: str, holds: bool, told: str, advice: str, *, worse: Verdict = Verdict.FAILED) -> Finding:
    """Return what was found of a part; the advice and the verdict `worse` only if it does not hold."""
    return Finding(part, Verdict.OK if holds else worse, told, "" if holds else advice)


def clock_of(where: str, there: datetime) -> Finding:
    """Compare the clock of another machine with this one."""
    apart = abs((clock.now() - there).total_seconds())
    worse = Verdict.FAILED if apart > CLOCK_FAILURE else Verdict.WARNING
    told = f"{apart:.1f} s apart from {where}"
    return found("clock", apart <= CLOCK_WARNING, told, "Synchronise the clocks of the machines (NTP).", worse=worse)
