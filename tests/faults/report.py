"""Printing of the figures that the proofs find."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from tests.support.servers import RedisServer


def table(rows: Iterable[tuple[str, Any]]) -> str:
    """Return names and values in two columns."""
    rows = list(rows)
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def percentile(values: list[float], share: float) -> float:
    """Return the value below which this share (0..1) of the values lies, by nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(share * len(ordered) + 0.5) - 1))]


def keys_of(redis: RedisServer) -> dict[str, Any]:
    """Return how many keys of each sort Redis holds, how many of them for ever, and its memory."""
    sorts: Counter[str] = Counter()
    lasting: Counter[str] = Counter()
    with redis.client as client:
        for key in client.scan_iter(count=1000):
            sort = ":".join(key.decode().split(":")[:2])
            sorts[sort] += 1
            lasting[sort] += client.ttl(key) == -1
        memory = client.info("memory")["used_memory"]
    return {"keys": dict(sorts), "lasting": dict(+lasting), "memory": memory}
