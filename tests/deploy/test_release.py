"""Releases: one version, a change log that fits it, and an archive that is what was committed."""

import hashlib
import re
import subprocess
import sys
import tarfile
import tomllib
from datetime import date
from pathlib import Path

import pytest

from core.platform.config.load import ROOT
from core.version import VERSION

COMMAND = ROOT / ".ci" / "release"
CHANGES = "# Changelog\n\n## Unreleased\n\n## 1.2.3 (2027-01-31)\n\n### API\n- Something is new.\n"


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout


def commit(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / {"version": "core/version.py", "changes": "CHANGELOG.md"}[name]).write_text(text)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "Release")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    (folder / "core").mkdir(parents=True)
    git(folder, "init", "--quiet")
    commit(folder, version='VERSION = "1.2.3"\n', changes=CHANGES)
    return folder


def release(checkout: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(COMMAND), str(checkout.parent)], cwd=checkout, capture_output=True, text=True, check=False
    )


def test_the_archive_holds_what_is_committed_under_the_name_of_the_version(checkout: Path) -> None:
    done = release(checkout)
    assert done.returncode == 0, done.stderr
    assert "git tag --annotate v1.2.3" in done.stdout
    archive = checkout.parent / "tasklane-1.2.3.tar.gz"
    with tarfile.open(archive) as opened:
        names = {member.name for member in opened if member.isfile()}
    assert names == {"tasklane-1.2.3/core/version.py", "tasklane-1.2.3/CHANGELOG.md"}
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert archive.with_name(archive.name + ".sha256").read_text() == f"{digest}  {archive.name}\n"
    # Made again of the same commit, it is the same.
    git(checkout, "tag", "--annotate", "v1.2.3", "--message", "It is")
    assert digest in release(checkout).stdout


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (CHANGES.replace("1.2.3", "1.2.2"), "no heading '## 1.2.3"),
        (CHANGES.replace(" (2027-01-31)", ""), "no heading '## 1.2.3"),
        (CHANGES.replace("## Unreleased\n", "## Unreleased\n\n### API\n- Too late.\n"), "under Unreleased"),
    ],
)
def test_no_archive_is_made_of_what_is_no_release(checkout: Path, changes: str, reason: str) -> None:
    commit(checkout, changes=changes)
    done = release(checkout)
    assert (done.returncode, reason in done.stderr) == (1, True), done.stderr
    assert not list(checkout.parent.glob("*.gz"))


def test_neither_is_one_of_changes_that_are_nowhere_or_under_a_number_that_is_taken(checkout: Path) -> None:
    git(checkout, "tag", "--annotate", "v1.2.3", "--message", "It is")
    commit(checkout, changes=CHANGES + "- And more.\n")
    assert "at another commit" in release(checkout).stderr
    (checkout / "CHANGELOG.md").write_text(CHANGES)
    assert "not committed" in release(checkout).stderr
    assert not list(checkout.parent.glob("*.gz"))


def test_the_version_is_said_in_one_place() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" not in project["project"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "core.version.VERSION"}
    code = [path for room in ("api", "core", "workers") for path in (ROOT / room).rglob("*.py")]
    saying = [path.relative_to(ROOT).as_posix() for path in code if f'"{VERSION}"' in path.read_text()]
    assert saying == ["core/version.py"]


def test_the_change_log_begins_with_what_is_unreleased_and_then_has_this_version_with_its_day() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased"
    released = [re.fullmatch(r"(\d+\.\d+\.\d+) \((\d{4}-\d{2}-\d{2})\)", heading) for heading in headings[1:]]
    assert released[0], headings
    assert released[0][1] == VERSION
    days = [date.fromisoformat(found[2]) for found in released if found]
    assert len(days) == len(released)
    assert days == sorted(days, reverse=True)


def test_an_installation_needs_no_tag() -> None:
    pages = [path for path in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")) if path.name != "releasing.md"]
    commands = re.compile(r"git (?:-C \S+ )?(?:checkout|clone|switch)\b.*\bv\d|/(?:tags|releases/download)/v?\d")
    assert [path.name for path in pages if commands.search(path.read_text())] == []
