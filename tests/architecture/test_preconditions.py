"""The state that a caller expects reaches the service that changes it, and is looked at there."""

import ast
from collections.abc import Iterator

from tests.support.source_code import sources


def takers() -> Iterator[tuple[str, ast.FunctionDef]]:
    """Yield the functions of core that take the expectation of their caller."""
    for path, tree in sources("core"):
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                if any(one.annotation and ast.unparse(one.annotation) == "Expected" for one in arguments):
                    yield f"{path}:{node.name}", node


def test_the_expectation_can_be_left_out_of_no_call() -> None:
    public = {name: node for name, node in takers() if not node.name.startswith("_")}
    assert len(public) >= 15
    for name, node in public.items():
        # Only for such an argument a type checker knows that `**body` does not bring it along.
        assert [one.arg for one in node.args.posonlyargs] == ["actor", "expected"], name
        assert not node.args.defaults, name


def test_whoever_takes_an_expectation_requires_it_or_hands_it_to_another_who_does() -> None:
    names = {node.name for _, node in takers()}
    for name, node in takers():
        calls = [child for child in ast.walk(node) if isinstance(child, ast.Call)]
        is_required = any(ast.unparse(call.func) == "expected.require" for call in calls)
        is_handed_on = any(
            ast.unparse(call.func).split(".")[-1] in names and "expected" in map(ast.unparse, call.args)
            for call in calls
        )
        assert is_required or is_handed_on, name
