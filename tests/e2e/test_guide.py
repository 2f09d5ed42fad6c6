"""The documentation can be pasted: its commands and its Python work as they stand, with what `manage.py dev` starts."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.platform.config.load import ROOT
from tests.support.dev import Dev
from tests.support.pages import NOT_RUN, RUN, Block, Reader, blocks_of, missing

GUIDE = ROOT / "docs" / "guide.md"
# The front page is of an installation in which nothing has happened yet.
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = "guide.md#before-you-begin"
# Marks of what nobody types into a shell.
OTHERS = ("python", "toml", "yaml", "sql", "ini", "text")
# What the one block defines.
NAMES = re.compile(r"\$(?:B|J|TOKEN|AUTH|KEY)\b")
TYPED = re.compile(
    r"^(?:[$#] |\w+=\S+ |curl |python3? |pip |manage\.py |docker |flask |gunicorn |git |\.venv/)", re.MULTILINE
)


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    running = Dev(
        tmp_path_factory.mktemp("guide") / "instance", is_forked=True, TASKLANE_RATELIMIT_ENABLED="false"
    ).start()
    yield running
    running.stop()


def variables() -> Block:
    """Return the one block that defines what all pages use."""
    return next(block for block in blocks_of(GUIDE) if block.mark == "sh")


def runnable(page: Path) -> list[Block]:
    return [block for block in blocks_of(page) if block.mark in RUN]


def test_every_command_of_every_page_can_be_pasted(dev: Dev, tmp_path: Path) -> None:
    faults = []
    for number, page in enumerate(PAGES):
        if not (blocks := runnable(page)):
            continue
        folder = tmp_path / str(number)
        folder.mkdir()
        reader = Reader(folder, instance=dev.instance, port=dev.port, password=dev.passwords()["admin"])
        defines_all = page == GUIDE or "B=http" in blocks[0].text
        steps = list(reader.read([] if defines_all else [variables()], blocks))
        faults += [fault for step in steps for fault in step.faults] + missing(steps)
    assert faults == []


def test_the_python_of_the_guide_works(dev: Dev, tmp_path: Path) -> None:
    script = "\n".join(block.text for block in blocks_of(GUIDE) if block.mark == "python")
    for written, meant in (
        ("http://127.0.0.1:5000", f"http://127.0.0.1:{dev.port}"),
        ('"password": "..."', f'"password": "{dev.passwords()["user"]}"'),
    ):
        assert written in script
        script = script.replace(written, meant)
    (tmp_path / "guide.py").write_text(script)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "guide.py")], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"[0-9a-f]{32}\n", done.stdout)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_command_stands_where_nobody_tries_it(page: Path) -> None:
    wrong = [
        block.place
        for block in blocks_of(page)
        if block.mark not in (*RUN, *NOT_RUN, *OTHERS) and TYPED.search(block.text)
    ]
    assert wrong == [], f"mark them by one of {RUN}, or by a reason why they cannot be tried: {sorted(NOT_RUN)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_says_where_its_variables_come_from(page: Path) -> None:
    blocks = runnable(page)
    uses = any(NAMES.search(block.text) for block in blocks)
    assert not uses or "B=http" in blocks[0].text or LINK in page.read_text() or page == GUIDE


def test_the_one_block_defines_what_the_pages_use() -> None:
    assert set(re.findall(r"\b([A-Z]+)=", variables().text)) == {"B", "J", "TOKEN", "AUTH", "KEY"}
