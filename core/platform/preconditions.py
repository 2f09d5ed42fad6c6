"""What a caller demands of the state that they are about to change (RFC 9110, section 13).

HTTP knows how a state is named; a service knows when the row is locked and its
caller may change it. So the demand is made around the service call and judged
inside its transaction: nothing can change in between, and whoever may not
change the thing hears that first. Commands and jobs demand nothing.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class _Demand:
    judge: Callable[[Any], None]
    is_judged: bool = False


_demand: ContextVar[_Demand | None] = ContextVar("tasklane_demand", default=None)


@contextmanager
def demanded(judge: Callable[[Any], None]) -> Iterator[None]:
    """Have `judge` decide, by raising, whether what is about to be changed is in the demanded state.

    It gets what readers see of the thing, or None where there is nothing yet.
    """
    token = _demand.set(_Demand(judge))
    try:
        yield
    finally:
        _demand.reset(token)


def check(read: Callable[[], Any]) -> None:
    """Judge the demand, if there is one, by what `read` returns.

    A service calls it once the row is locked and the actor is allowed to change
    it, before anything of it is changed.
    """
    demand = _demand.get()
    if demand is not None and not demand.is_judged:
        demand.judge(read())
        demand.is_judged = True


def forget_judgement() -> None:
    """Have the demand judged again, because the transaction in which it was is over."""
    demand = _demand.get()
    if demand is not None:
        demand.is_judged = False


def require_checked() -> None:
    """Raise RuntimeError if something is about to be stored although nobody has judged the demand."""
    demand = _demand.get()
    if demand is not None and not demand.is_judged:
        raise RuntimeError("A service did not check the precondition of its caller.")
