"""The reference of all settings as Markdown, made from config.toml, which explains each in place."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.platform.config.keys import ENVIRONMENTS, KEYS, is_secret, variable_of
from core.platform.config.load import ROOT

_KEY = re.compile(r"(?P<name>\w+) = (?P<value>\"[^\"]*\"|\[[^\]]*\]|[^#\s]+)\s*(?:#\s*(?P<text>.*))?")

INTRODUCTION = """\
# Settings

Made from `config.toml` by `manage.py config --reference`; do not edit it here.

Layers, the later one wins: `config.toml`, `instance/config.toml` (in both, first the table
`[default]`, then that of the environment in force), the file `.env`, the environment. Every key
can be set by an environment variable: its own where the table below names one, and always
`TASKLANE_<KEY>` with two underscores for a dot. Lists are separated by commas there. `manage.py
config` shows the values in force and where each comes from; a name that Tasklane does not know is
refused in a file and warned about in the environment.

`TASKLANE_ENV` chooses the environment (`development`, `testing` or `production`), and
`TASKLANE_INSTANCE_PATH` the folder for everything that is written (`instance/`).

## Tests

The environment `testing`, which `create_app("testing")` is in, touches nothing of another one. Its
database is a temporary file that goes with the process, and so is its instance folder. It takes no
`DATABASE_URL`, `REDIS_URL`, `CACHE_URL`, `SENTRY_DSN` and no mail server, from no layer;
`TEST_DATABASE_URL` and its like (`TEST_REDIS_URL`, `TEST_CACHE_URL`, `TEST_MAIL_SERVER`,
`TEST_SENTRY_DSN`) name some for tests. `TASKLANE_INSTANCE_PATH` is taken from the environment, if the folder is
new or tests have made it. A database remembers which environment has migrated it, and tests refuse
one that is not theirs, or that was migrated before there were such marks. `db.create_all()` brings
it to the newest version, and `db.drop_all()` empties it, but only in a database of tests.

## Names of other programs

A setting of another framework that looks meant, such as `SQLALCHEMY_DATABASE_URI`, `FLASK_ENV`,
`CELERY_BROKER_URL` or a file `instance/config.py`, has no effect; one warning at the start says which
name has. `FLASK_ENV`, `FLASK_CONFIG` and the like that say `production` while `TASKLANE_ENV` does
not are refused, because Tasklane would start in development.
"""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as config.toml has it."""

    environment: str
    key: str
    value: str
    text: str


def markdown(path: Path = ROOT / "config.toml") -> str:
    """Return the reference."""
    found, remarks = _read(path.read_text())
    own = {(setting.environment, setting.key): setting.value for setting in found}
    lines = [INTRODUCTION]
    section = None
    for setting in found:
        if setting.environment != "default":
            continue
        head = setting.key.rpartition(".")[0]
        if head != section:
            section = head
            lines += ["", f"## {head or 'General'}", ""]
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
