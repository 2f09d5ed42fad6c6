"""Every write is a unit that can be repeated when it has lost to another transaction."""

import ast
from collections.abc import Iterator

from tests.support.source_code import PACKAGES, sources

# What is not repeated by itself, and why.
EXCEPT = {
    "core/runs/run.py:_ending": "the runner does the whole attempt again",
    "core/operations/cleanup.py:clean_up": "the same",
    "core/operations/cleanup.py:_in_batches": "the same",
    "core/exchange/imports/work.py:rehearse": "the same; what was examined is used up",
    "core/exchange/imports/service.py:run_now": "whoever gave the command can repeat it; what was examined is used up",
    "core/files/service.py:_store": "nobody else knows of these rows yet, and the stream is used up",
    "core/files/service.py:provisional": "what cannot be deleted now expires",
    "core/files/service.py:sweep": "what cannot be deleted now is deleted next time",
    "core/auth/keys.py:_note_use": "nobody waits for a trace",
    "core/audit/service.py:record_refusal": "nobody waits for a trace",
    "core/platform/database/write_check.py:_try_to_write": "a look at whether it works",
    "core/operations/demo.py:create_demo_users": "has the database to itself",
}


def units(tree: ast.Module) -> Iterator[tuple[str, bool]]:
    """Return each function that opens a transaction, and whether it is repeated."""

    def visit(node: ast.AST, function: ast.FunctionDef | None) -> Iterator[tuple[str, bool]]:
        for child in ast.iter_child_nodes(node):
            is_with = isinstance(child, ast.With)
            if is_with and any("transaction(" in ast.unparse(item.context_expr) for item in child.items):  # type: ignore[attr-defined]
                is_repeated = function is not None and "repeated" in map(ast.unparse, function.decorator_list)
                yield (function.name if function else "", is_repeated)
            yield from visit(child, child if isinstance(child, ast.FunctionDef) else function)

    return visit(tree, None)


def test_every_transaction_is_in_a_unit_that_is_repeated() -> None:
    found = {
        f"{path}:{name}": is_repeated
        for package in PACKAGES
        for path, tree in sources(package)
        for name, is_repeated in units(tree)
    }
    assert sum(found.values()) > 40
    assert {name for name, is_repeated in found.items() if not is_repeated} == EXCEPT.keys()
