"""A field that is added to the declaration of a domain is everywhere: nothing else has to be told of it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from core.platform.config.load import ROOT
from tests.support.scratch_field import MODELS


@pytest.mark.parametrize("kind", MODELS)
def test_a_declared_field_is_found_in_every_place(kind: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.support.scratch_field", kind, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [place for place, is_there in found.items() if not is_there] == []
    # So many places there are at least.
    assert len(found) >= {"tasks": 23, "projects": 12}.get(kind, 18)
