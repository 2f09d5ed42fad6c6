"""The file deploy/compose.yaml, as compose reads it."""

import re
from typing import Any

import yaml

from core.platform.config.load import ROOT

DEPLOY = ROOT / "deploy"


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return found


def filled_in(given: dict[str, str]) -> dict[str, str]:
    """Return the environment of the web container, as compose makes it from a .env."""

    def value(found: re.Match[str]) -> str:
        name, default = found.groups()
        return given.get(name) or default or ""

    variables: dict[str, str] = compose()["services"]["web"]["environment"]
    return {name: re.sub(r"\$\{(\w+)(?::-([^}]*)|:\?[^}]*)?\}", value, text) for name, text in variables.items()}
