"""Layers of the configuration: files and variables, as keys with their sources."""

import difflib
import tomllib
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from core.platform.config import foreign, upstream_keys
from core.platform.config.errors import ConfigError, ConfigWarning
from core.platform.config.keys import ENVIRONMENTS, KEYS, PLAIN_NAMES, PREFIX, SELECTORS, TEST_NAMES, kind_of

# Keys, each with where it is set and its value.
Layer = Iterator[tuple[str, str, Any]]


def _flatten(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _nearest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None


def file_layers(path: Path, env: str, *, source: str) -> Layer:
    """Yield each key of a file for this environment, with its source and its value. Raises ConfigError."""
    content = _read_toml(path)
    for name in content:
        if name not in ("default", *ENVIRONMENTS):
            raise ConfigError(f"{path}: unknown table [{name}].{_nearest(name, ['default', *ENVIRONMENTS])}")
    for name in ("default", env):
        for key, value in _flatten(content.get(name, {})):
            if kind_of(key) is None:
                known = upstream_keys.similar_keys(key) or list(KEYS)
                raise ConfigError(f"{path}: unknown key {key!r} in [{name}].{_nearest(key, known)}")
            yield upstream_keys.normal(key), f"{source} [{name}]", value


def environment_layer(env: str, variables: Mapping[str, str], source: str, values: Mapping[str, Any]) -> Layer:
    """Yield each key that variables set, with its source and its value."""
    for name, key in {**PLAIN_NAMES, **(TEST_NAMES if env == "testing" else {})}.items():
        # Platforms leave variables set but empty to mean "not configured".
        if variables.get(name):
            yield key, f"{source} {name}", variables[name]
    for name, value in variables.items():
        if not name.startswith(PREFIX) or name in (*SELECTORS, *foreign.SELECTORS):
            continue
        key = upstream_keys.from_variable(name.removeprefix(PREFIX).lower().replace("__", "."), values)
        if kind_of(key) is not None:
            yield key, f"{source} {name}", value
        else:
            known = [
                PREFIX + k.upper().replace(".", "__").replace("-", "_") for k in upstream_keys.similar_keys(key) or KEYS
            ]
            warnings.warn(
                f"{name} is not a Tasklane setting and has no effect.{_nearest(name, known)}",
                ConfigWarning,
                stacklevel=2,
            )
