"""Preconditions: the states in which a caller expects what they are about to change (RFC 9110, section 13).

HTTP knows how a state is named; a service knows when the row is locked and its
caller may change it. So the caller says `expected`, and the service judges it
inside its transaction, before it changes anything: nothing can change in
between, whoever may not change the thing hears that first, and a unit that is
repeated judges again.
"""

from collections.abc import Callable
from typing import Any, Protocol


class Expected(Protocol):
    """The states of a thing in which its caller wants it changed."""

    def require(self, read: Callable[[], Any]) -> None:
        """Raise PreconditionFailed or PreconditionRequired unless the thing is in one of these states.

        `read` returns what readers see of the thing, or None where there is nothing
        yet. It may cost a statement, so it is called only if something depends on it.
        """


class _AnyState:
    """The expectation of a caller that has none: a job, an import, a command."""

    def require(self, read: Callable[[], Any]) -> None:
        """Accept every state."""


ANY_STATE: Expected = _AnyState()
