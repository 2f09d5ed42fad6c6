"""Fixtures about the configuration."""

from pathlib import Path

import pytest

from core.platform.config.load import load_settings
from core.platform.config.settings import Settings
from tests.support.settings import Load, new_project


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The folder of an installation, with our config.toml in it."""
    return new_project(tmp_path)


@pytest.fixture
def load(project: Path) -> Load:
    """The settings of that installation, with exactly these variables in its environment."""

    def run(name: str | None = None, **environ: str) -> Settings:
        return load_settings(name, environ=environ, root=project)

    return run
