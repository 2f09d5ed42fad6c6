"""A field that is added to the declaration of a domain is everywhere: nothing else has to be told of it."""

import json
import subprocess
import sys
from pathlib import Path

from core.platform.config.load import ROOT

# So many places there are at least for each kind.
PLACES = {"tasks": 23, "posts": 18, "items": 18, "projects": 12, "users": 18}


def test_a_declared_field_is_found_in_every_place(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.support.scratch_field", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    missing = [
        f"{kind}: {place}" for kind, places in found.items() for place, is_there in places.items() if not is_there
    ]
    assert missing == []
    assert all(len(found[kind]) >= count for kind, count in PLACES.items())
