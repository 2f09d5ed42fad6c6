"""Faults of a request: the first ones by name, and the number of all others.

A caller that sends a hundred thousand wrong fields has one fault in its program.
"""

import difflib
from collections.abc import Collection
from dataclasses import dataclass, field

# How many faults a refusal names.
MAX_FAULTS = 100
# How many of them come with the name that may have been meant: to find it takes longer than all the rest.
MAX_HINTS = 5
# No name of ours is so long, nor is one that is meant for it.
_LONGEST_MISSPELLED = 80


def nearest(name: str, known: Collection[str]) -> str:
    """Return a hint at the known name that may be meant, or nothing."""
    close = difflib.get_close_matches(name, known, n=1) if len(name) <= _LONGEST_MISSPELLED else []
    return f" Did you mean {close[0]!r}?" if close else ""


@dataclass(slots=True)
class Faults:
    """Sentences by the paths of fields. Of many, the first are kept and the others counted."""

    details: dict[str, list[str]] = field(default_factory=dict)
    count: int = 0

    def __bool__(self) -> bool:
        return self.count > 0

    @property
    def unnamed(self) -> int:
        """Number of faults beside those in `details`."""
        return max(self.count - MAX_FAULTS, 0)

    def add(self, path: str, sentence: str) -> None:
        """Note one, unless it is known."""
        if sentence in self.details.get(path, ()):
            return
        self.count += 1
        if self.count <= MAX_FAULTS:
            self.details.setdefault(path, []).append(sentence)

    def add_unknown(self, path: str, sentence: str, name: str, known: Collection[str]) -> None:
        """Note a name that is not known, with the one that may be meant if there are few such names."""
        self.add(path, sentence + (nearest(name, known) if self.count < MAX_HINTS else ""))

    def add_more(self, count: int) -> None:
        """Note that there are so many others."""
        self.count += count
