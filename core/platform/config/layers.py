"""Layers of the configuration: files and variables, as keys with their sources and typed values."""

import tomllib
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

from core.platform.config import foreign, upstream_keys
from core.platform.config.errors import ConfigError, ConfigWarning
from core.platform.config.keys import (
    ENVIRONMENTS,
    KEYS,
    PLAIN_NAMES,
    PREFIX,
    SELECTORS,
    TEST_NAMES,
    find,
    is_secret,
    variable_of,
)
from core.platform.text.faults import nearest

# Keys, each with where it is set and its value.
Layer = Iterator[tuple[str, str, Any]]


def _flatten(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


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
    tables = ("default", *ENVIRONMENTS)
    for name in content:
        if name not in tables:
            raise ConfigError(f"{path}: unknown table [{name}].{nearest(name, tables)}")
    for name in ("default", env):
        for key, value in _flatten(content.get(name, {})):
            if find(key) is None:
                known = upstream_keys.similar_keys(key) or KEYS
                raise ConfigError(f"{path}: unknown key {key!r} in [{name}].{nearest(key, known)}")
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
        if find(key) is not None:
            yield key, f"{source} {name}", value
        else:
            hint = nearest(name, [variable_of(known) for known in upstream_keys.similar_keys(key) or KEYS])
            warnings.warn(f"{name} is not a Tasklane setting and has no effect.{hint}", ConfigWarning, stacklevel=2)


def typed(key: str, value: Any, source: str) -> Any:
    """Return a value of a layer as the type that its key declares. Raises ConfigError."""
    declared = find(key)
    kind: Any = declared and declared.type
    try:
        if kind is bool:
            return _boolean(value)
        if get_origin(kind) is list:
            items = value.split(",") if isinstance(value, str) else list(value)
            return [get_args(kind)[0](item.strip()) for item in items if item.strip()]
        if isinstance(value, bool) or (kind is str and not isinstance(value, str)):
            raise ValueError
        return kind(value)
    except (TypeError, ValueError, AttributeError):
        name = "list" if get_origin(kind) is list else kind.__name__
        shown = "its value" if is_secret(key) else repr(value)
        raise ConfigError(f"{key}: {shown} from {source} is not a valid {name}.") from None


def _boolean(value: Any) -> bool:
    words = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
    if isinstance(value, bool):
        return value
    try:
        return words[value.strip().lower()]
    except KeyError:
        raise ValueError from None
