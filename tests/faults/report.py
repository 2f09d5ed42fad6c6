"""Printing of the figures that the proofs find."""

from collections.abc import Iterable
from typing import Any


def table(rows: Iterable[tuple[str, Any]]) -> str:
    """Return names and values in two columns."""
    rows = list(rows)
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def percentile(values: list[float], share: float) -> float:
    """Return the value below which this share (0..1) of the values lies, by nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(share * len(ordered) + 0.5) - 1))]
