"""Programs that some tests need and a machine may not have."""

import os
import shutil
from pathlib import Path

import pytest


def need(name: str) -> str:
    """Return where a program is. Skips the test where it is missing, unless TESTS_NEED_EVERYTHING is set."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        reason = f"{name} is not installed"
        if os.environ.get("TESTS_NEED_EVERYTHING"):
            pytest.fail(reason)
        pytest.skip(reason)
    return str(Path(found))
