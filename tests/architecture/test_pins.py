"""The pins are whole: what each distribution requires is pinned, with its extras, for every Python and platform."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from core.platform.config.load import ROOT

FILES = ("requirements.txt", "tests/requirements.txt")


def check(*paths: Path) -> list[str]:
    """Return what .ci/check-pins says of files that are installed together."""
    done = subprocess.run(
        [sys.executable, ROOT / ".ci" / "check-pins", *paths], capture_output=True, text=True, check=False
    )
    assert (done.returncode == 0) == (done.stderr == ""), done.stderr
    return done.stderr.splitlines()


def changed(folder: Path, *changes: tuple[str, str]) -> list[Path]:
    """Return copies of the files with some of their text replaced."""
    text = "".join((ROOT / name).read_text() for name in FILES)
    for pattern, replacement in changes:
        text, count = re.subn(pattern, replacement, text, flags=re.MULTILINE)
        assert count == 1, pattern
    (folder / "pins.txt").write_text(text)
    return [folder / "pins.txt"]


def test_everything_that_is_required_is_pinned_as_it_is_required() -> None:
    assert check(*(ROOT / name for name in FILES)) == []


@pytest.mark.parametrize(
    ("pattern", "replacement", "problem"),
    [
        # An extra that the pin does not name is looked for on the index, by old versions of pip.
        (
            r"^coverage\[toml\]",
            "coverage",
            r"pytest-cov==\S+ requires coverage\[toml\]>=\S+, which is not pinned so\. .*",
        ),
        # What only an older Python needs.
        (r"^async-timeout(?s:.*?)(?=^attrs)", "", r"redis==\S+ requires async-timeout.* not pinned so\. .* 3\.11\.0\."),
        (r"(?<=python_full_version < ')3\.11\.3(?=')", "3.11.1", r"redis==.* not pinned so\. .* 3\.11\.2\."),
        # What only one platform has.
        (
            r"^(cryptography==50\S+) ; .*\\$",
            r"\1 ; sys_platform == 'linux' \\",
            r"trustme==\S+ requires cryptography.* not pinned so\. First seen for darwin arm64 3\.11\.0\.",
        ),
        (r"^werkzeug==\S+", "werkzeug==2.0.0", r"flask==\S+ requires werkzeug>=\S+, and 2\.0\.0 is pinned\. .*"),
    ],
    ids=["extra", "older Python", "marker too narrow", "other platform", "version"],
)
def test_what_is_missing_is_named(tmp_path: Path, pattern: str, replacement: str, problem: str) -> None:
    found = check(*changed(tmp_path, (pattern, replacement)))
    assert any(re.fullmatch(problem, line) for line in found), found


def test_every_pin_has_hashes_and_no_file_names_an_index() -> None:
    for path in (*FILES, ".ci/requirements.txt", "deploy/sentry.txt"):
        text = (ROOT / path).read_text()
        blocks = re.findall(r"^[a-z0-9][^\n]*\n(?:[ \t]+[^\n]*\n)*", text, re.MULTILINE)
        assert blocks, path
        assert [block for block in blocks if not re.match(r"[^\n]*==[^\n]*\\\n    --hash=sha256:", block)] == []
        assert not re.search(r"://|^-", text, re.MULTILINE), path
