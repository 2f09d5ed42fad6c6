"""The documentation can be followed: links lead somewhere, named files exist, generated pages are fresh."""

import re
from pathlib import Path

import pytest

from core.platform.config import reference
from core.platform.config.load import KEYS, ROOT

PAGES = sorted(path.relative_to(ROOT).as_posix() for path in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")))


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file(page: str) -> None:
    text = re.sub(r"^```.*?^```", "", (ROOT / page).read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target or target.startswith(("#", "mailto:")):
            continue
        assert ((ROOT / page).parent / target.partition("#")[0]).exists(), target


def test_every_page_can_be_found_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    assert [page for page in PAGES if page.startswith("docs/") and page not in readme] == []


def test_the_reference_of_the_settings_is_fresh_and_complete() -> None:
    text = reference.markdown()
    assert (ROOT / "docs" / "configuration.md").read_text() == text + "\n"
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
