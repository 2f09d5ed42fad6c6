"""Turns of the queues of a worker, so that no backlog of one keeps the others waiting."""

from collections.abc import Mapping, Sequence

# Seconds that a queue may be ahead of another one at most: an import of an hour must not shut its queue out for hours.
MOST_AHEAD = 60.0


class Turns:
    """Shares of a worker's time: the queue that has had the least, for its weight, comes first.

    Where it is equal, the first of `queues` does.
    """

    def __init__(self, queues: Sequence[str], weights: Mapping[str, float]) -> None:
        self._weights = weights
        self._used = dict.fromkeys(queues, 0.0)

    def order(self) -> list[str]:
        """Return the queues in the order in which to look for a message."""
        return sorted(self._used, key=self._used.__getitem__)

    def note(self, queue: str, seconds: float) -> None:
        """Note that the first message in this order was on `queue`, and what the work on it took."""
        order = self.order()
        # Those before it were empty: who does not come to work saves nothing up.
        for empty in order[: order.index(queue)]:
            self._used[empty] = self._used[queue]
        ahead = min(self._used.values()) + MOST_AHEAD
        self._used[queue] = min(self._used[queue] + seconds / self._weights.get(queue, 1), ahead)
