"""Order in which the processes of pytest-xdist take the tests."""

from collections.abc import Sequence
from itertools import groupby
from typing import Protocol, TypeVar


class Test(Protocol):
    """Test as pytest has it, as far as its place matters."""

    @property
    def nodeid(self) -> str: ...


Item = TypeVar("Item", bound=Test)

# What starts programs, and waits for them.
LONG = tuple(f"tests/{folder}/" for folder in ("browser", "deploy", "e2e", "faults", "workers"))


def spread(items: Sequence[Item], processes: int) -> list[Item]:
    """Let each process begin with a share of what takes long, so that all end together, with what takes short.

    Each gets the same number of tests, in this order; who is done early takes from the end of another's.
    """
    shares: list[list[Item]] = [[] for _ in range(processes)]
    short: list[Item] = []
    dealt = 0
    for file, tests in groupby(items, key=lambda item: item.nodeid.partition("::")[0]):
        if file.startswith(LONG):
            # The tests of a file stay together, because they share what they start.
            shares[dealt % processes] += tests
            dealt += 1
        else:
            short += tests
    order: list[Item] = []
    for number, share in enumerate(shares):
        size = (len(items) - len(order)) // (processes - number)
        short = share[size:] + short
        more = size - len(share[:size])
        order += share[:size] + short[:more]
        short = short[more:]
    return order
