"""Keys of the upstreams, whose entries an operator names, such as `upstreams.weather.base_url`.

A key that is itself a table, such as `headers`, takes any name below it. Entries
exist as soon as one of their keys is set; what is not set has the default of
`UpstreamSettings`.
"""

import re
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, get_args, get_origin, get_type_hints

from core.platform.config.declaration import Key, key_of
from core.platform.config.upstreams import UpstreamSettings

TABLE = "upstreams"
_KEYS = {name: key_of(hint) for name, hint in get_type_hints(UpstreamSettings, include_extras=True).items()}
_ALSO = {key.about.also: name for name, key in _KEYS.items() if key.about.also}
_ENTRY_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")


def find(name: str) -> Key | None:
    """Return the key of a dotted name, or None if no upstream has such a key."""
    if (parts := _parts(name)) is None:
        return None
    _, field, below = parts
    key = _KEYS[field]
    if _is_table(key):
        return key._replace(type=get_args(key.type)[1]) if below else None
    return None if below else key


def _parts(name: str) -> tuple[str, str, str] | None:
    """Return the entry, the field and the name below it that a dotted name means."""
    table, entry, field, below, *_ = [*name.split(".", 3), "", "", ""]
    field = _ALSO.get(field, field)
    return (entry, field, below) if table == TABLE and _ENTRY_NAME.fullmatch(entry) and field in _KEYS else None


def normal(name: str) -> str:
    """Return the name by which a value is stored: a field has one, and headers are the same in any case."""
    if (parts := _parts(name)) is None:
        return name
    entry, field, below = parts
    return ".".join(filter(None, (TABLE, entry, field, below.lower())))


def from_variable(name: str, known: Mapping[str, Any]) -> str:
    """Return the name that a variable means: no shell lets a variable's name contain a hyphen."""
    parts = name.split(".", 3)
    if parts[0] != TABLE or len(parts) < 3:
        return name
    parts[1] = next((entry for entry in _entries(known) if entry.replace("-", "_") == parts[1]), parts[1])
    return normal(".".join([*parts[:3], *(part.replace("_", "-") for part in parts[3:])]))


def similar_keys(name: str) -> list[str]:
    """Return the names of upstreams' keys that may have been meant by an unknown one."""
    table, *rest = name.split(".", 2)
    if table != TABLE:
        return []
    entry = rest[0].lower() if len(rest) == 2 else "<name>"
    return [f"{TABLE}.{entry}.{field}{'.<name>' if _is_table(key) else ''}" for field, key in _KEYS.items()]


def _is_table(key: Key) -> bool:
    return get_origin(key.type) is dict


def fill_in(values: dict[str, Any], sources: dict[str, str]) -> dict[str, UpstreamSettings]:
    """Give every entry its defaults and return the upstreams by name."""
    return {entry: _entry(f"{TABLE}.{entry}.", values, sources) for entry in _entries(values)}


def _entries(values: Mapping[str, Any]) -> list[str]:
    return sorted({name.split(".")[1] for name in values if name.startswith(f"{TABLE}.")})


def _entry(prefix: str, values: dict[str, Any], sources: dict[str, str]) -> UpstreamSettings:
    collected: dict[str, Any] = {}
    for item in fields(UpstreamSettings):
        name = prefix + item.name
        if _is_table(_KEYS[item.name]):
            below = f"{name}."
            collected[item.name] = {k.removeprefix(below): v for k, v in values.items() if k.startswith(below)}
            continue
        if name not in values:
            # What has no default is empty then, which its rule refuses.
            values[name] = "" if item.default is MISSING else item.default
            sources[name] = "default"
        collected[item.name] = values[name]
    return UpstreamSettings(**collected)
