"""Values of the testing environment, so that tests touch nothing of another environment.

Addresses that lead out of it (database, Redis, cache, mail server, Sentry, a log elsewhere) it takes only from
places that are meant for tests: a table `[testing]`, a variable that begins with TEST_, or a caller.
"""

import atexit
import os
import shutil
import tempfile
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

from core.platform.config.errors import ConfigError
from core.platform.config.keys import LEADING_OUT
from core.platform.disk.scratch import new_scratch_folder

NOT_SET = "not set (testing takes no other environment's)"
TEMPORARY = "temporary (testing)"
# Says that a folder is one of tests.
MARK = ".testing"
_READ_ONLY = frozenset({"config.toml"})
_numbers = count(1)


def may_take(key: str, value: Any, source: str) -> bool:
    """Return whether the testing environment takes this value from there."""
    if source == "override" or source.partition(" ")[2].startswith("TEST_"):
        return True
    if key == "log.file":
        return source.endswith("[testing]") or not Path(str(value)).is_absolute()
    if key == "database_url":
        # The database is what tests empty, so it is named in one place only.
        return source == "config.toml [testing]"
    return key not in LEADING_OUT or source.endswith("[testing]")


def folder(named: str | None) -> Path:
    """Return where a testing environment writes: the named folder, unless it is another's, or a temporary one.

    Raises ConfigError.
    """
    path = Path(named).resolve() if named else None
    try:
        if path is None or not _is_for_tests(path):
            path = _temporary() / str(next(_numbers))
        path.mkdir(parents=True, exist_ok=True)
        (path / MARK).touch()
    except OSError as error:
        raise ConfigError(f"The instance folder {named} is not usable: {error.strerror}.") from None
    return path


def _is_for_tests(path: Path) -> bool:
    if not path.exists():
        return True
    names = {each.name for each in path.iterdir()}
    return MARK in names or names <= _READ_ONLY


@cache
def _temporary() -> Path:
    path = new_scratch_folder(Path(tempfile.gettempdir()), "tasklane-tests-")
    owner = os.getpid()

    def remove() -> None:
        # A forked child ends earlier than the process that uses the folder.
        if os.getpid() == owner:
            shutil.rmtree(path, ignore_errors=True)

    atexit.register(remove)
    return path
