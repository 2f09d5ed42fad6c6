"""Loading of all tests by several processes at once."""

from contextlib import suppress
from importlib import import_module

import pytest

from core.platform.config.load import ROOT


def load_in_turn(process: str, processes: int) -> None:
    """Load every file of tests, each of the processes of pytest-xdist (`gw0`, `gw1`, ...) from another one on.

    In a fresh copy of the repository somebody has to rewrite thousands of assertions, for four seconds. Processes that
    load the files in the same order do so all at the same time; so each finds most of it done by the others.
    """
    if processes < 2:
        return
    files = sorted(path.relative_to(ROOT).with_suffix("") for path in (ROOT / "tests").rglob("test_*.py"))
    start = len(files) * int(process.removeprefix("gw")) // processes
    for file in files[start:] + files[:start]:
        # What cannot be loaded is told of by pytest, when it comes to that file.
        with suppress(Exception, pytest.skip.Exception):
            import_module(".".join(file.parts))
