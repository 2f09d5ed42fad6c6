"""Docstrings begin with a noun or an imperative, so that a reader learns in one word what a thing is."""

import ast
from pathlib import Path

import pytest

from core.platform.config.load import ROOT

# They begin a clause that names nothing, or a sentence about an agent without a name.
NAMELESS = {
    "what",
    "how",
    "who",
    "whose",
    "whom",
    "where",
    "whether",
    "when",
    "which",
    "why",
    "that",
    "those",
    "have",
    "somebody",
    "someone",
    "nobody",
    "anybody",
    "everybody",
    "something",
    "nothing",
    "everything",
    "whoever",
    "whatever",
}
PLACES = ("api", "benchmarks", "core", "migrations", "tests", "workers")


@pytest.mark.parametrize("place", PLACES)
def test_docstrings_name_their_noun(place: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}: {docstring.splitlines()[0]}"
        for path in sorted((ROOT / place).rglob("*.py"))
        for docstring in docstrings(path)
        if first_word(docstring) in NAMELESS
    ]
    assert found == []


def test_a_docstring_that_names_nothing_would_be_found() -> None:
    assert first_word("What's left of it.") == first_word("What: it.") == "what"
    assert len(docstrings(Path(__file__))) == 3


def docstrings(path: Path) -> list[str]:
    """Return the docstrings of a file: of itself, its classes and its functions."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds)]
    return [docstring for node in nodes if (docstring := ast.get_docstring(node))]


def first_word(docstring: str) -> str:
    """Return the first word in small letters, without an apostrophe and what follows it."""
    return docstring.split(maxsplit=1)[0].partition("'")[0].strip("`:,.;").lower()
