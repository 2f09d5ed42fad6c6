"""The documentation can be followed: links lead somewhere, named files exist, generated pages are fresh."""

import ast
import re
from pathlib import Path

import pytest

from core.platform.config import reference
from core.platform.config.keys import KEYS
from core.platform.config.load import ROOT
from tests.support.pages import blocks_of

PAGES = sorted(path.relative_to(ROOT).as_posix() for path in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")))
# A path of the repository in backticks, with the name of something in it if there is a colon.
NAMED = re.compile(r"`((?:api|core|workers|migrations|tests|benchmarks|docs|deploy|\.ci)/[\w./<>*-]*)(?:: (\w+))?`")
# Files that operators make in the folder `deploy`.
MADE_BY_OPERATORS = {"deploy/.env", "deploy/compose.override.yaml", "deploy/renewed"}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file(page: str) -> None:
    text = re.sub(r"^```.*?^```", "", (ROOT / page).read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target or target.startswith(("#", "mailto:")):
            continue
        assert ((ROOT / page).parent / target.partition("#")[0]).exists(), target


def test_the_programs_on_the_page_of_clients_are_those_that_are_run() -> None:
    blocks = [block for block in blocks_of(ROOT / "docs" / "clients.md") if block.mark in ("python", "ts")]
    programs = [path.read_text() for path in (ROOT / "docs" / "clients").glob("*/*.*") if path.suffix in (".py", ".ts")]
    assert len(blocks) > 8
    assert [block.place for block in blocks if not any(block.text in program for program in programs)] == []


def test_every_page_can_be_found_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    assert [page for page in PAGES if page.startswith("docs/") and page not in readme] == []


def test_the_reference_of_the_settings_is_fresh_and_complete() -> None:
    text = reference.markdown()
    assert (ROOT / "docs" / "configuration.md").read_text().endswith(f"\n\n{text}\n")
    for key in KEYS:
        assert f"| `{key}`<br>" in text


def test_what_is_named_in_the_documentation_exists() -> None:
    """Commands under tests/faults and benchmarks that a page tells the reader to run."""
    for page in PAGES:
        text = (ROOT / page).read_text()
        for module in re.findall(r"python -m ((?:tests|benchmarks)\.[\w.]+)", text):
            assert Path(ROOT, *module.split(".")).with_suffix(".py").exists(), (page, module)
        for path in re.findall(r"(?:python|bash) ((?:tests|benchmarks|\.ci)/[\w./]+)", text):
            assert (ROOT / path).exists(), (page, path)


@pytest.mark.parametrize("page", [page for page in PAGES if page != "CHANGELOG.md"])
def test_every_path_on_a_page_exists_and_holds_the_name_beside_it(page: str) -> None:
    """The change log names paths of earlier releases, and may."""
    for path, name in NAMED.findall((ROOT / page).read_text()):
        if path in MADE_BY_OPERATORS:
            continue
        found = list(ROOT.glob(path.replace("<domain>", "*")))
        assert found, (page, path)
        assert not name or name in names_in(found[0]), (page, path, name)


def names_in(path: Path) -> set[str]:
    """Return the names of the classes, functions and module variables that a file defines."""
    tree = ast.parse(path.read_text())
    defined = {node.name for node in ast.walk(tree) if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
    targets = [
        target
        for node in tree.body
        if isinstance(node, (ast.Assign, ast.AnnAssign))
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    ]
    return defined | {target.id for target in targets if isinstance(target, ast.Name)}


def test_the_map_shows_every_room() -> None:
    tree = (ROOT / "docs" / "architecture.md").read_text().split("```")[1]
    shown = set(re.findall(r"(\w+)/", tree)) | set(
        re.findall(r"[\w.]+", tree.partition("  platform/")[2].partition("  audit/")[0])
    )
    rooms = {
        path.parent.relative_to(ROOT)
        for place in ("*", "api/*", "api/http/*", "core/*", "core/platform/*", "workers/*", "tests/support")
        for path in ROOT.glob(f"{place}/__init__.py")
    }
    assert {Path("core/tasks"), Path("api/http/door"), Path("core/platform/database")} <= rooms
    assert [str(room) for room in sorted(rooms) if room.name not in shown] == []


# A module, or something in one, in backticks in the prose of the code.
DOTTED = re.compile(r"`((?:api|core|workers|migrations|tests|benchmarks)(?:\.\w+)+)")


@pytest.mark.parametrize("place", ["api", "benchmarks", "core", "migrations", "tests", "workers"])
def test_every_module_that_comments_and_docstrings_name_exists(place: str) -> None:
    named = {name for path in (ROOT / place).rglob("*.py") for name in DOTTED.findall(path.read_text())}
    assert [name for name in sorted(named) if not is_there(name)] == []


def test_a_module_that_has_moved_would_be_found() -> None:
    assert is_there("core.tasks.service.create")
    assert not is_there("core.tasks.nowhere")
    assert not is_there("core.nowhere.service")


def is_there(name: str) -> bool:
    """Return whether this is a module, a package, or something that a module has."""
    path = ROOT.joinpath(*name.split("."))
    if path.is_dir() or path.with_suffix(".py").exists():
        return True
    module = path.parent / "__init__.py" if path.parent.is_dir() else path.parent.with_suffix(".py")
    return module.exists() and re.search(rf"\b{path.name}\b", module.read_text()) is not None
