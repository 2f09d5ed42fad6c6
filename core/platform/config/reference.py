"""The tables of docs/configuration.md, made from config.toml, which explains each setting in place."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.platform.config.keys import ENVIRONMENTS, KEYS, is_secret, variable_of
from core.platform.config.load import ROOT

_KEY = re.compile(r"(?P<name>\w+) = (?P<value>\"[^\"]*\"|\[[^\]]*\]|[^#\s]+)\s*(?:#\s*(?P<text>.*))?")


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as config.toml has it."""

    environment: str
    key: str
    value: str
    text: str


def markdown(path: Path = ROOT / "config.toml") -> str:
    """Return all settings as tables of Markdown, one for each section."""
    found, remarks = _read(path.read_text())
    own = {(setting.environment, setting.key): setting.value for setting in found}
    lines: list[str] = []
    section = None
    for setting in found:
        if setting.environment != "default":
            continue
        head = setting.key.rpartition(".")[0]
        if head != section:
            section = head
            lines += [*([""] if lines else []), f"## {head or 'General'}", ""]
            lines += [f"{remarks[head]}", ""] if head in remarks else []
            lines += ["| setting | default | what it is |", "|---|---|---|"]
        lines.append(_row(setting, own))
    return "\n".join(lines)


def _row(setting: Setting, own: Mapping[tuple[str, str], str]) -> str:
    name = KEYS[setting.key].about.variable or variable_of(setting.key)
    others = [f"`{own[env, setting.key]}` in {env}" for env in ENVIRONMENTS if (env, setting.key) in own]
    value = ", ".join([f"`{setting.value}`", *others])
    text = setting.text.removeprefix(name).lstrip(";, ")
    told = "; ".join([*filter(None, [text]), *(["secret"] if is_secret(setting.key) else [])])
    return f"| `{setting.key}`<br>`{name}` | {value} | {told.replace('|', chr(92) + '|')} |"


def _read(text: str) -> tuple[list[Setting], dict[str, str]]:
    """Return what the file sets with the words beside it, and the words beside the names of tables."""
    settings, remarks = [], {}
    environment = prefix = ""
    for line in text.splitlines():
        if line.startswith("["):
            name, _, remark = line[1:].partition("]")
            environment, _, prefix = name.partition(".")
            if remark.strip():
                remarks[prefix] = remark.strip("# ").capitalize() + "."
        elif match := _KEY.fullmatch(line.strip()):
            key = f"{prefix}.{match['name']}" if prefix else match["name"]
            if key in KEYS:
                settings.append(Setting(environment, key, match["value"], match["text"] or ""))
    return settings, remarks
