"""The house of the tests themselves: what they import, and on which engines they run."""

import ast
from functools import cache
from pathlib import Path

from core.platform.config.load import ROOT
from tests.support.engines import ENGINES, ONE
from tests.support.measured import REPEATS
from tests.support.source_code import names_imported, sources


def test_nothing_imports_a_test_or_a_conftest() -> None:
    """The place of what two of them need is tests/support."""
    wrong = [
        f"{path} imports {name}"
        for path, tree in sources("tests")
        for name in names_imported(tree)
        if name.startswith("tests.") and any(part.startswith(("test_", "conftest")) for part in name.split("."))
    ]
    assert wrong == []


def test_what_tests_import_of_us_is_there() -> None:
    """A module that moves breaks tests that nobody has run, which this finds out without running them."""
    wrong = [
        f"{path} imports {name}"
        for path, tree in sources("tests")
        for name in names_imported(tree)
        if name.split(".")[0] in ("api", "core", "workers", "tests") and not _exists(name)
    ]
    assert wrong == []


def _exists(name: str) -> bool:
    """Return whether a name is a module, or stands in one."""
    above, _, last = name.rpartition(".")
    return _file_of(name) is not None or last in _names_in(above)


def _file_of(module: str) -> Path | None:
    place = ROOT / module.replace(".", "/")
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.exists()), None)


@cache
def _names_in(module: str) -> frozenset[str]:
    file = _file_of(module)
    tree = ast.parse(file.read_text()) if file else ast.Module([], [])
    defined = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    defined |= {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    return frozenset(defined | {name.rpartition(".")[2] for name in names_imported(tree)})


def test_every_file_that_takes_one_engine_exists_and_says_why() -> None:
    assert [file for file in ONE if not (ROOT / "tests" / file).exists()] == []
    assert [file for file, (engine, reason) in ONE.items() if engine not in ENGINES or not reason] == []


def test_what_coverage_passes_over_exists() -> None:
    assert [place for place in REPEATS if not (ROOT / "tests" / place).exists()] == []
