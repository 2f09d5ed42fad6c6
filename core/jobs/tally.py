"""Counts of attempts at jobs, by their end and duration, for the whole installation.

Workers run on other machines than the processes that show the counts, each attempt in a
process of its own, and rows of jobs are deleted after a while. So the counts are
in Redis. They grow until an operator empties it; then they begin at 0, as after the
restart of a process, which Prometheus expects of a counter. They are
information: no count is worth a job, so a Redis that does not answer is not asked
twice.
"""

import logging
from contextlib import suppress
from dataclasses import dataclass, field

from redis import Redis
from redis.client import Pipeline

from core.platform import redis
from core.platform.config.settings import Settings

log = logging.getLogger("tasklane.jobs")

KEY = "tasklane:job-attempts"
# No monitor needs the counts of an installation that has run nothing for so long.
KEPT_SECONDS = 90 * 24 * 3600
# Upper bounds in seconds, for a histogram.
BUCKETS = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0)


@dataclass(slots=True)
class Tally:
    """Counts of the attempts at one kind of job. `buckets` has one more entry, for what takes longer."""

    outcomes: dict[str, int] = field(default_factory=dict)
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    seconds: float = 0.0


def count(settings: Settings, *, kind: str, outcome: str, seconds: float) -> None:
    """Count the end of an attempt, if there are metrics and Redis answers."""
    if not settings.metrics.enabled:
        return
    bucket = next((index for index, bound in enumerate(BUCKETS) if seconds <= bound), len(BUCKETS))

    def write(pipeline: Pipeline) -> None:
        pipeline.hincrby(KEY, f"{kind} outcome {outcome}", 1)
        pipeline.hincrby(KEY, f"{kind} bucket {bucket}", 1)
        pipeline.hincrbyfloat(KEY, f"{kind} seconds total", round(seconds, 6))
        pipeline.expire(KEY, KEPT_SECONDS)

    redis.tell(settings, write)


def read(connection: "Redis") -> dict[str, Tally]:
    """Return what was counted, by kind. Raises RedisError."""
    tallies: dict[str, Tally] = {}
    found: dict[bytes, bytes] = connection.hgetall(KEY)  # type: ignore[assignment]
    for name, value in found.items():
        with suppress(ValueError, IndexError):  # Of another version.
            kind, what, which = name.decode().split(" ")
            tally = tallies.setdefault(kind, Tally())
            if what == "outcome":
                tally.outcomes[which] = int(value)
            elif what == "bucket":
                tally.buckets[int(which)] = int(value)
            else:
                tally.seconds = float(value)
    return tallies
