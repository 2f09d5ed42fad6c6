"""Installations of which only the configuration is looked at."""

from collections.abc import Callable
from pathlib import Path

from core.platform.config.load import ROOT
from core.platform.config.settings import Settings

Load = Callable[..., Settings]


def new_project(folder: Path) -> Path:
    """Make a folder of an installation out of an empty one, with our config.toml in it."""
    (folder / "config.toml").write_text((ROOT / "config.toml").read_text())
    (folder / "instance").mkdir()
    return folder
