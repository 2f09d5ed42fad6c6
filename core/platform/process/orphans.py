"""Children that end with their parent, also by kill -9, when no parent is left to end them."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1  # prctl(2)


def dying_with_parent() -> Callable[[], None] | None:
    """Return what a child of this process runs first (`preexec_fn`) so that it ends when this process does.

    Only Linux has it. It follows the thread that starts the child, so that has to be the main one.
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)  # It has ended before it was asked for.

    return ask
