"""The metrics, by the library of Prometheus. Loaded only if they are switched on.

Web processes share their counts through files in the folder that `serve` names in
PROMETHEUS_MULTIPROC_DIR, so it does not matter which of them is asked. Without
that variable there is one process, and counts are in its memory.
"""

import logging
import os
from collections.abc import Callable, Iterable
from itertools import accumulate
from pathlib import Path
from typing import Any

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
    values,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from sqlalchemy import event
from sqlalchemy.pool import QueuePool

from api.http.serving.shared_counts import Counts
from core.jobs import tally
from core.operations.installation import Operations
from core.platform.database.base import db
from core.platform.database.engine import current_reader
from core.platform.process import numbering
from core.version import VERSION

log = logging.getLogger("tasklane.metrics")

CONTENT_TYPE = CONTENT_TYPE_LATEST
FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

# Seconds. Answers cached in memory take less than the first, logins more than the fourth.
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
# Any other method would be a label of the caller's invention.
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# Callers of one deprecated operation that are told apart, in each process; the others are counted together.
MAX_CALLERS = 100
LIMITS = ("requests", "login", "logins", "password", "lockout")


class Meters:
    """The counters of one application."""

    def __init__(self) -> None:
        # When a series began would be as many series again, which no monitor asks for.
        disable_created_metrics()
        self._folder = _share()
        self._registry = CollectorRegistry()
        self._requests = self._counter("http_requests", "Answers.", "method", "route", "status")
        self._durations = Histogram(
            "tasklane_http_request_duration_seconds",
            "From the arrival of a request to its answer; of a download, to its first byte.",
            ("method", "route"),
            buckets=SECONDS,
            registry=self._registry,
        )
        self._in_progress = self._gauge("http_requests_in_progress", "Requests in work.")
        self._gauge("web_processes", "Web processes that run.").set(1)
        lookups = self._counter("cache_lookups", "Look-ups of cached answers.", "place", "result")
        self._lookups = {
            (is_near, is_hit): lookups.labels("near" if is_near else "shared", "hit" if is_hit else "miss")
            for is_near in (True, False)
            for is_hit in (True, False)
        }
        refusals = self._counter("limiter_refusals", "Requests refused with 429, by what was exceeded.", "limit")
        self._refusals = {limit: refusals.labels(limit) for limit in LIMITS}
        self._deprecated = self._counter(
            "deprecated_requests", "Requests for deprecated operations.", "operation", "caller"
        )
        self._callers: dict[str, set[str]] = {}
        self._pool_use = self._gauge("db_connections_in_use", "Database connections that requests hold.")
        self._pool_size = self._gauge("db_connections_limit", "Database connections that may be held at once.")
        kept = "Database connections that stay open for what every request asks, beside the former."
        self._kept = self._gauge("db_connections_kept", kept)
        # Finding the series of a metric takes longer than counting in it.
        self._known: dict[tuple[str, str, int], tuple[Any, Any]] = {}

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"tasklane_{name}", text, labels, registry=self._registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        # The sum over the processes that live.
        return Gauge(f"tasklane_{name}", text, registry=self._registry, multiprocess_mode="livesum")

    def watch_pool(self) -> None:
        """Follow the use of the pool of the application in whose context this runs."""
        pool = db.engine.pool
        if not isinstance(pool, QueuePool):
            return
        self._pool_size.set(pool.size() + max(pool._max_overflow, 0))
        event.listen(db.engine, "checkout", lambda *connection: self._pool_use.inc())
        event.listen(db.engine, "checkin", lambda *connection: self._pool_use.dec())
        # One that is taken out of the pool for good leaves its place to another.
        event.listen(db.engine, "detach", lambda *connection: self._pool_use.dec())
        current_reader().counted = self._kept.inc

    def counting(self, application: Callable[..., Any]) -> Callable[..., Any]:
        """Return the application with a count of what it is working on."""

        def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            self._in_progress.inc()
            try:
                found: Iterable[bytes] = application(environ, start_response)
            finally:
                self._in_progress.dec()
            return found

        return answer

    def count_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answer. `route` must be a template, because each new value costs memory for ever."""
        key = (method if method in METHODS else "other", route, status)
        series = self._known.get(key)
        if series is None:
            series = (self._requests.labels(*key), self._durations.labels(*key[:2]))
            self._known[key] = series
        series[0].inc()
        series[1].observe(seconds)

    def count_lookup(self, *, is_near: bool, is_hit: bool) -> None:
        """Count a look-up of a cached answer."""
        self._lookups[is_near, is_hit].inc()

    def count_refusal(self, limit: str) -> None:
        """Count a request that came too often."""
        self._refusals[limit if limit in self._refusals else "requests"].inc()

    def count_deprecated(self, operation: str, caller: str) -> None:
        """Count a request for a deprecated operation."""
        known = self._callers.setdefault(operation, set())
        if caller not in known and len(known) >= MAX_CALLERS:
            caller = "others"
        known.add(caller)
        self._deprecated.labels(operation, caller).inc()

    def render(self, operations: Operations) -> bytes:
        """Return everything in the text format of Prometheus."""
        found = CollectorRegistry()
        found.register(_Snapshot(operations))
        return self._counted() + generate_latest(found)

    def _counted(self) -> bytes:
        """Return what all processes have counted, or this one alone where the folder cannot be used."""
        folder = self._folder
        try:
            if folder is not None and folder.is_dir():
                numbering.free(folder, lambda number: mark_process_dead(number, str(folder)))
                registry = CollectorRegistry()
                MultiProcessCollector(registry, path=str(folder))
                return generate_latest(registry)
        except OSError as error:
            log.warning("The counts of the other processes cannot be read: %s.", error.strerror)
        return generate_latest(self._registry)


def _share() -> Path | None:
    """Let the library count in files that the other web processes read. Return their folder."""
    if not os.environ.get(FOLDER_VARIABLE):
        return None
    folder = Path(os.environ[FOLDER_VARIABLE])
    values.ValueClass = Counts(folder).new_value
    return folder


class _Snapshot:
    """Gauges that are measured for this one answer, and not counted."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    def collect(self) -> Iterable[Metric]:
        """Yield every metric that is asked for, and not counted."""
        now = self._operations
        yield InfoMetricFamily("tasklane_build", "The version that runs.", value={"version": VERSION})
        up = GaugeMetricFamily(
            "tasklane_dependency_up", "Whether a dependency answers (1) or not (0).", labels=["name"]
        )
        up.add_metric(["database"], now.is_database_up)
        up.add_metric(["redis"], now.is_redis_up)
        yield up
        if now.is_database_up:
            yield from self._open_jobs()
        if now.is_redis_up:
            yield GaugeMetricFamily("tasklane_workers", "Workers that are alive.", value=now.workers)
            yield from self._attempts()

    def _open_jobs(self) -> Iterable[Metric]:
        number = GaugeMetricFamily("tasklane_jobs_open", "Unfinished jobs.", labels=["kind", "queue", "state"])
        for labels, value in self._operations.open_jobs.items():
            number.add_metric(labels, value)
        yield number
        oldest = GaugeMetricFamily(
            "tasklane_jobs_oldest_queued_seconds",
            "For how long the first untried job of a queue waits.",
            labels=["queue"],
        )
        for queue, seconds in self._operations.oldest_queued.items():
            oldest.add_metric([queue], seconds)
        yield oldest

    def _attempts(self) -> Iterable[Metric]:
        outcomes = CounterMetricFamily(
            "tasklane_job_attempts", "Ended attempts at jobs, of all workers.", labels=["kind", "outcome"]
        )
        durations = HistogramMetricFamily(
            "tasklane_job_attempt_duration_seconds", "How long attempts at jobs took.", labels=["kind"]
        )
        bounds = [*(str(bound) for bound in tally.BUCKETS), "+Inf"]
        for kind, found in self._operations.tallies.items():
            for outcome, number in found.outcomes.items():
                outcomes.add_metric([kind, outcome], number)
            totals = accumulate(found.buckets)
            durations.add_metric([kind], list(zip(bounds, totals, strict=True)), found.seconds)
        yield outcomes
        yield durations
