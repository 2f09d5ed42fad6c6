"""The rules of the house, as tests: who may import whom, and what must agree."""

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from core.jobs.kinds import KINDS, QUEUES
from core.operations.commands.names import COMMANDS, HIDDEN_COMMANDS
from core.platform.config.load import ROOT
from manage import cli
from workers.runner import resolve

PACKAGES = ("api", "core", "workers")
# Inside core, only the glue may know Flask.
FLASK_GLUE = {
    "core/bootstrap.py",
    "core/platform/cache/answers.py",
    "core/platform/database/base.py",
    "core/platform/database/engine.py",
    "core/platform/database/environment_mark.py",
}
DOMAIN_FILES = {"model.py", "repository.py", "service.py"}


def sources(package: str) -> Iterator[tuple[str, ast.Module]]:
    for path in sorted((ROOT / package).rglob("*.py")):
        yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else []


def imports(tree: ast.Module) -> list[str]:
    return [name for node in ast.walk(tree) for name in imported(node)]


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [("core", ("api", "workers", "manage")), ("workers", ("api", "manage")), ("api", ("workers", "manage"))],
)
def test_imports_only_point_towards_the_core(package: str, forbidden: tuple[str, ...]) -> None:
    wrong = [
        f"{path} imports {name}"
        for path, tree in sources(package)
        for name in imports(tree)
        if name.split(".")[0] in forbidden
    ]
    assert wrong == []


def test_the_core_knows_flask_only_in_its_glue() -> None:
    wrong = [
        path
        for path, tree in sources("core")
        if path not in FLASK_GLUE and any(name.split(".")[0].startswith("flask") for name in imports(tree))
    ]
    assert wrong == []


@pytest.mark.parametrize("package", PACKAGES)
def test_no_import_hides_in_a_function(package: str) -> None:
    wrong = [
        f"{path}:{inner.lineno}"
        for path, tree in sources(package)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        for inner in ast.walk(node)
        if isinstance(inner, ast.Import | ast.ImportFrom)
    ]
    assert wrong == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_module_class_and_function_says_what_it_is_for(package: str) -> None:
    # Verbs of a resource and rows of a field list speak for themselves only where their class does.
    silent = []
    for path, tree in sources(package):
        if ast.get_docstring(tree) is None and ast.unparse(tree):
            silent.append(path)
        silent += [
            f"{path}:{node.name}"
            for node in tree.body
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and ast.get_docstring(node) is None
        ]
    assert silent == []


def test_repositories_never_commit() -> None:
    wrong = [
        path
        for path, tree in sources("core")
        if path.endswith("repository.py")
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ("commit", "rollback")
    ]
    assert wrong == []


# Where rows of tasks are written; each of these writes the history too, which tests/core/test_replay.py proves.
TASK_WRITERS = {
    "core/tasks/repository.py",
    "core/tasks/recording.py",
    "core/tasks/service.py",
    "core/tasks/bulk.py",
    "core/exchange/imports/things.py",
    # What it makes up has no past.
    "core/operations/demo/volume.py",
}


def test_tasks_are_written_only_where_their_history_is() -> None:
    wrong = [
        f"{path}:{node.lineno}"
        for package in PACKAGES
        for path, tree in sources(package)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and (
            ast.unparse(node.func) == "Task"
            or (
                ast.unparse(node.func) in ("insert", "update", "delete", "insert_rows", "update_rows", "_insert")
                and any(ast.unparse(argument) in ("Task", "Task.__table__") for argument in node.args)
            )
        )
        and path not in TASK_WRITERS
    ]
    assert wrong == []


@pytest.mark.parametrize("domain", ["tasks", "users", "jobs", "posts", "items"])
def test_every_domain_has_the_same_files(domain: str) -> None:
    names = {path.name for path in (ROOT / "core" / domain).iterdir()}
    assert {*DOMAIN_FILES, "policy.py"} <= names


def test_every_kind_of_job_names_a_function_that_exists_and_a_queue_that_is_worked_on() -> None:
    for name, kind in KINDS.items():
        assert name == kind.name
        assert kind.queue in QUEUES
        assert kind.attempts >= 1
        assert callable(resolve(kind.function))


@pytest.mark.parametrize("name", [*COMMANDS, *HIDDEN_COMMANDS])
def test_the_table_of_commands_says_what_each_command_says_itself(name: str) -> None:
    _, text = (COMMANDS | HIDDEN_COMMANDS)[name]
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert " ".join((command.help or "").split()).startswith(text.rstrip("."))


def test_help_loads_the_names_of_the_commands_and_nothing_else_of_ours() -> None:
    """It would take longer than a second."""
    script = (
        "import sys, manage\nprint([name for name in sys.modules if name.split('.')[0] in ('api', 'core', 'workers')])"
    )
    found = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout == "['core', 'core.operations', 'core.operations.commands', 'core.operations.commands.names']\n"


@pytest.mark.parametrize(
    "module", ["api.commands", "core.operations.commands.dev", "core.operations.commands.jobs", "workers.commands"]
)
def test_nobody_loads_what_only_some_need(module: str) -> None:
    """matplotlib takes most of a second and 50 MB, which all but the process that draws would waste.

    What metrics, reports of errors and log files need is loaded only where these are switched on.
    """
    heavy = ("matplotlib", "numpy", "PIL", "fontTools", "prometheus_client", "sentry_sdk", "concurrent_log_handler")
    script = f"import sys, {module}\nprint([name for name in {heavy} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


@pytest.mark.parametrize("module", ["api", "core.bootstrap", "workers.worker", "manage"])
def test_importing_a_module_has_no_effect(module: str, tmp_path: Path) -> None:
    """It opens nothing, writes nothing and prints nothing."""
    script = (
        "import sys, socket, threading\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "def refuse(*args, **kwargs): raise SystemExit('connected')\n"
        "socket.socket.connect = refuse\n"
        f"import {module}\n"
        "assert threading.active_count() == 1\n"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


def test_every_module_can_be_imported() -> None:
    for package in PACKAGES:
        for path, _ in sources(package):
            importlib.import_module(path.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
