"""A circuit breaker: an upstream that keeps failing is left alone for a while."""

import logging
import threading
from dataclasses import dataclass
from enum import StrEnum

from core.platform import clock

log = logging.getLogger("tasklane.upstreams")


class BreakerState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class Admission:
    """Leave to make one call; its outcome is reported with it."""

    era: int
    is_trial: bool


class Breaker:
    """closed -> open after `failures` in a row -> half-open after `seconds`, where one trial decides."""

    def __init__(self, name: str, *, failures: int, seconds: float) -> None:
        self._name = name
        self._failures = failures
        self._seconds = seconds
        self._lock = threading.Lock()
        self._count = 0
        self._opened_at: float | None = None
        self._is_trying = False
        # Grows when the breaker opens or closes, so that a call which began before cannot decide afterwards.
        self._era = 0

    @property
    def state(self) -> BreakerState:
        with self._lock:
            return self._state()

    @property
    def seconds_left(self) -> float:
        """Seconds until a call is let through again; 0 unless open."""
        with self._lock:
            return self._left()

    def admit(self) -> Admission | None:
        """Return the leave to make one call, or None if the upstream is left alone."""
        with self._lock:
            state = self._state()
            if state is BreakerState.OPEN or self._is_trying:
                return None
            self._is_trying = state is BreakerState.HALF_OPEN
            return Admission(self._era, self._is_trying)

    def report(self, admission: Admission, *, succeeded: bool) -> None:
        """Count the outcome of an admitted call. Every admission must be reported, or no trial ever ends."""
        with self._lock:
            if admission.era != self._era:
                return
            self._count = 0 if succeeded else self._count + 1
            if succeeded and admission.is_trial:
                self._turn(None)
            elif admission.is_trial or self._count >= self._failures:
                self._turn(clock.monotonic())

    def _turn(self, opened_at: float | None) -> None:
        self._opened_at = opened_at
        self._is_trying = False
        self._era += 1
        self._count = 0
        log.warning("The breaker of upstream %s is now %s.", self._name, self._state())

    def _state(self) -> BreakerState:
        if self._opened_at is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self._left() > 0 else BreakerState.HALF_OPEN

    def _left(self) -> float:
        return 0.0 if self._opened_at is None else max(0.0, self._opened_at + self._seconds - clock.monotonic())
