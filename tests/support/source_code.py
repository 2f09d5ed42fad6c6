"""The source code of Tasklane, as trees."""

import ast
from functools import cache

from core.platform.config.load import ROOT

PACKAGES = ("api", "core", "workers")


@cache
def sources(package: str) -> tuple[tuple[str, ast.Module], ...]:
    """Return the path and the tree of each module of a package, read once."""
    paths = sorted((ROOT / package).rglob("*.py"))
    return tuple((str(path.relative_to(ROOT)), ast.parse(path.read_text())) for path in paths)


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else []


def imports(tree: ast.Module) -> list[str]:
    return [name for node in ast.walk(tree) for name in imported(node)]


def names_imported(tree: ast.Module) -> list[str]:
    """Return what is imported, down to the names, which may be modules too."""
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    return names
