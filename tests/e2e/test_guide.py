"""The Python of docs/guide.md, run as it stands against what `manage.py dev` starts."""

import re
import subprocess
import sys
from pathlib import Path

from core.config import ROOT
from tests.support.dev import Dev


def test_the_guide_works(tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "guide.md").read_text(), re.MULTILINE | re.DOTALL)
    dev = Dev(tmp_path / "instance").start()
    try:
        script = "\n".join(blocks)
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
    finally:
        dev.stop()
