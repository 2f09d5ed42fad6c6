"""Condition that a text contains another one, whatever the case, the same on both engines.

LIKE of SQLite knows the case of ASCII only, and ILIKE of PostgreSQL that of the
locale of its database. So each letter is looked for in all its cases: in a class
of a pattern, which both engines know.
"""

import re
from collections import defaultdict
from functools import lru_cache
from typing import Any

from sqlalchemy import Boolean, ColumnElement, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class _Contains(FunctionElement[bool]):
    """A column, the pattern for SQLite and the one for PostgreSQL."""

    name = "contains"
    type = Boolean()
    inherit_cache = True


@compiles(_Contains, "sqlite")
def _in_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    column, glob, _ = element.clauses
    return f"({compiler.process(column, **options)} GLOB {compiler.process(glob, **options)})"


@compiles(_Contains)
def _elsewhere(element: Any, compiler: Any, **options: Any) -> str:
    column, _, regex = element.clauses
    return f"({compiler.process(column, **options)} ~ {compiler.process(regex, **options)})"


def contains(column: Any, words: str) -> ColumnElement[bool]:
    """Return the condition that the text of a column has these words in it, whatever their case."""
    cases = [_cases(char) for char in words]
    glob = "".join(f"[{some}]" if len(some) > 1 or some in "*?[" else some for some in cases)
    regex = "".join(f"[{some}]" if len(some) > 1 else re.sub(r"[!-/:-@[-`{-~]", r"\\\g<0>", some) for some in cases)
    return _Contains(column, literal(f"*{glob}*"), literal(regex))


def _cases(char: str) -> str:
    """Return all characters that are the same but for their case; only letters have more than one."""
    return "".join(sorted({char, *_by_folding()[char.casefold()]}))


@lru_cache(maxsize=1)
def _by_folding() -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for code in range(0x20000):
        if not 0xD800 <= code <= 0xDFFF and (folded := chr(code).casefold()) != chr(code):
            found[folded] += [chr(code), *([folded] if len(folded) == 1 else [])]
    return defaultdict(list, found)
