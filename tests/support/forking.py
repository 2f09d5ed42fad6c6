"""Starts of `manage.py` by a process that has loaded it: forks that leave out the loading, and nothing else.

For processes of tests/support/loaded.py, which start others themselves: `serve` its web processes, `worker` its
pool, `dev` its parts. After a fork each is as a new program would be: with its own arguments and environment, the
files that were given to it and no others, the signals of a new process, and none of the loggers of its parent.
"""

import logging
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import manage
from core.operations.commands.process import MANAGE
from core.platform.database.base import db

# What Python ignores from its start.
IGNORED = (signal.SIGPIPE, signal.SIGXFSZ)


class Forking(subprocess.Popen[Any]):
    """A process as ever, or a fork of this one if it is another `manage.py`."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        pass_fds: Collection[int] = (),
        **options: Any,
    ) -> None:
        if list(command[:2]) == MANAGE:
            # SQLite bears no fork while a file is open.
            for engine in (engine for engines in db._app_engines.values() for engine in engines.values()):
                engine.dispose()
            # The last thing that happens in the new process before it would become another program, which it never is.
            options["preexec_fn"] = lambda: _run(command[2:], env, pass_fds)
        super().__init__(command, env=env, pass_fds=pass_fds, **options)


def _instead_of_execv(path: str, command: Sequence[str]) -> NoReturn:
    """Go on in this process, with the files that another program would inherit."""
    descriptors = [descriptor for descriptor in _descriptors() if os.get_inheritable(descriptor)]
    _run(command[2:], None, descriptors)


def fork_from_now_on() -> None:
    """Let this process, and those that it starts, start others so."""
    subprocess.Popen = Forking  # type: ignore[misc]
    os.execv = _instead_of_execv  # type: ignore[assignment]


def _run(arguments: Sequence[str], environ: Mapping[str, str] | None, descriptors: Collection[int]) -> NoReturn:
    """Be `manage.py <arguments>` until its end. What called this goes on in the parent only."""
    code: Any = 1
    try:
        _forget(descriptors)
        if environ is not None:
            os.environ.clear()
            os.environ.update(environ)
        sys.argv = [manage.__file__, *arguments]
        # By which it is known among others.
        with suppress(OSError):
            Path("/proc/self/comm").write_text(arguments[0])
        manage.main()
        code = 0
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - nobody else hears of it
        traceback.print_exc()
    finally:
        for thread in threading.enumerate():
            if thread is not threading.current_thread() and not thread.daemon:
                thread.join()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
        os._exit(code if isinstance(code, int) else int(code is not None))


def _forget(descriptors: Collection[int]) -> None:
    """Give up what belongs to the parent."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    for ignored in IGNORED:
        signal.signal(ignored, signal.SIG_IGN)
    for handler in logging.root.handlers[:]:
        logging.root.removeHandler(handler)
        with suppress(OSError):
            handler.close()
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in _descriptors():
        if descriptor > 2 and descriptor not in (nothing, *descriptors):
            # The number stays taken: an object of the parent may close it later, whoever has it by then.
            os.dup2(nothing, descriptor, inheritable=False)


def _descriptors() -> list[int]:
    """Return the numbers of all open files, without the one by which that is found out."""
    return [number for number in map(int, os.listdir("/dev/fd")) if _is_open(number)]


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
