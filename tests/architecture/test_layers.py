"""The rules of the house, as tests: who may import whom, and what must agree."""

import ast
import importlib
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import click
import pytest

from core.jobs.kinds import KINDS, QUEUES
from core.operations.commands.names import COMMANDS, HIDDEN_COMMANDS
from core.platform.config.load import ROOT
from manage import cli
from tests.support.source_code import PACKAGES, imports, names_imported, sources
from workers.runner import resolve

# Inside core, only the glue may know Flask.
FLASK_GLUE = {
    "core/bootstrap.py",
    "core/platform/cache/answers.py",
    "core/platform/config/current.py",
    "core/platform/database/base.py",
    "core/platform/database/engine.py",
    "core/platform/database/environment_mark.py",
    "core/platform/database/migrations.py",
}
DOMAIN_FILES = {"model.py", "repository.py", "service.py"}
# The domains, lowest first: each may import those that stand before it, and `core.platform`.
DOMAINS = (
    # Know of nobody else: they keep, and name people and things by number.
    "audit",
    "files",
    "idempotency",
    "upstreams",
    # Only the order of background work; every domain may order some.
    "jobs",
    # Who somebody is, and then what they log in with, which ends with the account.
    "users",
    "auth",
    # What people work on: a task refers to a project and an item, a post to a task.
    "projects",
    "items",
    "tasks",
    "posts",
    # What is read from several of these.
    "profiles",
    "stats",
    "search",
    "reports",
    "mail",
    "exchange",
    # What asks all that may hang on a person, a project or an item.
    "removal",
    # What asks the rights of whatever a job may do.
    "runs",
)
# Puts the rooms together.
GLUE = {"core", "core.bootstrap", "core.models", "core.version"}


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


def rooms_of(path: str, tree: ast.Module) -> tuple[str, set[str]]:
    """Return the room of a module of core, and the rooms that it imports; a loose module is a room of its own."""

    def room_of(name: str) -> str:
        return ".".join(name.split(".")[:2])

    own = room_of(path.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
    return own, {room_of(name) for name in names_imported(tree) if name.startswith("core.")} - {own}


def test_every_room_of_the_core_imports_only_what_lies_below_it() -> None:
    rooms = ["core.platform", *(f"core.{domain}" for domain in DOMAINS), "core.operations"]
    place = {room: number for number, room in enumerate(rooms)}
    wrong = []
    for path, tree in sources("core"):
        own, others = rooms_of(path, tree)
        if own in GLUE:
            allowed = {*rooms, *GLUE} - {"core.operations"}
        elif own == "core.operations":
            allowed = {*rooms, *GLUE}
        else:
            # A room that is not in the list has no place yet: name it there.
            allowed = set(rooms[: place.get(own, 0)])
        wrong += [f"{path} imports {other}" for other in sorted(others - allowed)]
    assert wrong == []


def modules_of(package: str) -> dict[str, ast.Module]:
    return {
        path.removesuffix(".py").removesuffix("/__init__").replace("/", "."): tree for path, tree in sources(package)
    }


@pytest.mark.parametrize("package", ["core", "workers"])
def test_no_packages_import_each_other_in_a_circle(package: str) -> None:
    """A module beside sub-packages, such as `core.platform.clock`, counts as a package of its own."""
    modules = modules_of(package)
    with_rooms = {name.rpartition(".")[0].rpartition(".")[0] for name in modules}

    def package_of(name: str) -> str:
        parent = name.rpartition(".")[0]
        is_package = any(other.startswith(f"{name}.") for other in modules)
        return name if is_package or parent in with_rooms or not parent else parent

    graph: dict[str, set[str]] = {}
    for name, tree in modules.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                for other in (f"{node.module}.{alias.name}" for alias in node.names):
                    target = other if other in modules else str(node.module)
                    if target in modules and package_of(target) != package_of(name):
                        graph.setdefault(package_of(name), set()).add(package_of(target))
    assert graph
    # It raises CycleError, which names the circle.
    assert list(TopologicalSorter(graph).static_order())


# The rooms of api/http, outermost first: each may import those that stand after it.
HTTP_ROOMS = [
    "api.http.serving",
    "api.http.door",
    "api.http.openapi",
    "api.http.answers",
    "api.http.input",
    "api.http.documentation",
]


def test_every_room_of_http_imports_only_those_behind_it() -> None:
    wrong, seen = [], set()
    for path, tree in sources("api/http"):
        own = ".".join(path.removesuffix(".py").split("/")[:3])
        seen.add(own)
        behind = HTTP_ROOMS[HTTP_ROOMS.index(own) :] if own in HTTP_ROOMS else []
        wrong += [
            f"{path} imports {name}"
            for name in imports(tree)
            if name.startswith("api.") and not name.startswith(tuple(behind))
        ]
    assert wrong == []
    assert seen == {*HTTP_ROOMS, "api.http.__init__"}


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
    "core/exchange/imports/targets.py",
}

WRITING_CALLS = ("insert", "update", "delete", "insert_rows", "update_rows", "insert_row", "update_row", "_insert")


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
                ast.unparse(node.func) in WRITING_CALLS
                and any(ast.unparse(argument) in ("Task", "Task.__table__") for argument in node.args)
            )
        )
        and path not in TASK_WRITERS
    ]
    assert wrong == []


def test_every_domain_is_there_and_has_its_place() -> None:
    rooms = {path.name for path in (ROOT / "core").iterdir() if (path / "__init__.py").exists()}
    assert rooms == {"platform", "operations", *DOMAINS}


@pytest.mark.parametrize("domain", ["tasks", "users", "jobs", "posts", "items", "projects", "auth", "audit"])
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


@pytest.mark.slow
def test_nobody_loads_what_only_some_need() -> None:
    """matplotlib takes most of a second and 50 MB, which all but the process that draws would waste.

    What metrics, reports of errors and log files need is loaded only where these are switched on, what writes
    workbooks when one is written, what migrates when somebody migrates, what checks an address of e-mail when there
    is one, and the client that the embedded server brings along only by `dev`. What asks upstreams is for a web
    process that has some, and RQ for workers.
    """
    heavy = (
        "matplotlib",
        "numpy",
        "PIL",
        "fontTools",
        "prometheus_client",
        "sentry_sdk",
        "concurrent_log_handler",
        "xlsxwriter",
        "alembic",
        "email_validator",
        "markdown_it",
        "valkey",
    )
    # What one of them had loaded would still be there after the last.
    script = (
        "import sys, api\n"
        "print([name for name in ('httpx', 'rq') if name in sys.modules])\n"
        "import core.operations.commands.jobs, workers.commands\n"
        "print('httpx' in sys.modules)\n"
        "import api.commands\n"
        f"print([name for name in {heavy} if name in sys.modules])\n"
        "import core.operations.commands.dev\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout == "[]\nFalse\n[]\n['valkey']\n"


@pytest.mark.slow
def test_importing_a_module_has_no_effect(tmp_path: Path) -> None:
    """It opens nothing, writes nothing and prints nothing."""
    script = (
        "import sys, socket, threading\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "def refuse(*args, **kwargs): raise SystemExit('connected')\n"
        "socket.socket.connect = refuse\n"
        "import manage, core.bootstrap, workers.worker, api\n"
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


# What is a table of values may be as long as it needs to be.
TABLES_OF_VALUES = {"tests/support/hostile_values.py"}


def test_no_file_is_longer_than_somebody_reads_at_once() -> None:
    lines = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for folder in (*PACKAGES, "tests/support")
        for path in (ROOT / folder).rglob("*.py")
    }
    assert {name for name, count in lines.items() if count > 350} == TABLES_OF_VALUES
