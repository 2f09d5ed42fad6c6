"""Layered configuration: files, then `.env`, then the environment, all typed.

`core.platform.config.settings` lists every key once with its type; `config.toml` holds every
default once. A key that stands in only one of them is an error at start, so they
cannot drift apart.
"""

import os
import warnings
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from dotenv import dotenv_values

from core.platform.config import derived, foreign, testing, upstream_keys
from core.platform.config.errors import ConfigError, ConfigWarning
from core.platform.config.keys import ENVIRONMENTS, KEYS, LEADING_OUT, PLAIN_NAMES, SELECTORS, TEST_NAMES
from core.platform.config.layers import Layer, environment_layer, file_layers, typed
from core.platform.config.problems import problems
from core.platform.config.settings import Settings

ROOT = Path(__file__).resolve().parents[3]


def load_settings(
    config_name: str | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
    root: Path = ROOT,
) -> Settings:
    """Read all layers and return the effective settings.

    `overrides` are dotted keys that win over everything; tests use them.
    Raises ConfigError naming the file, variable or missing secrets to mend.
    """
    process_environ = os.environ if environ is None else environ
    dotenv = {k: v for k, v in dotenv_values(root / ".env").items() if v is not None}
    selectors = {**dotenv, **process_environ}

    env = _environment(config_name, selectors)
    written = instance_path = Path(selectors.get("TASKLANE_INSTANCE_PATH") or root / "instance").resolve()
    if env == "testing":
        written = testing.folder(process_environ.get("TASKLANE_INSTANCE_PATH"))
    _tell_what_has_no_effect(env, selectors, root, instance_path)

    # A setting that the testing environment does not take over is not missing there.
    values: dict[str, Any] = dict(LEADING_OUT) if env == "testing" else {}
    sources = dict.fromkeys(values, testing.NOT_SET)

    def apply(layer: Layer) -> None:
        for key, source, value in layer:
            if env != "testing" or testing.may_take(key, value, source):
                values[key] = typed(key, value, source)
                sources[key] = source

    apply(file_layers(root / "config.toml", env, source="config.toml"))
    absent = [key for key in KEYS if key not in values]
    if absent:
        raise ConfigError(f"config.toml lacks {', '.join(absent)}.")
    if (instance_path / "config.toml").exists():
        apply(file_layers(instance_path / "config.toml", env, source="instance/config.toml"))
    apply(environment_layer(env, dotenv, ".env", values))
    apply(environment_layer(env, process_environ, "environment", values))
    apply((key, "override", value) for key, value in (overrides or {}).items())

    configured = upstream_keys.fill_in(values, sources)
    if found := list(problems(env, values, configured)):
        raise ConfigError(f"Tasklane cannot start in {env}: {'; '.join(found)}.")
    derived.fill_in(env, written, instance_path, values, sources)
    settings: Settings = _build(
        Settings, values, "", env=env, instance_path=written, sources=sources, upstreams=configured
    )
    return settings


def _environment(config_name: str | None, variables: Mapping[str, str]) -> str:
    """Return the environment in force. Raises ConfigError for one that there is not, or that is meant otherwise."""
    env = config_name or variables.get("TASKLANE_ENV") or "development"
    if env not in ENVIRONMENTS:
        raise ConfigError(f"TASKLANE_ENV is {env!r}; it must be one of {', '.join(ENVIRONMENTS)}.")
    # Tests that name their environment themselves cannot do harm to another.
    if env != "production" and config_name != "testing" and (meant := foreign.production_by_another_name(variables)):
        raise ConfigError(f"{meant} has no effect here, and this would start in {env}: set TASKLANE_ENV=production.")
    return env


def _tell_what_has_no_effect(env: str, variables: Mapping[str, str], root: Path, instance_path: Path) -> None:
    known = frozenset((*PLAIN_NAMES, *TEST_NAMES, *SELECTORS))
    if found := list(foreign.remarks(env, variables, known, root, instance_path)):
        warnings.warn(f"Without effect in Tasklane: {', '.join(found)}.", ConfigWarning, stacklevel=3)


def _build(cls: type, values: Mapping[str, Any], prefix: str, **computed: Any) -> Any:
    hints = get_type_hints(cls)
    arguments = dict(computed)
    for item in fields(cls):
        if item.name in arguments:
            continue
        kind = hints[item.name]
        name = prefix + item.name
        arguments[item.name] = _build(kind, values, f"{name}.") if is_dataclass(kind) else values[name]  # type: ignore[arg-type]
    return cls(**arguments)
